// Bench compares the tunnel with wireguard-go on the same machine: two simulated
// hosts, a wire between them, and at both ends the same daemon. Runs alternate,
// so that a machine whose speed drifts treats both alike; ratios count, absolute
// figures move.
//
//	go run ./test/bench [-runs N] [-seconds N] [-only tcp,udp,ping,memory] [-json]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wgd/test/lab"
)

type options struct {
	runs    int
	seconds time.Duration
	json    bool
	only    []string
}

func main() {
	lab.BecomeAgent()
	o := parse()
	if err := bench(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	runs := flag.Int("runs", 5, "runs of each daemon")
	seconds := flag.Float64("seconds", 5, "length of each measurement")
	asJSON := flag.Bool("json", false, "print JSON")
	only := flag.String("only", "tcp,udp,ping,memory", "what to measure, comma-separated")
	flag.Parse()
	return options{*runs, time.Duration(*seconds * float64(time.Second)), *asJSON, strings.Split(*only, ",")}
}

func bench(o options) error {
	if what := lab.Missing(); what != "" {
		return errors.New("this needs " + what)
	}
	root, err := lab.Root()
	if err != nil {
		return err
	}
	// The module of test/interop pins which wireguard-go that is.
	if err := lab.BuildFrom(filepath.Join(root, "test", "interop"), "golang.zx2c4.com/wireguard", lab.Theirs); err != nil {
		return err
	}
	defer lab.RemoveBinaries()
	r, err := measureAll(o)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Print(r)
	return nil
}

// measureAll alternates the daemons, run by run.
func measureAll(o options) (*results, error) {
	r := newResults()
	for run := range o.runs {
		for _, daemon := range inTurn(run) {
			if !o.json {
				fmt.Fprintf(os.Stderr, "run %d of %d: %s\n", run+1, o.runs, daemon)
			}
			if err := measure(o, daemon, r); err != nil {
				return nil, fmt.Errorf("%s: %w", daemon, err)
			}
		}
	}
	return r, nil
}

// inTurn is who comes first in a run: each as often as the other.
func inTurn(run int) []string {
	if run%2 == 0 {
		return []string{lab.Theirs, lab.Ours}
	}
	return []string{lab.Ours, lab.Theirs}
}

func measure(o options, daemon string, r *results) error {
	if o.measures("tcp") || o.measures("udp") || o.measures("ping") {
		if err := bound(func(t lab.T) { traffic(t, o, daemon, r) }); err != nil {
			return err
		}
	}
	if o.measures("memory") {
		return bound(func(t lab.T) { memory(t, daemon, r) })
	}
	return nil
}

func (o options) measures(what string) bool { return slices.Contains(o.only, what) }
