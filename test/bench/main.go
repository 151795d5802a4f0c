// Bench compares the tunnel with that of wireguard-go on this machine. Each program
// has two simulated hosts and a wire between them. In each round every row is
// measured with every program, one right after the other, so that a drift in the
// speed of the machine affects all alike. Rounds during which other programs were
// busy are repeated. Compare the ratios: absolute figures vary between runs. The
// rows are in rows.go. If a target is missed, the exit status is 1.
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
	limit  time.Duration // no measurement begins later
	length time.Duration // of one measurement
	json   bool
	all    bool
	only   []string
	nice   int

	against string   // a program in place of wireguard-go
	files   []string // the documents that -write fills in
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
	quick := flag.Bool("quick", false, "one round of one second, to see whether everything works; its figures mean little")
	flag.DurationVar(&o.limit, "limit", 12*time.Minute, "begin no measurement after this time; rows then have fewer rounds")
	flag.BoolVar(&o.json, "json", false, "print JSON, with every sample")
	flag.BoolVar(&o.all, "all", false, "measure also the rows without a target")
	flag.IntVar(&o.nice, "nice", -10, "nice value of the daemons and the load; 0 changes nothing")
	flag.StringVar(&o.against, "against", "", "compare with this program, such as an older wgd, instead of wireguard-go; there are no targets then")
	write := flag.String("write", "", "fill in the table, or a summary, in these documents, comma-separated, between the lines that mark the places: README.md,docs/performance.md")
	only := flag.String("only", "", "measure only these rows, comma-separated: "+strings.Join(ids(rows), ", "))
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

// usage prints the help.
func usage() {
	fmt.Fprint(os.Stderr, `Compares the tunnel with that of wireguard-go. Needs root. Options:

`)
	flag.PrintDefaults()
	fmt.Fprint(os.Stderr, `
All daemons have the same environment: they do not inherit GOMAXPROCS, GODEBUG, GOGC, GOMEMLIMIT
and LOG_LEVEL, and the load does not inherit the first four. E2E_RACE and E2E_BIN are for tests,
and ignored. GOFLAGS, GOAMD64 and other variables of go build affect every program except that of
-against, which is already built.
`)
}

func (o options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("%q: there are only options: see -help", rest[0])
	}
	if o.runs < 1 || o.length < 100*time.Millisecond {
		return errors.New("-runs and -seconds: give at least one run, and at least 0.1 seconds")
	}
	for _, id := range o.only {
		if !slices.Contains(ids(rows), id) {
			return fmt.Errorf("-only %q: no such row; there are %s", id, strings.Join(ids(rows), ", "))
		}
	}
	for _, r := range rows {
		if o.against != "" && r.from.inside && slices.Contains(o.only, r.id) {
			return fmt.Errorf("-only %q: this row is measured with a program of its own, and -against has none", r.id)
		}
	}
	for _, file := range o.files { // before the minutes of measuring
		if err := hasPlace(file); err != nil {
			return err
		}
	}
	return nil
}

// selects reports whether the options select a row.
func (o options) selects(r row) bool {
	if o.against != "" && r.from.inside {
		return false
	}
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
	showProgress("building")
	if err := build(o); err != nil {
		return false, err
	}
	defer weighOwnSession(o.nice)()
	where := look(o)
	var results *results
	if err := lab.Bound(func(t lab.T) { results = measure(t, o) }); err != nil {
		return false, err
	}
	results.notes = append(results.notes, o.describeOthers()...)
	showProgress("")
	if o.json {
		err = results.writeJSON(os.Stdout)
	} else {
		results.write(os.Stdout, where)
	}
	return results.missed(), errors.Join(err, results.writeInto(o.files, where))
}

// relayName is the program that does everything except encrypting.
const relayName = "wgd-null"

// build builds the programs. The module of test/interop pins the version of
// wireguard-go.
func build(o options) error {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	if err := lab.BuildFrom(root, "./cmd/wgd", relayName, "-tags", "nullaead"); err != nil {
		return err
	}
	if err := lab.BuildFrom(root, "./test/stackload/wgdstack", stackProgram(lab.Ours)); err != nil {
		return err
	}
	if err := o.buildOthers(filepath.Join(root, "test", "bench")); err != nil {
		return err
	}
	if o.against == "" {
		interop := filepath.Join(root, "test", "interop")
		if err := lab.BuildFrom(interop, "./stack", stackProgram(lab.Theirs)); err != nil {
			return err
		}
		return lab.BuildFrom(interop, "golang.zx2c4.com/wireguard", lab.Theirs)
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

// program returns the name of the program that a side runs.
func (o options) program(s side) string {
	switch s {
	case rival, rivalIPv6:
		return o.rival()
	case relay:
		return relayName
	case fork:
		return forkName
	case nebula:
		return nebulaName
	}
	return lab.Ours
}

// describe returns a description of a side for people.
func (o options) describe(s side) string {
	switch {
	case s.ipv6():
		return o.program(s) + " over IPv6"
	case s == oursProxied:
		return o.program(s) + " through SOCKS5"
	}
	return o.program(s)
}

// rival returns the name of the program that ours is compared with.
func (o options) rival() string {
	if o.against != "" {
		return "other"
	}
	return lab.Theirs
}

// showProgress prints a line on standard error. On a terminal it overwrites the one
// before; "" removes it.
func showProgress(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch info, err := os.Stderr.Stat(); {
	case err == nil && info.Mode()&os.ModeCharDevice != 0:
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s", text)
	case text != "":
		fmt.Fprintln(os.Stderr, text)
	}
}
