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

// span is what passed while a load was measured.
type span struct {
	load.Reading
	cpu time.Duration // of both daemons
}

// window lets the load settle and measures it at the receiver.
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

// busy is the part of the machine, from 0 to 1, that other programs may use
// before a measurement counts as disturbed.
const busy = 0.1

// round is one measurement of each side of a trial, one right after the other.
type round struct {
	figures [sidesCount][]float64
	foreign float64 // the part of the machine that other programs used
}

// extraRounds is how many rounds more than asked for are made at most, of each
// trial, until enough were undisturbed.
const extraRounds = 3

// course is the measurement of the whole table.
type course struct {
	options
	patience int // how often it still waits for other programs
	stands   map[string]*stand
	rounds   map[*trial][]round
}

// measure makes the table: in each round every trial, and of each trial every
// side, so that all see the same hours of the machine. Rounds that other
// programs disturbed are then made again while there is time; the quietest count.
func measure(t lab.T, o options) *results {
	c := &course{options: o, patience: 300,
		stands: map[string]*stand{}, rounds: map[*trial][]round{}}
	trials := o.trials()
	for n := range o.runs {
		for _, tr := range trials {
			if n == 0 || !tr.once && !c.late() {
				c.round(t, tr)
			}
		}
	}
	if o.again {
		c.again(t, trials)
	}
	res := newResults(o)
	for _, r := range rows {
		if o.selects(r) {
			rounds := c.rounds[r.from]
			slices.SortStableFunc(rounds, func(a, b round) int { return cmp.Compare(a.foreign, b.foreign) })
			res.add(r, rounds[:min(o.runs, len(rounds))])
		}
	}
	res.took = time.Since(c.began)
	return res
}

func (c *course) late() bool { return time.Since(c.began) > c.limit }

// again makes the rounds that were disturbed once more.
func (c *course) again(t lab.T, trials []*trial) {
	for range extraRounds {
		for _, tr := range trials {
			if !tr.once && undisturbed(c.rounds[tr]) < c.runs && !c.late() {
				c.round(t, tr)
			}
		}
	}
}

// trials are those that the selected rows need, in the order of the table.
func (o options) trials() (list []*trial) {
	for _, r := range rows {
		if o.selects(r) && !slices.Contains(list, r.from) {
			list = append(list, r.from)
		}
	}
	return list
}

// sides are those of a trial that the selected rows need.
func (o options) sides(tr *trial) (list []side) {
	for _, r := range rows {
		if r.from == tr && o.selects(r) {
			list = append(list, r.side, r.beside)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func undisturbed(rounds []round) (n int) {
	for _, r := range rounds {
		if r.foreign <= busy {
			n++
		}
	}
	return n
}

// round measures each side once, in turn forwards and backwards: what is first
// has no advantage.
func (c *course) round(t lab.T, tr *trial) {
	sides := c.sides(tr)
	n := len(c.rounds[tr])
	if n%2 == 1 {
		slices.Reverse(sides)
	}
	var r round
	for _, s := range sides {
		tell("%3.0f s: round %d, %s, %s", time.Since(c.began).Seconds(), n+1, tr.title, c.describe(s))
		foreign := 0.0
		r.figures[s], foreign = c.take(t, tr, s)
		r.foreign = max(r.foreign, foreign)
	}
	c.rounds[tr] = append(c.rounds[tr], r)
}

// take measures one side, and what of the machine other programs had meanwhile.
func (c *course) take(t lab.T, tr *trial, s side) (figures []float64, foreign float64) {
	st, run := c.stand(s), tr.run
	if s.ipv6() {
		run = overIPv6(run)
	}
	if tr.alone {
		return run(t, st, c.length), 0
	}
	c.awaitQuiet()
	before, known, cpu := clockMachine(), childrenCPU(), st.cpu()
	figures = run(t, st, c.length)
	return figures, before.foreign(childrenCPU() - known + st.cpu() - cpu)
}

// stand is that of a side's program; what is on it is built when it is used first.
func (c *course) stand(s side) *stand {
	program := c.program(s)
	if c.stands[program] == nil {
		c.stands[program] = &stand{program: program, nice: c.nice}
	}
	return c.stands[program]
}

// awaitQuiet waits for other programs to be done, two seconds at most and not
// for ever in sum; if they are not, the round will show it.
func (c *course) awaitQuiet() {
	for range 20 {
		m := clockMachine()
		time.Sleep(100 * time.Millisecond)
		if m.foreign(0) <= busy || c.patience == 0 {
			return
		}
		c.patience--
	}
}

// machine is what the processors have done so far.
type machine struct{ used, all time.Duration }

// clockMachine reads /proc/stat. Interrupts are left out of what was used: they
// are mostly ours.
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

// foreign is the part of the machine that went elsewhere since m, where mine is
// known to be ours.
func (m machine) foreign(mine time.Duration) float64 {
	now := clockMachine()
	if now.all == m.all {
		return 0
	}
	return max(0, float64(now.used-m.used-mine)/float64(now.all-m.all))
}

// childrenCPU is the processor time of this program and of the workers that ended.
func childrenCPU() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
