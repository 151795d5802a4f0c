// Scale measures what many peers cost the daemon, on a simulated host: the time to
// configure a hundred thousand and to read them back, their memory and processor time
// while idle, a million allowed IPs, how a storm of handshakes affects peers with a
// session, and the cost of routes that change all the time and of readers of events. The
// daemon is the real one, configured through its socket. The figures depend on the
// machine and are not compared with others.
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
	peers int           // number of peers, in most rows
	idle  time.Duration // how long an idle daemon is measured
	only  []string
}

// A measurement returns one or more figures.
type measurement struct {
	id  string
	run func(t lab.T, o options) []figure
}

type figure struct {
	what  string
	value string
}

var measurements = []measurement{
	{"peers", manyPeers},
	{"wg", manyPeersByWg},
	{"status", readStatus},
	{"keepalive", manyKeepalives},
	{"prefixes", manyPrefixes},
	{"storm", storm},
	{"routes", flappingRoutes},
	{"events", readEvents},
}

func ids() (list []string) {
	for _, m := range measurements {
		list = append(list, m.id)
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
	idle := flag.Float64("idle", 30, "seconds for which an idle daemon is measured")
	only := flag.String("only", "", "run these rows only, comma-separated: "+strings.Join(ids(), ", "))
	flag.Parse()
	o.idle = time.Duration(*idle * float64(time.Second))
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, id := range o.only {
		if !slices.Contains(ids(), id) {
			return o, fmt.Errorf("-only %q: no such row; the rows are %s", id, strings.Join(ids(), ", "))
		}
	}
	if o.peers < 1 || o.idle <= 0 || flag.NArg() > 0 {
		return o, errors.New("-peers and -idle must be greater than zero, and there are no arguments: see -help")
	}
	return o, nil
}

func measure(o options) error {
	if what := lab.Missing(); what != "" {
		return fmt.Errorf("this needs %s\nNothing was measured. Run it as root", what)
	}
	lab.BuildPlainly()
	defer lab.RemoveBinaries()
	if _, err := lab.Build(); err != nil {
		return err
	}
	for _, m := range measurements {
		if len(o.only) > 0 && !slices.Contains(o.only, m.id) {
			continue
		}
		var figures []figure
		if err := lab.Bound(func(t lab.T) { figures = m.run(t, o) }); err != nil {
			return fmt.Errorf("%s: %w", m.id, err)
		}
		for _, f := range figures {
			fmt.Printf("%-62s %s\n", f.what, f.value)
		}
	}
	return nil
}
