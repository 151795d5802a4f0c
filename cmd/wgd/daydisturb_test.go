package main

import (
	"fmt"
	"time"

	"wgd/conf"
	"wgd/key"
)

// newDaemon begins another run.
func (d *day) newDaemon() {
	if d.daemon != nil {
		d.daemon.ended, d.daemon.up = true, false
	}
	d.runs++
	d.daemon = &dayDaemon{run: fmt.Sprintf("RUN%d", d.runs)}
}

// disturb does everything that may happen to the gateway and to the watch, in a random
// order, with pauses between.
func (d *day) disturb() {
	type step struct {
		name string
		do   func() time.Duration
	}
	var steps []step
	for range 2 {
		steps = append(steps, step{"bounce", d.bounce}, step{"crash", d.crash}, step{"restart", d.restart}, step{"suspend", d.suspend},
			step{"set clock", d.setClock}, step{"set clock", d.setClock}, step{"flood", d.flood})
	}
	steps = append(steps, step{"replace key", d.replaceKey}, step{"watch away", d.watchAway}, step{"watch torn", d.watchTorn}, step{"watch blocked", d.watchBlocked},
		step{"watch misses a restart", d.watchMissesRestart}, step{"watch misses a run", d.watchMissesRun}, step{"watch misses a flood", d.watchMissesFlood})
	d.random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	pause := d.length / time.Duration(len(steps)+1)
	d.loop(func() time.Duration {
		if len(steps) == 0 {
			return 0
		}
		took := steps[0].do()
		d.t.Logf("%v: %s, for %v", d.net.Now(), steps[0].name, took)
		steps = steps[1:]
		return took + d.between(pause/3, pause)
	})
}

// bounce takes the interface down, and up again.
func (d *day) bounce() time.Duration {
	took := d.between(time.Second, 10*time.Minute)
	d.gateway.Down()
	d.truth.reset()
	d.emit(conf.Event{Kind: conf.WentDown})
	d.net.After(took, func() {
		d.gateway.Up()
		d.emit(conf.Event{Kind: conf.WentUp})
	})
	return took
}

// outage ends the daemon and starts another one later.
func (d *day) outage(orderly bool, took time.Duration) time.Duration {
	d.busy = true
	d.newDaemon()
	next := d.daemon
	d.net.After(took, func() {
		d.busy, next.up = false, true
		d.emit(conf.Event{Kind: conf.WentUp})
	})
	d.gateway.Sleep(took)
	d.gateway.Restart(orderly)
	d.truth.reset()
	d.truth.configured()
	d.watch.look()
	return took
}

func (d *day) crash() time.Duration {
	return d.outage(false, d.between(time.Millisecond, 5*time.Minute))
}

func (d *day) restart() time.Duration {
	return d.outage(true, d.between(time.Millisecond, time.Minute))
}

// suspend suspends the gateway's computer.
func (d *day) suspend() time.Duration {
	took := d.between(time.Second, 30*time.Minute)
	d.busy = true
	d.gateway.Suspend(took)
	d.net.After(took, func() { d.busy = false })
	d.truth.suspended(took)
	return took
}

// setClock sets the wall clock forwards or back. An event follows.
func (d *day) setClock() time.Duration {
	d.gateway.Wall += d.between(0, 6*time.Hour) - 3*time.Hour
	d.emit(conf.Event{Kind: conf.ConfigurationChanged})
	return time.Second
}

// flood is a flood of events that tell nothing about peers.
func (d *day) flood() time.Duration {
	d.noise(d.random.IntN(2 * keptByDaemon))
	return time.Second
}

func (d *day) noise(n int) {
	for range n {
		d.emit(conf.Event{Kind: conf.PacketsDropped, Cause: "mac1", Reason: "noise", Count: 7})
	}
}

// replaceKey gives the gateway another private key, which its peers get later.
func (d *day) replaceKey() time.Duration {
	d.gateway.Private = key.NewPrivate(&[32]byte{byte(d.random.Uint32()), 9})
	d.change(conf.Change{PrivateKey: &d.gateway.Private})
	took := time.Duration(0)
	for _, p := range d.peers {
		after := d.between(0, 10*time.Minute)
		d.net.After(after, p.follow)
		took = max(took, after)
	}
	return took
}

// watchAway is a wgd watch that is ended and started again. The daemon keeps what happens.
func (d *day) watchAway() time.Duration {
	took := d.between(time.Second, time.Hour)
	d.watch.kill(false)
	d.net.After(took, d.watch.start)
	return took
}

// watchTorn is one that ends in the middle of a line.
func (d *day) watchTorn() time.Duration {
	took := d.between(time.Second, 10*time.Minute)
	d.watch.kill(true)
	d.net.After(took, d.watch.start)
	return took
}

// watchBlocked is one that cannot write for so long that it misses events.
func (d *day) watchBlocked() time.Duration {
	took := d.between(10*time.Minute, time.Hour)
	d.watch.blocked = true
	d.net.After(took/2, func() { d.noise(keptByDaemon + 1) })
	d.net.After(took, func() {
		d.watch.blocked = false
		d.watch.look()
	})
	return took
}

// watchMissesRestart is one that does not run when another daemon begins.
func (d *day) watchMissesRestart() time.Duration {
	took := d.between(20*time.Minute, time.Hour)
	d.watch.kill(false)
	d.net.After(took/2, func() { d.outage(d.chance(0.5), d.between(time.Millisecond, 5*time.Minute)) })
	d.net.After(took, d.watch.start)
	return took
}

// watchMissesRun is one that sees a daemon end, and not that there was another one before
// the next that it sees.
func (d *day) watchMissesRun() time.Duration {
	took := d.between(20*time.Minute, time.Hour)
	d.outage(true, 10*time.Second)
	d.net.After(5*time.Second, func() { d.watch.kill(false) })
	d.net.After(took/2, func() { d.outage(true, time.Minute) })
	d.net.After(took, d.watch.start)
	return took
}

// watchMissesFlood is one that does not run while more happens than the daemon keeps.
func (d *day) watchMissesFlood() time.Duration {
	took := d.between(10*time.Minute, time.Hour)
	d.watch.kill(false)
	d.net.After(took*3/4, func() { d.noise(keptByDaemon / 2 * (1 + d.random.IntN(2))) })
	d.net.After(took, d.watch.start)
	return took
}
