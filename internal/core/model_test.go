package core

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// model is a configuration, in the simplest representation.
type model struct {
	own   key.Public
	peers []modelPeer
}

type modelPeer struct {
	public    key.Public
	name      string
	keepalive uint16
	endpoint  netip.AddrPort
	allowed   []netip.Prefix
}

func (m *model) find(public key.Public) int {
	return slices.IndexFunc(m.peers, func(p modelPeer) bool { return p.public == public })
}

// apply returns the model after c; ok is false if two peers would have the same
// name.
func (m model) apply(c *conf.Change) (_ model, ok bool) {
	old := m
	m.peers = nil
	for _, p := range old.peers {
		p.allowed = slices.Clone(p.allowed)
		m.peers = append(m.peers, p)
	}
	names := map[key.Public]string{}
	for _, p := range m.peers {
		names[p.public] = p.name
	}
	if c.PrivateKey != nil {
		m.own = c.PrivateKey.Public()
		m.remove(m.own)
	}
	if c.ReplacePeers {
		m.peers = nil
	}
	for i := range c.Peers {
		m.peer(&c.Peers[i], names)
	}
	seen := map[string]bool{}
	for _, p := range m.peers {
		if p.name != "" && seen[p.name] {
			return old, false
		}
		seen[p.name] = true
	}
	return m, true
}

func (m *model) remove(public key.Public) {
	if i := m.find(public); i >= 0 {
		m.peers = slices.Delete(m.peers, i, i+1)
	}
}

func (m *model) peer(c *conf.PeerChange, names map[key.Public]string) {
	i := m.find(c.PublicKey)
	switch {
	case c.Remove:
		m.remove(c.PublicKey)
		return
	case c.PublicKey == m.own && m.own != key.Public{}, i < 0 && c.UpdateOnly:
		return
	case i < 0:
		i = len(m.peers)
		m.peers = append(m.peers, modelPeer{public: c.PublicKey, name: names[c.PublicKey]})
	}
	p := &m.peers[i]
	if c.Name != nil {
		p.name = *c.Name
		names[c.PublicKey] = p.name
	}
	if c.Endpoint != nil {
		p.endpoint = *c.Endpoint
	}
	if c.PersistentKeepalive != nil {
		p.keepalive = *c.PersistentKeepalive
	}
	if c.ReplaceAllowedIPs {
		p.allowed = nil
	}
	for _, a := range c.AllowedIPs {
		prefix := a.Prefix.Masked()
		has := slices.Contains(p.allowed, prefix)
		for j := range m.peers {
			if (a.Remove && j == i) || (!a.Remove && j != i) {
				m.peers[j].allowed = slices.DeleteFunc(m.peers[j].allowed, func(q netip.Prefix) bool { return q == prefix })
			}
		}
		if !a.Remove && !has {
			p.allowed = append(p.allowed, prefix)
		}
	}
}

// lookup does a linear search for the longest prefix.
func (m *model) lookup(a netip.Addr) (owner key.Public, ok bool) {
	best := -1
	for _, p := range m.peers {
		for _, prefix := range p.allowed {
			if prefix.Contains(a) && prefix.Bits() > best {
				best, owner, ok = prefix.Bits(), p.public, true
			}
		}
	}
	return owner, ok
}

// generator makes random changes of few peers, names and prefixes, so that they
// conflict often.
type generator struct{ dice *rand.Rand }

func (s generator) chance(n int) bool { return s.dice.IntN(n) == 0 }

func (s generator) change() (c conf.Change) {
	if s.chance(12) {
		k := keyFor(s.dice.IntN(4))
		c.PrivateKey = &k
	}
	c.ReplacePeers = s.chance(15)
	for range s.dice.IntN(5) {
		c.Peers = append(c.Peers, s.peer())
	}
	return c
}

