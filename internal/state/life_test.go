package state

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/index"
	"wgd/internal/wire"
	"wgd/key"
)

// tunnel is a host whose processes die one after the other: the machine of the
// protocol, and its Log on a disk on which the power may fail at any step.
type tunnel struct {
	t       *testing.T
	disk    *memDisk
	dice    *rand.Rand
	mono    clock.Time
	wall    time.Duration // by which the wall clock is ahead of mono
	machine *core.Machine
	log     *Log
	remote  key.Public
	sent    wire.TAI64N // the greatest stamp that left the host

	// How many messages leave before the disk has a ceiling that came with one.
	lag     int
	left    int
	pending []wire.TAI64N
}

func newTunnel(t *testing.T, seed uint64) *tunnel {
	w := &tunnel{t: t, disk: newMemDisk(seed), dice: rand.New(rand.NewPCG(22, seed)), mono: clock.Time(time.Hour)}
	private, err := key.GeneratePrivate(rand.NewChaCha8([32]byte{byte(seed)}))
	if err != nil {
		t.Fatal(err)
	}
	w.remote = private.Public()
	return w
}

func (w *tunnel) now() clock.Now {
	return clock.Now{Mono: w.mono, Wall: time.Unix(1_700_000_000, 0).Add(time.Duration(w.mono) + w.wall)}
}

// begin starts a process, with one peer that never answers.
func (w *tunnel) begin() {
	l, saved, err := open(w.disk, "/dir", "wg0")
	if err != nil {
		w.t.Fatal(err)
	}
	if w.sent.After(saved.Ceiling) && w.sent.After(wire.StampAt(w.now().Wall)) {
		w.t.Fatalf("the ceiling found is %x, %x was sent", saved.Ceiling, w.sent)
	}
	w.log, w.pending = l, nil
	random := rand.NewChaCha8([32]byte{1, byte(w.dice.Uint32()), byte(w.dice.Uint32())})
	w.machine = core.New(core.Options{Rand: random, Index: index.New(), Ceiling: saved.Ceiling, Received: saved.Received})
	private, err := key.GeneratePrivate(random)
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(conf.Change{PrivateKey: &private})
	w.add()
	w.machine.Up(w.now())
	w.carryOut()
	w.left = 0
	w.write() // that much time there is before somebody has given it an address
}

func (w *tunnel) apply(c conf.Change) {
	if err := w.machine.Apply(w.now(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tunnel) add() {
	end := netip.MustParseAddrPort("192.0.2.1:1234")
	w.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: w.remote, Endpoint: &end}}})
}

// initiate sends an initiation, which the peer forgotten and added again makes
// possible at any moment.
func (w *tunnel) initiate() {
	w.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: w.remote, Remove: true}}})
	w.add()
	p := w.machine.Peers()[0]
	p.Stage([]byte("x"), 1)
	before := w.sent
	w.machine.Want(w.now(), p)
	w.carryOut()
	if !w.sent.After(before) {
		w.t.Fatalf("an initiation with the stamp %x, or none, after one with %x", w.sent, before)
	}
}

// carryOut does what the machine wants. A ceiling is written before the message
// leaves that it came with, or some messages later: none waits for the disk (A21).
func (w *tunnel) carryOut() {
	for out, ok := w.machine.Poll(); ok; out, ok = w.machine.Poll() {
		switch out.Kind {
		case core.Reserve:
			if w.pending = append(w.pending, out.Stamp); len(w.pending) == 1 {
				w.left = w.lag
			}
		case core.Run:
			out.Job.Run()
			w.machine.Finish(w.now(), out.Job)
		case core.Send:
			w.write()
			w.left--
			w.sent = w.machine.LastStamp()
		case core.Purge:
			out.Peer.Purge()
		}
	}
}

func (w *tunnel) write() {
	if w.left > 0 {
		return
	}
	for _, c := range w.pending {
		if err := w.log.Reserve(c); err != nil {
			w.t.Fatal(err)
		}
	}
	w.pending = nil
}

// live is a process that initiates now and then, until the power fails or it is
// killed. The clock is right, or steps.
func (w *tunnel) live(steps bool) (failed bool) {
	s := story{}
	return s.fails(func() {
		w.mono = w.mono.Add(100 * time.Millisecond) // no process is there faster
		w.begin()
		pace := []time.Duration{4 * time.Second, 20 * time.Millisecond}[w.dice.IntN(2)]
		for range 1 + w.dice.IntN(50) {
			w.mono = w.mono.Add(time.Duration(w.dice.Int64N(int64(pace))))
			if steps && w.dice.IntN(4) == 0 {
				w.wall = time.Duration(w.dice.Int64N(int64(20*time.Minute))) - 10*time.Minute
			}
			w.initiate()
		}
	})
}

// A20, B51: wherever a process dies, at any step of any write, the stamps of the
// next one are above all that left the host: with a clock that steps back and
// forth as well, if the disk keeps up, and with one that is right, if it does not.
func TestDeathAtEveryWrite(t *testing.T) {
	for seed := range uint64(6) {
		for _, steps := range []bool{false, true} {
			deaths := 0
			for crash := 1; ; crash++ {
				w := newTunnel(t, seed)
				if !steps {
					w.lag = 3
				}
				w.disk.crash = crash
				failed := w.live(steps)
				if !failed && w.disk.steps < crash {
					break
				}
				deaths++
				for range 8 { // more die soon
					w.disk.powerOn()
					w.disk.crash = w.disk.steps + 1 + w.dice.IntN(6)
					w.live(steps)
				}
				w.disk.powerOn()
				w.live(steps)
			}
			t.Logf("seed %d, the clock steps %v: %d deaths", seed, steps, deaths)
		}
	}
}

// A20: of eight processes in a row, each of which sends an initiation and is
// killed, none is 10 s ahead of a clock that is right; and the lead is gone after
// as long as it was.
func TestEightDeaths(t *testing.T) {
	w := newTunnel(t, 1)
	for range 8 {
		w.begin()
		w.initiate()
	}
	w.begin()
	w.initiate()
	if limit := wire.StampAt(w.now().Wall.Add(10 * time.Second)); w.sent.After(limit) {
		t.Errorf("the stamp %x was sent, which is 10 s ahead of the clock and more: %x", w.sent, limit)
	}
	w.mono = w.mono.Add(10 * time.Second)
	w.initiate()
	if right := wire.StampAt(w.now().Wall); w.sent != right {
		t.Errorf("after 10 s the stamp is %x, the clock says %x", w.sent, right)
	}
}
