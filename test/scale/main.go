// Scale measures what many peers cost the daemon, on a simulated host of this
// machine: how long a hundred thousand take to be configured and to be read
// back, the memory and the processor time that they take while they say
// nothing, a million allowed IPs; what a storm of handshakes does to those who have a
// session already; and what it costs when routes change all the time. The daemon is the
// real one, configured through its socket. The figures are this machine's; nothing is
// compared.
//
//	go run ./test/scale [-peers N] [-idle SECONDS] [-only ROW,...]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

type options struct {
	peers int           // of the rows about many peers
	idle  time.Duration // how long idleness is watched
	only  []string
}

// trial is one measurement, which gives one figure or several.
type trial struct {
	id  string
	run func(t lab.T, o options) []figure
}

type figure struct {
	what  string
	value string
}

var trials = []trial{
	{"peers", manyPeers},
	{"wg", manyPeersByWg},
	{"keepalive", manyKeepalives},
	{"prefixes", manyPrefixes},
	{"storm", storm},
	{"routes", flappingRoutes},
}

func ids() (list []string) {
	for _, t := range trials {
		list = append(list, t.id)
	}
	return list
}

func main() {
	load.Become()
	lab.BecomeAgent()
	o, err := parse()
	if err == nil {
		err = measure(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func parse() (o options, err error) {
	flag.IntVar(&o.peers, "peers", 100_000, "peers of an interface")
	idle := flag.Float64("idle", 30, "seconds for which an idle daemon is watched")
	only := flag.String("only", "", "these alone, comma-separated: "+strings.Join(ids(), ", "))
	flag.Parse()
	o.idle = time.Duration(*idle * float64(time.Second))
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, id := range o.only {
		if !slices.Contains(ids(), id) {
			return o, fmt.Errorf("-only %q: no such row; there are %s", id, strings.Join(ids(), ", "))
		}
	}
	if o.peers < 1 || o.idle <= 0 || flag.NArg() > 0 {
		return o, errors.New("at least one peer and some time; there are options only, see -help")
	}
	return o, nil
}

func measure(o options) error {
	if what := lab.Missing(); what != "" {
		return fmt.Errorf("this needs %s\nNothing was measured. Do it as root", what)
	}
	lab.BuildPlainly()
	defer lab.RemoveBinaries()
	if _, err := lab.Build(); err != nil {
		return err
	}
	for _, trial := range trials {
		if len(o.only) > 0 && !slices.Contains(o.only, trial.id) {
			continue
		}
		var figures []figure
		if err := lab.Bound(func(t lab.T) { figures = trial.run(t, o) }); err != nil {
			return fmt.Errorf("%s: %w", trial.id, err)
		}
		for _, f := range figures {
			fmt.Printf("%-62s %s\n", f.what, f.value)
		}
	}
	return nil
}