func (s generator) peer() (p conf.PeerChange) {
	p.PublicKey = publicOf(s.dice.IntN(6))
	if s.chance(8) {
		k := keyFor(s.dice.IntN(4))
		p.PublicKey = k.Public()
	}
	p.Remove, p.UpdateOnly, p.ReplaceAllowedIPs = s.chance(6), s.chance(6), s.chance(6)
	if s.chance(3) {
		p.Name = pointer([]string{"", "A", "B", "C"}[s.dice.IntN(4)])
	}
	if s.chance(3) {
		p.PersistentKeepalive = pointer(uint16(s.dice.IntN(100)))
	}
	if s.chance(3) {
		p.Endpoint = pointer(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(s.dice.IntN(9))}), 7))
	}
	if s.chance(9) {
		var b [32]byte
		b[0] = byte(s.dice.IntN(3))
		p.PresharedKey = pointer(key.NewPreshared(&b))
	}
	for range s.dice.IntN(4) {
		p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIPChange{Prefix: s.prefix(), Remove: s.chance(4)})
	}
	return p
}

func (s generator) prefix() netip.Prefix {
	if s.chance(4) {
		return netip.PrefixFrom(s.address(true), s.dice.IntN(129))
	}
	return netip.PrefixFrom(s.address(false), s.dice.IntN(33))
}

func (s generator) address(v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(s.dice.IntN(2)), 15: byte(s.dice.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{10, byte(s.dice.IntN(2)) << 7, byte(s.dice.IntN(2)), byte(s.dice.IntN(4))})
}

// B40, A50, B45, B50, A57, A59: random changes have the same effect on an
// interface as on the model, while time passes and handshakes run.
func TestConfigurationModel(t *testing.T) {
	for seed := range uint64(lessUnderRace(20)) {
		checkModel(t, seed, 250)
	}
}

func FuzzConfiguration(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, uint16(40))
	}
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { checkModel(t, seed, int(steps%400)) })
}

func checkModel(t *testing.T, seed uint64, steps int) {
	t.Helper()
	w := newWorld(t, seed)
	h := w.host()
	h.up()
	want := model{own: h.public}
	s := generator{w.dice}
	for step := range steps {
		c := s.change()
		if c.Validate() != nil {
			continue // invalid, which other tests cover
		}
		err := h.m.Apply(h.time(), c)
		var ok bool
		if want, ok = want.apply(&c); ok != (err == nil) {
			t.Fatalf("seed %d, step %d: got error %v, want success: %v", seed, step, err, ok)
		}
		h.drain()
		compare(t, h, &want, fmt.Sprintf("seed %d, step %d", seed, step))
		for range 20 {
			a := s.address(s.chance(2))
			owner, ok := want.lookup(a)
			p, found := h.m.Routes().Load().Lookup(a)
			if found != ok || ok && h.m.members[owner].shared != p {
				t.Fatalf("seed %d, step %d: %v does not belong to the peer of the model", seed, step, a)
			}
		}
		for p := range h.m.list.all() {
			if s.chance(4) {
				p.shared.Stage([]byte("x"), 1)
				h.m.Want(h.time(), p.shared)
			}
		}
		h.drain()
		if s.chance(20) {
			h.down()
			h.up()
		}
		w.run(time.Duration(w.dice.Int64N(int64(4 * time.Second))))
		checkIndices(t, h)
	}
	h.apply(conf.Change{ReplacePeers: true})
	w.run(time.Minute)
	if h.index.Len() != 0 || h.m.Routes().Load().Len() != 0 || len(h.m.looks) != 0 || len(h.m.names) != 0 {
		t.Fatalf("seed %d: an index, route, look or name is left without peers", seed)
	}
}

func compare(t *testing.T, h *host, want *model, where string) {
	t.Helper()
	var got []modelPeer
	for _, p := range h.m.Status(h.time()).Peers {
		got = append(got, modelPeer{p.PublicKey, p.Name, p.PersistentKeepalive, p.Endpoint, p.AllowedIPs})
	}
	// A prefix that one change removes and adds again keeps its position in the
	// list; the model puts it last.
	for _, list := range [][]modelPeer{got, want.peers} {
		for _, p := range list {
			slices.SortFunc(p.allowed, func(a, b netip.Prefix) int { return cmp.Compare(a.String(), b.String()) })
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want.peers) {
		t.Fatalf("%s:\n got %v\nwant %v", where, got, want.peers)
	}
}
