package main

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// A selector of series: the name of its metric, and the labels that it compares.
type selector struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

type query struct {
	Selectors []selector `json:"selectors,omitempty"`
	// Labels that the query groups or matches by.
	Grouping []string `json:"grouping,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func readQueries(expressions []string) []query {
	queries := make([]query, len(expressions))
	for index, expression := range expressions {
		queries[index] = readQuery(expression)
	}
	return queries
}

func readQuery(expression string) query {
	parsed, err := parser.ParseExpr(expression)
	if err != nil {
		return query{Error: err.Error()}
	}
	var read query
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			read.Selectors = append(read.Selectors, selectorOf(node))
		case *parser.AggregateExpr:
			read.Grouping = append(read.Grouping, node.Grouping...)
		case *parser.BinaryExpr:
			if node.VectorMatching != nil {
				read.Grouping = append(read.Grouping, node.VectorMatching.MatchingLabels...)
			}
		}
		return nil
	})
	return read
}

func selectorOf(node *parser.VectorSelector) selector {
	read := selector{Metric: node.Name, Labels: []string{}}
	for _, matcher := range node.LabelMatchers {
		if matcher.Name != labels.MetricName {
			read.Labels = append(read.Labels, matcher.Name)
		}
	}
	return read
}
