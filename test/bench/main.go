// Bench measures the tunnel beside wireguard-go's, on this machine, now: for
// each of the two daemons a pair of simulated hosts and a wire between them.
// Runs alternate, so that a machine whose speed drifts treats both alike, and a
// run during which other programs were busy is repeated; ratios count, absolute
// figures move. The rows are in rows.go. Where a floor is set and missed, the
// exit status is 1.
//
//	go run ./test/bench [-runs N] [-seconds N] [-all] [-only ROW,...] [-json]
package main

import (
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
	runs   int
	length time.Duration // of one measurement
	json   bool
	all    bool
	only   []string
	nice   int

	against string // a program in place of wireguard-go
}

func main() {
	becomeLoad()
	lab.BecomeAgent()
	o := parse()
	raise(o.nice)
	missed, err := bench(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed {
		fmt.Fprintln(os.Stderr, "bench: a floor is missed")
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.IntVar(&o.runs, "runs", 5, "runs of each daemon")
	seconds := flag.Float64("seconds", 5, "length of one measurement")
	flag.BoolVar(&o.json, "json", false, "print JSON, with every sample")
	flag.BoolVar(&o.all, "all", false, "also the rows without a floor")
	flag.IntVar(&o.nice, "nice", -10, "nice value of both daemons and the load; 0 leaves it as it is")
	flag.StringVar(&o.against, "against", "", "compare with this program, say an older wgd, instead of wireguard-go; no floors then")
	only := flag.String("only", "", "these rows alone, comma-separated: "+strings.Join(ids(rows), ", "))
	flag.Parse()
	o.length = time.Duration(*seconds * float64(time.Second))
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if err := o.check(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	return o
}

func (o options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%q: there are options only, see -help", rest[0])
	}
	if o.runs < 1 || o.length < 100*time.Millisecond {
		return errors.New("at least one run, of at least a tenth of a second")
	}
	for _, id := range o.only {
		if !slices.Contains(ids(rows), id) {
			return fmt.Errorf("-only %q: no such row; there are %s", id, strings.Join(ids(rows), ", "))
		}
	}
	return nil
}

// selects says whether a row is asked for.
func (o options) selects(r row) bool {
	if len(o.only) > 0 {
		return slices.Contains(o.only, r.id)
	}
	return o.all || r.usual
}

func bench(o options) (missed bool, err error) {
	if what := lab.Missing(); what != "" {
		return false, fmt.Errorf("this needs %s\nNothing was measured. As root: sudo make bench", what)
	}
	defer lab.RemoveBinaries()
	tell("building")
	if err := build(o); err != nil {
		return false, err
	}
	defer weighOwnSession(o.nice)()
	var results *results
	if err := bound(func(t lab.T) { results = measure(t, o) }); err != nil {
		return false, err
	}
	tell("")
	if o.json {
		err = results.writeJSON(os.Stdout)
	} else {
		results.write(os.Stdout)
	}
	return results.missed(), err
}

// build builds both daemons; the module of test/interop pins which wireguard-go
// that is.
func build(o options) error {
	if o.against != "" {
		b, err := lab.Build()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(o.against)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(b.Dir, o.rival()), text, 0o755)
	}
	root, err := lab.Root()
	if err != nil {
		return err
	}
	return lab.BuildFrom(filepath.Join(root, "test", "interop"), "golang.zx2c4.com/wireguard", lab.Theirs)
}

// rival is the name of the program that ours is compared with.
func (o options) rival() string {
	if o.against != "" {
		return "other"
	}
	return lab.Theirs
}

// tell is the progress line: one line that is written over on a terminal, else
// a line each; "" ends it.
func tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch info, err := os.Stderr.Stat(); {
	case err == nil && info.Mode()&os.ModeCharDevice != 0:
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
	case text != "":
		fmt.Fprintln(os.Stderr, text)
	}
}
