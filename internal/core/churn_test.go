package core

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// lockedMachine is a machine with a lock, as in package engine. Its jobs and the
// delivery of its messages run on goroutines of their own.
type lockedMachine struct {
	mu      sync.Mutex
	m       *Machine
	index   *index.Table
	private key.Private
	addr    netip.AddrPort
	other   *lockedMachine
	jobs    *sync.WaitGroup
	now     clock.Now

	confirmed int // number of confirmed sessions
}

func newLockedMachine(n int, jobs *sync.WaitGroup) *lockedMachine {
	c := &lockedMachine{private: keyFor(n), jobs: jobs, index: index.New(), now: clock.Now{Mono: start, Wall: epoch}}
	c.addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 7)
	c.m = New(Options{Rand: rand.NewChaCha8([32]byte{byte(n)}), Index: c.index})
	return c
}

// do calls f and carries out the outputs of the machine.
func (c *lockedMachine) do(f func(m *Machine, now clock.Now)) {
	c.mu.Lock()
	c.now.Mono = c.now.Mono.Add(time.Millisecond)
	c.now.Wall = c.now.Wall.Add(20 * time.Millisecond)
	f(c.m, c.now)
	var outs []Output
	for out, ok := c.m.Poll(); ok; out, ok = c.m.Poll() {
		outs = append(outs, out)
	}
	c.mu.Unlock()
	for _, out := range outs {
		switch out.Kind {
		case Run:
			c.jobs.Go(func() {
				out.Job.Run()
				c.do(func(m *Machine, now clock.Now) { m.Finish(now, out.Job) })
			})
		case Send:
			c.jobs.Go(func() {
				c.other.do(func(m *Machine, now clock.Now) {
					m.Receive(now, wire.NewEndpoint(c.addr, netip.Addr{}, 0), out.Message)
				})
			})
		case Flush, Keepalive:
			c.use(out.Peer)
		}
	}
}

// use sends a packet to p as the data plane does, without a lock.
func (c *lockedMachine) use(p *peer.Peer) {
	k := p.Sessions().Current
	if k == nil {
		return
	}
	first, ok := k.Reserve(1)
	msg := make([]byte, 48)
	one := []aead.Packet{{Len: int32(len(msg))}}
	if !ok || !k.Seal(msg, one, first) {
		return
	}
	p.NoteSent(start, true)
	o := c.other
	e := o.index.Lookup(wire.DataIndex(msg))
	if e == nil || e.Keypair == nil || e.Keypair.Open(msg, one) > 0 || e.Keypair.Accept(msg, one) > 0 {
		return
	}
	e.Peer.NoteReceived(start, true)
	if e.Peer.Sessions().Next == e.Keypair {
		o.do(func(m *Machine, now clock.Now) {
			m.Confirm(now, e.Peer, e.Keypair)
			o.confirmed++
		})
	}
}

func (c *lockedMachine) about(other *lockedMachine) conf.Change {
	end := other.addr
	return conf.Change{Peers: []conf.PeerChange{{PublicKey: other.private.Public(), Endpoint: &end, AllowedIPs: prefixes("10.0.0.0/8")}}}
}

// B25, B45, B50, A14: peers are removed and added, keys change, and the interface
// goes down and up, while other goroutines process jobs, messages and data of the
// same peers. No index is left at the end. (Run with -race.)
func TestChurn(t *testing.T) {
	var jobs sync.WaitGroup
	a, b := newLockedMachine(1, &jobs), newLockedMachine(2, &jobs)
	a.other, b.other = b, a
	for _, c := range []*lockedMachine{a, b} {
		c.do(func(m *Machine, now clock.Now) {
			m.Up(now)
			if err := m.Apply(now, conf.Change{PrivateKey: &c.private}); err != nil {
				t.Error(err)
			}
		})
	}
	dice := rand.New(rand.NewPCG(1, 1))
	for step := range 3000 {
		c := []*lockedMachine{a, b}[step%2]
		public := c.other.private.Public()
		c.do(func(m *Machine, now clock.Now) {
			change := c.about(c.other)
			switch dice.IntN(40) {
			case 0:
				change.Peers[0].Remove = true
			case 1:
				change.ReplacePeers = true
			case 2:
				k := keyFor(9)
				change.PrivateKey = &k
			case 3:
				m.Down(now)
				m.Up(now)
			default:
				change.PrivateKey = &c.private
			}
			if err := m.Apply(now, change); err != nil {
				t.Error(err)
			}
			if p := m.members[public]; p != nil {
				p.suspected, p.handshakeSent = now.Mono, 0
				m.Want(now, p.shared)
			}
			m.Timeout(now)
		})
		if step%50 == 0 {
			jobs.Wait()
		}
	}
	jobs.Wait()
	for _, c := range []*lockedMachine{a, b} {
		if c.m.Status(c.now).Peers == nil || c.index.Len() > 4 {
			t.Errorf("got %d indices, want at most 4", c.index.Len())
		}
		c.do(func(m *Machine, now clock.Now) {
			if err := m.Apply(now, conf.Change{ReplacePeers: true}); err != nil {
				t.Error(err)
			}
		})
		if c.index.Len() != 0 || c.m.identity.jobs != 0 {
			t.Errorf("without peers, %d indices and %d jobs are left", c.index.Len(), c.m.identity.jobs)
		}
	}
	if a.confirmed < 20 || b.confirmed < 20 {
		t.Errorf("got %d and %d confirmed sessions, want at least 20", a.confirmed, b.confirmed)
	}
}
