package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"time"
)

// A machine is what a simulated lane runs on: how long the steps of a batch take,
// how many goroutines there are, each on its own core, and what waiting costs. Only
// one goroutine at a time can read, and only one can write, in order.
type machine struct {
	steps
	width int

	handOver   time.Duration // from one goroutine to another that is awake, on another core
	patience   time.Duration // how long a waiting goroutine spins before it sleeps
	wakeUp     time.Duration // the delay of a goroutine that wakes another
	jitter     float64       // the fraction by which the time of a step varies
	contention float64       // the fraction by which steps take longer if several cores work
}

// An outcome is the result of many batches.
type outcome struct {
	each   time.Duration // time from one batch to the next
	used   time.Duration // processor time per batch
	asleep float64       // fraction of the waits that ended in sleep
}

// passed says when the read lock, or the turn to write, was passed on, and by which
// goroutine.
type passed struct {
	at time.Duration
	by int
}

// simulate runs a lane of internal/lanes as a discrete-event simulation. A
// goroutine takes the read lock, reads, passes the lock on, works, waits for its
// turn to write, writes, and passes the turn on. So the events of each batch follow
// from those of the previous batch, and of the previous batch of the goroutine.
func (m *machine) simulate(batches int, seed uint64) outcome {
	dice := rand.New(rand.NewPCG(seed, 1))
	var used time.Duration
	var waits, slept int
	cost := func(d time.Duration) time.Duration {
		d = time.Duration(float64(d) * (1 + m.jitter*(2*dice.Float64()-1)))
		if m.width > 1 {
			d = time.Duration(float64(d) * (1 + m.contention))
		}
		used += d
		return d
	}
	done := make([]time.Duration, m.width) // when each goroutine has finished its last batch
	// wait returns the time at which a goroutine that waits since now has what was passed
	// on.
	wait := func(now time.Duration, from passed) time.Duration {
		if from.at <= now {
			return now
		}
		waits++
		if from.at-now <= m.patience {
			used += from.at - now + m.handOver
			return from.at + m.handOver
		}
		// The core of the goroutine that wakes another continues with the other.
		slept++
		used += m.patience + m.wakeUp
		done[from.by] += m.wakeUp
		return from.at + m.handOver
	}
	var lock, turn passed
	for range batches {
		next := 0
		for i, t := range done {
			if t < done[next] {
				next = i
			}
		}
		now := wait(done[next], lock) + cost(m.Read)
		lock = passed{now, next}
		now += cost(m.Work)
		now = wait(now, turn) + cost(m.Write)
		turn = passed{now, next}
		done[next] = now
	}
	n := time.Duration(batches)
	o := outcome{each: turn.at / n, used: used / n}
	if waits > 0 {
		o.asleep = float64(slept) / float64(waits)
	}
	return o
}

// printSimulation prints what to expect with several goroutines.
func printSimulation(args []string) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	m := machine{}
	flags.DurationVar(&m.Read, "read", 10*time.Microsecond, "time to read a batch of 61,248 bytes")
	flags.DurationVar(&m.Work, "work", 36*time.Microsecond, "time to seal or open it")
	flags.DurationVar(&m.Write, "write", 9*time.Microsecond, "time to write it")
	flags.DurationVar(&m.handOver, "handover", 300*time.Nanosecond, "time to hand over between goroutines that are awake")
	flags.DurationVar(&m.patience, "patience", 100*time.Microsecond, "how long a waiting goroutine spins before it sleeps")
	flags.DurationVar(&m.wakeUp, "wakeup", 50*time.Microsecond, "time to wake a sleeping goroutine")
	flags.Float64Var(&m.jitter, "jitter", 0.2, "fraction by which the time of each step varies")
	flags.Float64Var(&m.contention, "contention", 0, "fraction by which each step takes longer if several cores work")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Println("goroutines  Gbit/s  speed-up  CPU per byte  waits that end in sleep")
	var alone outcome
	for _, m.width = range []int{1, 2, 3, 4, 6, 8, 16} {
		o := m.simulate(100_000, 1)
		if m.width == 1 {
			alone = o
		}
		fmt.Printf("%10d  %6.1f  %7.2f×  %11.2f×  %5.0f %%\n", m.width, trainSize*8/float64(o.each),
			float64(alone.each)/float64(o.each), float64(o.used)/float64(alone.used), 100*o.asleep)
	}
	return nil
}
