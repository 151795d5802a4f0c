// Spread measures what it gains, and costs, to process one direction of packets in
// several goroutines. It runs the real data path, with the kernel's interface and
// sockets, on a simulated host: with one goroutine, with a fixed number of several,
// and with as many as the engine decides. The other end needs little processor time,
// so that nearly both cores of a machine with two are free for what is measured:
// outbound packets have no receiver, and inbound ones are sealed in advance. The load
// is more than one goroutine can process.
//
//	go run ./test/spread [-way out|in] [-rate GBIT/S] [-seconds N] [-runs N] [-widths 1,2,0] [-steps]
//
// With -flows the load is small outbound packets of that many flows, and the widths
// are numbers of queues of the interface:
//
//	go run ./test/spread -flows 100 [-rate THOUSANDS A SECOND] ...
//
// If the engine tried one more goroutine or queue, the line says how often it did so
// since the beginning, and why it kept the number or not.
//
// With -steps it prints how long the three steps of a batch take. From these,
//
//	go run ./test/spread simulate [-read D] [-work D] [-write D] ...
//
// computes what to expect on machines with more cores.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"wgd/internal/lanes"
	"wgd/test/lab"
)

// A task has the parameters of the role of a process on a simulated host.
type task struct {
	Width   int     // goroutines, or queues; 0: the engine decides
	Flows   int     // of small packets; 0: one flow of large ones
	Kilo    float64 // thousands of small packets per second
	Gbit    float64 // Gbit/s, for load and source
	Seconds float64
	Trains  int // that source seals in advance
	Steps   bool
}

// crew has the roles of these processes. Only the tunnel is measured, and returns a
// result.
var crew = lab.Crew[task, result]{
	"tunnel": task.tunnel,
	"sink":   task.sink,
	"load":   task.load,
	"small":  task.small,
	"source": task.source,
}

// A result is what the tunnel has measured.
type result struct {
	Bytes   uint64 // of the direction that is measured
	Seconds float64
	Own     float64 // processor seconds of the tunnel
	Idle    float64 // of all processors
	Out, In direction
}

// A direction is what the tunnel has measured of one direction.
type direction struct {
	steps
	Goroutines, Queues lanes.Stats // since the beginning
}

func (d *direction) count(c *lanes.DirectionCounters) {
	d.Goroutines, d.Queues = c.Goroutines.Stats(), c.Queues.Stats()
}

// describeTrials returns the number of goroutines or queues now, and the outcomes of
// the trials with one more.
func describeTrials(s lanes.Stats) string {
	if s.Tried == 0 {
		return ""
	}
	text := fmt.Sprintf("now %d; %d trials, %d kept, %d failed", s.Now, s.Tried, s.Kept, s.Failed)
	for i, n := range s.Reasons {
		if n > 0 {
			text += fmt.Sprintf("; %d× %v", n, lanes.Reason(i))
		}
	}
	return text
}

func main() {
	crew.Become()
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
	rate := flag.Float64("rate", 12, "offered load, in Gbit/s inside the tunnel; with -flows, in thousands of packets per second, 1000 by default")
	seconds := flag.Float64("seconds", 3, "length of one measurement")
	runs := flag.Int("runs", 3, "rounds; each measures every width once")
	flows := flag.Int("flows", 0, "send small packets of this many flows")
	timed := flag.Bool("steps", false, "with one goroutine, print how long each step takes")
	list := flag.String("widths", "1,2,0", "numbers of goroutines, or of queues with -flows, comma-separated; 0: the engine decides")
	flag.Parse()
	if *flows > 0 && !given("rate") {
		*rate = 1000
	}
	if what := lab.Missing(); what != "" {
		return fmt.Errorf("this needs %s", what)
	}
	defer lab.RemoveBinaries()
	if *flows > 0 {
		*way = "out"
		fmt.Println(smallHead)
	} else {
		fmt.Println("way  goroutines  Gbit/s  CPU s/GB  own cores  idle cores  others' cores")
	}
	if *timed {
		*list = "1"
	}
	for range *runs {
		for _, word := range strings.Split(*list, ",") {
			width, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			t := task{Width: width, Seconds: *seconds, Steps: *timed, Flows: *flows}
			r, err := measureOnce(*way, t, *rate)
			if err != nil {
				return err
			}
			if *flows > 0 {
				t.printSmall(r)
				continue
			}
			d := r.Out
			if *way == "in" {
				d = r.In
			}
			gigabytes := float64(r.Bytes) / 1e9
			cores := float64(cores())
			fmt.Printf("%-3s  %10d  %6.2f  %8.2f  %9.2f  %10.2f  %13.2f  %s\n", *way, width, 8*gigabytes/r.Seconds, r.Own/gigabytes,
				r.Own/r.Seconds, r.Idle/r.Seconds, cores-(r.Own+r.Idle)/r.Seconds, describeTrials(d.Goroutines))
			if *timed {
				fmt.Printf("     -read %v -work %v -write %v\n", d.Read, d.Work, d.Write)
			}
		}
	}
	return nil
}

// given reports whether the flag is on the command line.
func given(name string) (yes bool) {
	flag.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// measureOnce makes one measurement, on new hosts.
func measureOnce(way string, t task, rate float64) (r result, err error) {
	err = lab.Bound(func(lt lab.T) {
		a, b := lab.Pair(lt)
		tunnel := crew.Start(a, "tunnel", t)
		defer tunnel.Stop()
		offered := task{Gbit: rate, Seconds: t.Seconds + 3}
		if way == "out" {
			sink := crew.Start(b, "sink", task{})
			defer sink.Stop()
			a.Must("ping -c 1 -W 1 %s >/dev/null; true", inner(2)) // begins the handshake
			role := "load"
			if offered.Flows, offered.Kilo = t.Flows, rate; t.Flows > 0 {
				role = "small"
			}
			load := crew.Start(a, role, offered)
			defer load.Stop()
		} else {
			offered.Trains = int(offered.Seconds * rate * 1e9 / 8 / trainSize)
			source := crew.Start(b, "source", offered)
			defer source.Stop()
		}
		r = tunnel.Ask()
	})
	return r, err
}
