// What the tests of deploy/monitoring ask of the parsers of Prometheus and Terraform. Reads one JSON value from standard input and
// writes one to standard output:
//
//	queries    ["sum(up)"]                     → [{"selectors": [{"metric": "up", "labels": []}]}] or {"error": …} for each
//	terraform  {"text": …, "variables": {…}}   → {"formatted": …, "blocks": {…}}
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	answer, err := answerTo(os.Args[1:], os.Stdin)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answerTo(arguments []string, input io.Reader) (any, error) {
	if len(arguments) != 1 {
		return nil, fmt.Errorf("say queries or terraform")
	}
	switch arguments[0] {
	case "queries":
		var expressions []string
		if err := json.NewDecoder(input).Decode(&expressions); err != nil {
			return nil, err
		}
		return readQueries(expressions), nil
	case "terraform":
		var configuration configuration
		if err := json.NewDecoder(input).Decode(&configuration); err != nil {
			return nil, err
		}
		return readConfiguration(configuration)
	default:
		return nil, fmt.Errorf("say queries or terraform")
	}
}
