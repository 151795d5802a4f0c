// Spread measures what it brings, and costs, to carry one way of the packets by
// several goroutines: on a simulated host the real data path with the kernel's
// interface and sockets, with one goroutine, with several always, and as it
// decides itself. The other end is cheap, so that a machine of two cores has
// nearly both of them for what is measured: on the way out nobody receives, on
// the way in what arrives was sealed before. Load comes at a rate above what
// one goroutine carries.
//
//	go run ./test/spread [-way out|in] [-rate GBIT/S] [-seconds N] [-runs N] [-widths 1,2,0] [-steps]
//
// With -steps it tells how long the three steps of a batch take; with these,
//
//	go run ./test/spread simulate [-read D] [-work D] [-write D] ...
//
// tells what they promise on machines with more cores than this one has.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"wgd/test/lab"
)

// roleEnv has what a process on a simulated host is to do.
const roleEnv = "WGD_SPREAD_ROLE"

// task is one process's.
type task struct {
	Role    string  // tunnel, sink, load or source
	Width   int     // goroutines; 0: as it decides
	Gbit    float64 // a second, for load and source
	Seconds float64
	Trains  int // that source seals beforehand
	Steps   bool
}

// result is what the tunnel has seen, between two looks.
type result struct {
	Bytes   uint64 // of the way that is measured
	Seconds float64
	Own     float64  // processor seconds of the tunnel
	Idle    float64  // of all processors
	Widths  []string // as they changed, and why
	Out, In steps
}

func main() {
	if text := os.Getenv(roleEnv); text != "" {
		var t task
		err := json.Unmarshal([]byte(text), &t)
		if err == nil {
			err = t.run()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "spread:", t.Role+":", err)
			os.Exit(1)
		}
		return
	}
	lab.BecomeAgent()
	run := measure
	if len(os.Args) > 1 && os.Args[1] == "simulate" {
		run = func() error { return printSimulation(os.Args[2:]) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "spread:", err)
		os.Exit(1)
	}
}

func measure() error {
	way := flag.String("way", "out", "out, or in")
	rate := flag.Float64("rate", 12, "offered, in Gbit/s inside the tunnel")
	seconds := flag.Float64("seconds", 3, "length of one measurement")
	runs := flag.Int("runs", 3, "rounds; in each, every width once")
	timed := flag.Bool("steps", false, "with one goroutine, tell how long each step takes")
	list := flag.String("widths", "1,2,0", "goroutines, comma-separated; 0: as it decides itself")
	flag.Parse()
	if what := lab.Missing(); what != "" {
		return fmt.Errorf("this needs %s", what)
	}
	defer lab.RemoveBinaries()
	fmt.Println("way  goroutines  Gbit/s  CPU s/GB  own cores  idle cores  others' cores")
	if *timed {
		*list = "1"
	}
	for range *runs {
		for _, word := range strings.Split(*list, ",") {
			width, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			r, err := one(*way, task{Role: "tunnel", Width: width, Seconds: *seconds, Steps: *timed}, *rate)
			if err != nil {
				return err
			}
			gigabytes := float64(r.Bytes) / 1e9
			cores := float64(cores())
			fmt.Printf("%-3s  %10d  %6.2f  %8.2f  %9.2f  %10.2f  %13.2f  %s\n", *way, width, 8*gigabytes/r.Seconds, r.Own/gigabytes,
				r.Own/r.Seconds, r.Idle/r.Seconds, cores-(r.Own+r.Idle)/r.Seconds, strings.Join(r.Widths, ", "))
			if *timed {
				s := r.Out
				if *way == "in" {
					s = r.In
				}
				fmt.Printf("     -read %v -work %v -write %v\n", s.Read, s.Work, s.Write)
			}
		}
	}
	return nil
}

// one measures once, on hosts of its own.
func one(way string, tunnel task, rate float64) (r result, err error) {
	s := &stage{}
	defer s.end()
	defer func() {
		if p := recover(); p != nil {
			text, ok := p.(failure)
			if !ok {
				panic(p)
			}
			err = text
		}
	}()
	a, b := lab.Pair(s)
	seconds := tunnel.Seconds
	start(a, tunnel)
	ready(a, "tunnel")
	if way == "out" {
		start(b, task{Role: "sink"})
		ready(b, "sink")
		a.Must("ping -c 1 -W 1 10.9.0.2 >/dev/null; true") // begins the handshake
		start(a, task{Role: "load", Gbit: rate, Seconds: seconds + 3})
	} else {
		start(b, task{Role: "source", Gbit: rate, Seconds: seconds + 3, Trains: int((seconds + 3) * rate * 1e9 / 8 / trainSize)})
		lab.Until(s, time.Minute, "what is to be received is sealed", func() (bool, string) { return b.Exists("/run/source.ready"), log(b, "source") })
	}
	lab.Until(s, time.Minute, "the measurement", func() (bool, string) { return a.Exists("/run/tunnel.json"), log(a, "tunnel") })
	text, err := os.ReadFile(a.Path("/run/tunnel.json"))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}

func ready(h *lab.Host, role string) {
	h.Must("for i in $(seq 100); do test -e /run/%s.ready && exit 0; sleep 0.1; done; cat /run/%s.log; exit 1", role, role)
}

func log(h *lab.Host, role string) string {
	text, _ := os.ReadFile(h.Path("/run/" + role + ".log"))
	return string(text)
}

// start starts a task on a host; it ends with the host.
func start(h *lab.Host, t task) {
	program, err := os.Executable()
	if err != nil {
		panic(failure(err.Error()))
	}
	text, err := json.Marshal(t)
	if err != nil {
		panic(failure(err.Error()))
	}
	h.Must("%s='%s' %s >/run/%s.log 2>&1 </dev/null &", roleEnv, text, program, t.Role)
}

// stage is a lab.T for a program.
type stage struct{ cleanups []func() }

// failure ends a measurement.
type failure string

func (f failure) Error() string { return string(f) }

func (s *stage) Helper()                           {}
func (s *stage) Name() string                      { return "spread" }
func (s *stage) Failed() bool                      { return false }
func (s *stage) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *stage) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (s *stage) Errorf(format string, args ...any) { s.Logf(format, args...) }
func (s *stage) Fatalf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (s *stage) end() {
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		last()
	}
}
