package main

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"wgd/test/lab"
)

// span is what passed while a load was measured.
type span struct {
	bytes, packets uint64
	took           time.Duration
	cpu            time.Duration // of both daemons
}

// window lets the load settle and measures it at the receiver.
func window(t lab.T, p *pair, sink *worker, length time.Duration) span {
	time.Sleep(warmUp)
	cpu, before := p.cpu(t), sink.ask(t)
	time.Sleep(length)
	after, spent := sink.ask(t), p.cpu(t)-cpu
	w := span{after.Bytes - before.Bytes, after.Packets - before.Packets,
		time.Duration(after.Nanoseconds - before.Nanoseconds), spent}
	if w.packets == 0 {
		t.Fatalf("%s: nothing arrived in %v", p.daemon, length)
	}
	return w
}

// busy is the part of the machine, from 0 to 1, that other programs may use
// before a measurement counts as disturbed.
const busy = 0.1

// round is one measurement of each daemon, one right after the other.
type round struct {
	ours, theirs []float64
	foreign      float64 // the part of the machine that other programs used
}

// extraRounds is how many rounds more than asked for are made at most, until
// enough were undisturbed.
const extraRounds = 3

// measure makes the table. Of each trial it keeps the quietest rounds.
func measure(t lab.T, o options) *results {
	res := &results{lines: []line{}, rival: o.rival()}
	var ours, theirs *pair
	for _, trial := range trials {
		if !slices.ContainsFunc(trial.rows, o.selects) {
			continue
		}
		if ours == nil {
			tell("two pairs of hosts, one for each daemon")
			ours, theirs = newPair(t, lab.Ours, o.nice), newPair(t, o.rival(), o.nice)
		}
		runs, most := o.runs, o.runs+extraRounds
		if trial.once {
			runs, most = 1, 1
		}
		var rounds []round
		for n := 1; n <= most && undisturbed(rounds) < runs; n++ {
			rounds = append(rounds, oneRound(t, &trial, ours, theirs, o, n, max(n, runs)))
		}
		slices.SortStableFunc(rounds, func(a, b round) int { return cmp.Compare(a.foreign, b.foreign) })
		res.add(&trial, o, rounds[:runs])
	}
	return res
}

func undisturbed(rounds []round) (n int) {
	for _, r := range rounds {
		if r.foreign <= busy {
			n++
		}
	}
	return n
}

func oneRound(t lab.T, trial *trial, ours, theirs *pair, o options, n, of int) (r round) {
	for _, p := range []*pair{ours, theirs} {
		tell("%s: run %d of %d, %s", trial.title, n, of, p.daemon)
		if !trial.alone {
			awaitQuiet()
		}
		before := clockMachine()
		known := childrenCPU()
		cpu := p.cpu(t)
		figures := trial.run(t, p, o.length)
		if p == ours {
			r.ours = figures
		} else {
			r.theirs = figures
		}
		if !trial.alone {
			mine := childrenCPU() - known + p.cpu(t) - cpu
			r.foreign = max(r.foreign, before.foreign(mine))
		}
	}
	return r
}

// awaitQuiet waits two seconds at most for other programs to be done; if they are
// not, the round will show it.
func awaitQuiet() {
	for range 6 {
		m := clockMachine()
		time.Sleep(300 * time.Millisecond)
		if m.foreign(0) <= busy {
			return
		}
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
