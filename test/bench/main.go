// Bench measures the tunnel beside wireguard-go's, on this machine, now: for
// each program two simulated hosts and a wire between them. In each round every
// row is measured with every program, one right after the other, so that a
// machine whose speed drifts treats all alike; rounds during which other programs
// were busy are repeated. Ratios count, absolute figures move. The rows are in
// rows.go. Where a target is missed, the exit status is 1.
//
//	go run ./test/bench [-quick] [-write FILE,...] [-runs N] [-seconds N] [-all] [-only ROW,...] [-against FILE] [-json]
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
	"wgd/test/load"
)

type options struct {
	began  time.Time
	runs   int
	again  bool          // measure disturbed rounds again
	limit  time.Duration // no measurement is begun later than that
	length time.Duration // of one measurement
	json   bool
	all    bool
	only   []string
	nice   int

	against string   // a program in place of wireguard-go
	files   []string // documents to write the table into
}

func main() {
	load.Become()
	lab.BecomeAgent()
	o := parse()
	raise(o.nice)
	missed, err := bench(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed {
		fmt.Fprintln(os.Stderr, "bench: a target is missed")
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.IntVar(&o.runs, "runs", 5, "rounds: how often each row is measured with each program")
	seconds := flag.Float64("seconds", 2, "length of one measurement")
	quick := flag.Bool("quick", false, "one round of one second: to see that all works; its figures say little")
	flag.DurationVar(&o.limit, "limit", 9*time.Minute, "begin nothing after this time: rows then have fewer rounds")
	flag.BoolVar(&o.json, "json", false, "print JSON, with every sample")
	flag.BoolVar(&o.all, "all", false, "also the rows without a target")
	flag.IntVar(&o.nice, "nice", -10, "nice value of the daemons and the load; 0 leaves it as it is")
	flag.StringVar(&o.against, "against", "", "compare with this program, say an older wgd, instead of wireguard-go; no targets then")
	write := flag.String("write", "", "write the table, or a summary, into these documents, comma-separated, between the lines that mark the places: README.md,docs/performance.md")
	only := flag.String("only", "", "these rows alone, comma-separated: "+strings.Join(ids(rows), ", "))
	flag.Usage = usage
	flag.Parse()
	if *quick {
		o.runs, *seconds = 1, 1
	}
	o.again = !*quick
	o.length = time.Duration(*seconds * float64(time.Second))
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if *write != "" {
		o.files = strings.Split(*write, ",")
	}
	if err := o.check(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	return o
}

// usage is what -help says.
func usage() {
	fmt.Fprint(os.Stderr, `Measures the tunnel beside wireguard-go's. As root; options:

`)
	flag.PrintDefaults()
	fmt.Fprint(os.Stderr, `
The daemons have an environment of their own, the same for all: GOMAXPROCS, GODEBUG, GOGC,
GOMEMLIMIT and LOG_LEVEL do not reach them, nor the first four the load. E2E_RACE and E2E_BIN
are for tests and ignored. GOFLAGS, GOAMD64 and what else go build heeds is for every program
but the one of -against, which is built already.
`)
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
	for _, file := range o.files { // before the minutes of measuring
		if err := hasPlace(file); err != nil {
			return err
		}
	}
	return nil
}

// selects says whether a row is asked for.
func (o options) selects(r row) bool {
	if len(o.only) > 0 {
		return slices.Contains(o.only, r.id)
	}
	return o.all || !r.extra
}

func bench(o options) (missed bool, err error) {
	if what := lab.Missing(); what != "" {
		return false, fmt.Errorf("this needs %s\nNothing was measured. As root: sudo make bench", what)
	}
	lab.BuildPlainly()
	defer lab.RemoveBinaries()
	o.began = time.Now()
	tell("building")
	if err := build(o); err != nil {
		return false, err
	}
	defer weighOwnSession(o.nice)()
	where := look(o)
	var results *results
	if err := lab.Bound(func(t lab.T) { results = measure(t, o) }); err != nil {
		return false, err
	}
	tell("")
	if o.json {
		err = results.writeJSON(os.Stdout)
	} else {
		results.write(os.Stdout, where)
	}
	return results.missed(), errors.Join(err, results.writeInto(o.files, where))
}

// relayName is the program that does everything but encrypt.
const relayName = "wgd-null"

// build builds the programs; the module of test/interop pins which wireguard-go
// that is.
func build(o options) error {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	if err := lab.BuildFrom(root, "./cmd/wgd", relayName, "-tags", "nullaead"); err != nil {
		return err
	}
	if o.against == "" {
		return lab.BuildFrom(filepath.Join(root, "test", "interop"), "golang.zx2c4.com/wireguard", lab.Theirs)
	}
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

// program is what a side runs.
func (o options) program(s side) string {
	switch s {
	case rival, rivalIPv6:
		return o.rival()
	case relay:
		return relayName
	}
	return lab.Ours
}

// describe names a side for people.
func (o options) describe(s side) string {
	if s.ipv6() {
		return o.program(s) + " over IPv6"
	}
	return o.program(s)
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
