package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
	"wgd/test/load"
)

// A span is what a load and the daemons did during a measurement.
type span struct {
	load.Reading
	cpu time.Duration // of both daemons
}

// window lets the load settle, and then measures it at the receiver.
func window(t lab.T, p *pair, sink *load.Worker, length time.Duration) span {
	time.Sleep(warmUp)
	cpu, before := p.cpu(), sink.Ask()
	time.Sleep(length)
	w := span{sink.Ask().Since(before), p.cpu() - cpu}
	if w.Packets == 0 {
		t.Fatalf("%s: nothing arrived in %v", p.daemon, length)
	}
	return w
}

// busy is the share of the machine, from 0 to 1, that other programs may use
// before a measurement counts as disturbed.
const busy = 0.1

// A round is one measurement of each side of a workload, one right after the other.
type round struct {
	figures [sidesCount][]float64
	others  float64 // the share of the machine that other programs used
}

// extraRounds is how many more rounds of a workload there may be to replace those
// that were disturbed.
const extraRounds = 3

// A benchmark is the measurement of the whole table.
type benchmark struct {
	options
	waits    int // how often it may still wait for other programs
	testbeds map[string]*testbed
	rounds   map[*workload][]round
}

// measure fills in the table. Each round measures every workload with every side,
// so that all see the machine in the same state. Then it repeats rounds that other
// programs disturbed, while there is time. The least disturbed ones count.
func measure(t lab.T, o options) *results {
	b := &benchmark{options: o, waits: 300,
		testbeds: map[string]*testbed{}, rounds: map[*workload][]round{}}
	workloads := o.workloads()
	for n := range o.runs {
		for _, w := range workloads {
			if n == 0 || !w.once && !b.late() {
				b.round(t, w)
			}
		}
	}
	if o.again {
		b.again(t, workloads)
	}
	res := newResults(o)
	for _, r := range rows {
		if o.selects(r) {
			rounds := b.rounds[r.from]
			slices.SortStableFunc(rounds, func(x, y round) int { return cmp.Compare(x.others, y.others) })
			res.add(r, rounds[:min(o.runs, len(rounds))])
		}
	}
	res.took = time.Since(b.began)
	return res
}

func (b *benchmark) late() bool { return time.Since(b.began) > b.limit }

// again repeats the rounds that were disturbed.
func (b *benchmark) again(t lab.T, workloads []*workload) {
	for range extraRounds {
		for _, w := range workloads {
			if !w.once && undisturbed(b.rounds[w]) < b.runs && !b.late() {
				b.round(t, w)
			}
		}
	}
}

// workloads returns those that the selected rows need, in the order of the table.
func (o options) workloads() (list []*workload) {
	for _, r := range rows {
		if o.selects(r) && !slices.Contains(list, r.from) {
			list = append(list, r.from)
		}
	}
	return list
}

// sides returns the sides of a workload that the selected rows compare.
func (o options) sides(w *workload) (list []side) {
	for _, r := range rows {
		if r.from == w && o.selects(r) {
			list = append(list, r.side, r.baseline)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// undisturbed returns how many rounds other programs did not disturb.
func undisturbed(rounds []round) (n int) {
	for _, r := range rounds {
		if r.others <= busy {
			n++
		}
	}
	return n
}

// round measures each side once. The order is reversed in every other round, so
// that no side has the advantage of being first.
func (b *benchmark) round(t lab.T, w *workload) {
	sides := b.sides(w)
	n := len(b.rounds[w])
	if n%2 == 1 {
		slices.Reverse(sides)
	}
	var r round
	for _, s := range sides {
		showProgress("%3.0f s: round %d, %s, %s", time.Since(b.began).Seconds(), n+1, w.title, b.describe(s))
		others := 0.0
		r.figures[s], others = b.take(t, w, s)
		r.others = max(r.others, others)
	}
	b.rounds[w] = append(b.rounds[w], r)
}

// take measures one side. It also returns the share of the machine that other
// programs used meanwhile.
func (b *benchmark) take(t lab.T, w *workload, s side) (figures []float64, others float64) {
	bed, run := b.testbed(s), w.run
	if s.ipv6() {
		run = overIPv6(run)
	}
	if s == oursProxied {
		run = stackRun(true)
	}
	if s == oursBeside || s == oursCaptured {
		run = streamCaptured(s)
	}
	if w.alone {
		return run(t, bed, b.length), 0
	}
	b.awaitQuiet()
	before, known, cpu := clockMachine(), childrenCPU(), bed.cpu()
	figures = run(t, bed, b.length)
	return figures, before.others(childrenCPU() - known + bed.cpu() - cpu)
}

// testbed returns the testbed of a side's program.
func (b *benchmark) testbed(s side) *testbed {
	program := b.program(s)
	if b.testbeds[program] == nil {
		b.testbeds[program] = &testbed{program: program, nice: b.nice}
	}
	return b.testbeds[program]
}

// awaitQuiet waits until other programs use little of the machine, up to two
// seconds, and with a limit for the whole benchmark. If they remain busy, the round
// counts as disturbed.
func (b *benchmark) awaitQuiet() {
	for range 20 {
		m := clockMachine()
		time.Sleep(100 * time.Millisecond)
		if m.others(0) <= busy || b.waits == 0 {
			return
		}
		b.waits--
	}
}

// A machine is the processor time that was used so far, and all that there was.
type machine struct{ used, all time.Duration }

// clockMachine reads /proc/stat. It does not count interrupts as used, because most
// of them are for the packets of the load.
func clockMachine() (m machine) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseInt(word, 10, 64)
		d := time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 on every Linux
		const user, nice, system, steal, guest = 0, 1, 2, 7, 8
		if i >= guest {
			break // counted as user already
		}
		m.all += d
		if i == user || i == nice || i == system || i == steal {
			m.used += d
		}
	}
	return m
}

// others returns the share of the machine that other programs used since m. mine is
// the processor time that this program and the daemons used.
func (m machine) others(mine time.Duration) float64 {
	now := clockMachine()
	if now.all == m.all {
		return 0
	}
	return max(0, float64(now.used-m.used-mine)/float64(now.all-m.all))
}

// childrenCPU returns the processor time of this program and of the workers that
// have ended.
func childrenCPU() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
