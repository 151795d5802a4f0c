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

// host runs one process after another, each of which is killed: a protocol
// machine, and its Log on a disk whose power may fail at any step.
type host struct {
	t       *testing.T
	disk    *memDisk
	dice    *rand.Rand
	mono    clock.Time
	wall    time.Duration // how far the wall clock is ahead of mono
	machine *core.Machine
	log     *Log
	remote  key.Public
	sent    wire.TAI64N // the greatest stamp that left the host

	lag         int // how many messages leave before a new ceiling is written
	beforeWrite int // how many of them are left
	pending     []wire.TAI64N
}

func newHost(t *testing.T, seed uint64) *host {
	h := &host{t: t, disk: newMemDisk(seed), dice: rand.New(rand.NewPCG(22, seed)), mono: clock.Time(time.Hour)}
	private, err := key.GeneratePrivate(rand.NewChaCha8([32]byte{byte(seed)}))
	if err != nil {
		t.Fatal(err)
	}
	h.remote = private.Public()
	return h
}

func (h *host) now() clock.Now {
	return clock.Now{Mono: h.mono, Wall: time.Unix(1_700_000_000, 0).Add(time.Duration(h.mono) + h.wall)}
}

// start starts a process, with one peer that never answers.
func (h *host) start() {
	l, saved, err := open(h.disk, "/dir", "wg0")
	if err != nil {
		h.t.Fatal(err)
	}
	if h.sent.After(saved.Ceiling) && h.sent.After(wire.StampAt(h.now().Wall)) {
		h.t.Fatalf("got ceiling %x, below the stamp %x that was sent", saved.Ceiling, h.sent)
	}
	h.log, h.pending = l, nil
	random := rand.NewChaCha8([32]byte{1, byte(h.dice.Uint32()), byte(h.dice.Uint32())})
	h.machine = core.New(core.Options{Rand: random, Index: index.New(), Ceiling: saved.Ceiling, Received: saved.Received})
	private, err := key.GeneratePrivate(random)
	if err != nil {
		h.t.Fatal(err)
	}
	h.apply(conf.Change{PrivateKey: &private})
	h.add()
	h.machine.Up(h.now())
	h.carryOut()
	h.beforeWrite = 0
	h.write() // the first ceiling is written before the interface has an address
}

func (h *host) apply(c conf.Change) {
	if err := h.machine.Apply(h.now(), c); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) add() {
	end := netip.MustParseAddrPort("192.0.2.1:1234")
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: h.remote, Endpoint: &end}}})
}

// initiate sends an initiation. To do so at any time, it removes the peer and
// adds it again.
func (h *host) initiate() {
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: h.remote, Remove: true}}})
	h.add()
	p := h.machine.Peers()[0]
	p.Stage([]byte("x"), 1)
	before := h.sent
	h.machine.Want(h.now(), p)
	h.carryOut()
	if !h.sent.After(before) {
		h.t.Fatalf("got an initiation with the stamp %x, or none, after one with %x", h.sent, before)
	}
}

// carryOut carries out the outputs of the machine. A ceiling is written before the
// message that raised it leaves, or lag messages later: none waits for the disk
// (A21).
func (h *host) carryOut() {
	for out, ok := h.machine.Poll(); ok; out, ok = h.machine.Poll() {
		switch out.Kind {
		case core.Reserve:
			if h.pending = append(h.pending, out.Stamp); len(h.pending) == 1 {
				h.beforeWrite = h.lag
			}
		case core.Run:
			out.Job.Run()
			h.machine.Finish(h.now(), out.Job)
		case core.Send:
			h.write()
			h.beforeWrite--
			h.sent = h.machine.LastStamp()
		case core.Purge:
			out.Peer.Purge()
		}
	}
}

func (h *host) write() {
	if h.beforeWrite > 0 {
		return
	}
	for _, c := range h.pending {
		if err := h.log.Reserve(c); err != nil {
			h.t.Fatal(err)
		}
	}
	h.pending = nil
}

// run runs a process that initiates at random times, until the power fails or the
// process is killed. The wall clock is right, or it steps.
func (h *host) run(clockSteps bool) (failed bool) {
	s := scenario{}
	return s.crashes(func() {
		h.mono = h.mono.Add(100 * time.Millisecond) // no process starts faster
		h.start()
		pace := []time.Duration{4 * time.Second, 20 * time.Millisecond}[h.dice.IntN(2)]
		for range 1 + h.dice.IntN(50) {
			h.mono = h.mono.Add(time.Duration(h.dice.Int64N(int64(pace))))
			if clockSteps && h.dice.IntN(4) == 0 {
				h.wall = time.Duration(h.dice.Int64N(int64(20*time.Minute))) - 10*time.Minute
			}
			h.initiate()
		}
	})
}

// A20, B51: at whatever step of a write a process is killed, the stamps of the
// next process are above all that left the host: even if the clock steps back
// and forth, as long as the disk keeps up; if the disk lags, with a right clock.
func TestCrashAtEveryWrite(t *testing.T) {
	for seed := range uint64(6) {
		for _, clockSteps := range []bool{false, true} {
			crashes := 0
			for crash := 1; ; crash++ {
				h := newHost(t, seed)
				if !clockSteps {
					h.lag = 3
				}
				h.disk.crash = crash
				failed := h.run(clockSteps)
				if !failed && h.disk.steps < crash {
					break
				}
				crashes++
				for range 8 { // more crashes soon after
					h.disk.powerOn()
					h.disk.crash = h.disk.steps + 1 + h.dice.IntN(6)
					h.run(clockSteps)
				}
				h.disk.powerOn()
				h.run(clockSteps)
			}
			t.Logf("seed %d, clock steps %v: %d crashes", seed, clockSteps, crashes)
		}
	}
}

// A20: after eight processes in a row, each of which sends an initiation and is
// killed, the stamps are less than 10 s ahead of a right clock; 10 s later, they
// are not ahead any more.
func TestEightCrashes(t *testing.T) {
	h := newHost(t, 1)
	for range 8 {
		h.start()
		h.initiate()
	}
	h.start()
	h.initiate()
	if limit := wire.StampAt(h.now().Wall.Add(10 * time.Second)); h.sent.After(limit) {
		t.Errorf("got the stamp %x, which is more than 10 s ahead of the clock: %x", h.sent, limit)
	}
	h.mono = h.mono.Add(10 * time.Second)
	h.initiate()
	if right := wire.StampAt(h.now().Wall); h.sent != right {
		t.Errorf("after 10 s, got the stamp %x, want the clock's %x", h.sent, right)
	}
}
