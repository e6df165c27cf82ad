package main

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// A Terraform file, and the values of its variables.
type configuration struct {
	Text      string         `json:"text"`
	Variables map[string]any `json:"variables"`
}

// What a file says once its variables are known; a block as {"arguments": …, "blocks": {"type label": …}}.
type evaluated struct {
	Formatted string           `json:"formatted"`
	Blocks    map[string]block `json:"blocks"`
}

type block struct {
	Arguments map[string]json.RawMessage `json:"arguments"`
	Blocks    map[string]block           `json:"blocks"`
}

func readConfiguration(file configuration) (evaluated, error) {
	parsed, problems := hclsyntax.ParseConfig([]byte(file.Text), "alarms.tf", hcl.InitialPos)
	if problems.HasErrors() {
		return evaluated{}, problems
	}
	variables, err := json.Marshal(file.Variables)
	if err != nil {
		return evaluated{}, err
	}
	kind, err := ctyjson.ImpliedType(variables)
	if err != nil {
		return evaluated{}, err
	}
	values, err := ctyjson.Unmarshal(variables, kind)
	if err != nil {
		return evaluated{}, err
	}
	scope := &hcl.EvalContext{Variables: map[string]cty.Value{"var": values}}
	whole, err := readBlock(parsed.Body.(*hclsyntax.Body), scope)
	return evaluated{Formatted: string(hclwrite.Format([]byte(file.Text))), Blocks: whole.Blocks}, err
}

func readBlock(body *hclsyntax.Body, scope *hcl.EvalContext) (block, error) {
	read := block{Arguments: map[string]json.RawMessage{}, Blocks: map[string]block{}}
	for name, argument := range body.Attributes {
		value, err := readArgument(argument, scope)
		if err != nil {
			return read, err
		}
		read.Arguments[name] = value
	}
	for _, inner := range body.Blocks {
		key := inner.Type
		for _, label := range inner.Labels {
			key += " " + label
		}
		if _, exists := read.Blocks[key]; exists {
			return read, fmt.Errorf("there are two blocks %s", key)
		}
		block, err := readBlock(inner.Body, scope)
		if err != nil {
			return read, err
		}
		read.Blocks[key] = block
	}
	return read, nil
}

// The type of a variable is a keyword, such as string; everything else is a value.
func readArgument(argument *hclsyntax.Attribute, scope *hcl.EvalContext) (json.RawMessage, error) {
	if keyword := hcl.ExprAsKeyword(argument.Expr); keyword != "" {
		return json.Marshal(keyword)
	}
	value, problems := argument.Expr.Value(scope)
	if problems.HasErrors() {
		return nil, problems
	}
	return ctyjson.Marshal(value, value.Type())
}
