package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/index"
	"wgd/internal/wire"
	"wgd/key"
)

// publicOf returns a public key for peer n, without the cost of deriving one.
func publicOf(n int) (k key.Public) {
	copy(k[:], fmt.Sprintf("peer %d", n))
	return k
}

func pointer[T any](v T) *T { return &v }

func prefixes(list ...string) (changes []conf.AllowedIPChange) {
	for _, s := range list {
		remove := s[0] == '-'
		if remove {
			s = s[1:]
		}
		changes = append(changes, conf.AllowedIPChange{Prefix: netip.MustParsePrefix(s), Remove: remove})
	}
	return changes
}

// singleHost returns a host that is up, with a private key and without peers.
func singleHost(t *testing.T) *host {
	h := newWorld(t, 1).host()
	h.up()
	return h
}

// names returns the names of the peers, in order.
func (h *host) names() (list []string) {
	for _, p := range h.m.Status(h.time()).Peers {
		list = append(list, p.Name)
	}
	return list
}

func (h *host) allowed(n int) (list []string) {
	for _, p := range h.m.Status(h.time()).Peers {
		if p.PublicKey == publicOf(n) {
			for _, prefix := range p.AllowedIPs {
				list = append(list, prefix.String())
			}
		}
	}
	return list
}

// owner returns the peer to which the data plane would send, or -1.
func (h *host) owner(a string) int {
	p, ok := h.m.Routes().Load().Lookup(netip.MustParseAddr(a))
	for n := range 100 {
		if m := h.m.members[publicOf(n)]; ok && m != nil && m.shared == p {
			return n
		}
	}
	return -1
}

// A50: an IPv4-mapped prefix is an IPv6 prefix: it takes nothing from the owner of
// the IPv4 prefix, is not widened, and is reported as an IPv6 prefix.
func TestMappedAllowedIPs(t *testing.T) {
	h := singleHost(t)
	h.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: publicOf(1), AllowedIPs: prefixes("0.0.0.0/0")},
		{PublicKey: publicOf(2), AllowedIPs: prefixes("::ffff:0:0/96", "::ffff:10.0.2.3/120", "::ffff:10.0.0.0/90")},
	}})
	if got := h.allowed(1); !slices.Equal(got, []string{"0.0.0.0/0"}) {
		t.Errorf("peer 1: got prefixes %v", got)
	}
	if got := h.allowed(2); !slices.Equal(got, []string{"::ffff:0.0.0.0/96", "::ffff:10.0.2.0/120", "::ffc0:0:0/90"}) {
		t.Errorf("peer 2: got prefixes %v", got)
	}
	for a, want := range map[string]int{"10.0.2.3": 1, "::ffff:10.0.2.3": 2, "::ffff:192.0.2.1": 2, "::ffc1:0:1": 2, "::1": -1} {
		if got := h.owner(a); got != want {
			t.Errorf("%s belongs to %d, want %d", a, got, want)
		}
	}
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), AllowedIPs: prefixes("-::ffff:0:0/96", "::ffff:10.0.2.0/120")}}})
	if got := h.allowed(1); !slices.Equal(got, []string{"0.0.0.0/0", "::ffff:10.0.2.0/120"}) {
		t.Errorf("peer 1: got prefixes %v", got)
	}
}

// A50, B64: a prefix given to one peer leaves the other in the same step. Host
// bits are masked, and the order is that of addition.
func TestAllowedIPsMove(t *testing.T) {
	h := singleHost(t)
	before := h.m.Routes().Load()
	h.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: publicOf(1), AllowedIPs: prefixes("10.0.0.1/24", "::/0", "10.0.1.0/24", "10.0.2.0/24")},
		{PublicKey: publicOf(2), AllowedIPs: prefixes("10.0.0.9/32", "10.0.1.0/24")},
	}})
	if got := h.allowed(1); !slices.Equal(got, []string{"10.0.0.0/24", "::/0", "10.0.2.0/24"}) {
		t.Errorf("peer 1: got prefixes %v", got)
	}
	if got := h.allowed(2); !slices.Equal(got, []string{"10.0.0.9/32", "10.0.1.0/24"}) {
		t.Errorf("peer 2: got prefixes %v", got)
	}
	for a, want := range map[string]int{"10.0.0.8": 1, "10.0.0.9": 2, "10.0.1.1": 2, "10.0.2.3": 1, "fd00::1": 1, "10.0.3.1": -1} {
		if got := h.owner(a); got != want {
			t.Errorf("%s belongs to %d, want %d", a, got, want)
		}
	}
	if before.Len() != 0 {
		t.Error("a published table changed")
	}
	h.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: publicOf(1), AllowedIPs: prefixes("-10.0.0.0/24", "10.0.0.0/24", "-10.9.0.0/16", "-10.0.1.0/24")},
		{PublicKey: publicOf(2), ReplaceAllowedIPs: true, AllowedIPs: prefixes("10.0.2.0/24")},
		{PublicKey: publicOf(1), AllowedIPs: prefixes("10.0.2.0/24", "-::/0")},
	}})
	if got := h.allowed(1); !slices.Equal(got, []string{"10.0.0.0/24", "10.0.2.0/24"}) {
		t.Errorf("peer 1: got prefixes %v", got)
	}
	if got := h.allowed(2); got != nil {
		t.Errorf("peer 2: got prefixes %v", got)
	}
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), Remove: true}}})
	if n := h.m.Routes().Load().Len(); n != 0 {
		t.Errorf("%d prefixes are left after their peer was removed (B50)", n)
	}
}

// A50: while a prefix moves, it always belongs to a peer.
func TestAllowedIPsMoveInOneStep(t *testing.T) {
	h := singleHost(t)
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), AllowedIPs: prefixes("10.0.0.0/8")}}})
	stop, done := make(chan bool), make(chan int)
	var looks atomic.Int64
	go func() {
		missing := 0
		for ; ; looks.Add(1) {
			select {
			case <-stop:
				done <- missing
				return
			default:
			}
			if _, ok := h.m.Routes().Load().Lookup(netip.MustParseAddr("10.1.2.3")); !ok {
				missing++
			}
		}
	}()
	for i := 0; i < 300 || looks.Load() < 2_000_000; i++ {
		h.apply(conf.Change{ReplacePeers: i%3 == 0, Peers: []conf.PeerChange{
			{PublicKey: publicOf(i % 2), ReplaceAllowedIPs: i%2 == 0, AllowedIPs: prefixes("10.0.0.0/8")}}})
	}
	close(stop)
	if n := <-done; n != 0 {
		t.Errorf("the prefix belonged to no peer in %d lookups", n)
	}
}

// A57: our own public key cannot be a peer's; setting the private key of a peer
// removes that peer.
func TestOwnKeyIsNotAPeer(t *testing.T) {
	h := singleHost(t)
	other := keyFor(50)
	h.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: h.public, AllowedIPs: prefixes("10.0.0.0/8")},
		{PublicKey: other.Public(), AllowedIPs: prefixes("10.0.0.0/8"), Name: pointer("B")},
	}})
	if n := len(h.m.Peers()); n != 1 {
		t.Fatalf("got %d peers, want 1", n)
	}
	h.apply(conf.Change{PrivateKey: &other, Peers: []conf.PeerChange{{PublicKey: publicOf(1), Name: pointer("B")}}})
	if n := len(h.m.Peers()); n != 1 || h.owner("10.1.1.1") != -1 || h.m.PublicKey() != other.Public() {
		t.Errorf("got %d peers after a peer's private key was set, want 1", n)
	}
}

// A58, B23: setting the same private key changes nothing. After another one, the
// next packet begins a handshake at once, and data on the old session is still
// received.
func TestPrivateKeyAgain(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	k := a.peer(b).Sessions().Current
	a.apply(conf.Change{PrivateKey: &a.private})
	if a.peer(b).Sessions().Current != k || len(a.sent) != 2 {
		t.Fatal("setting the same key dropped the session")
	}
	other := keyFor(77)
	a.apply(conf.Change{PrivateKey: &other})
	b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: other.Public(), Endpoint: &a.addr}}})
	b.send(a, "to the old session")
	w.run(time.Second)
	if !slices.Equal(a.got, []string{"to the old session"}) {
		t.Errorf("a got %q", a.got)
	}
	a.send(b, "y")
	w.run(time.Second)
	if n := len(a.initiations()); n != 2 || !slices.Equal(b.got, []string{"x", "y"}) {
		t.Errorf("%d initiations, b got %q", n, b.got)
	}
	if !a.m.private.Equal(other) || a.m.Status(a.time()).PublicKey != other.Public() {
		t.Error("the machine does not have the new key")
	}
	a.apply(conf.Change{PrivateKey: &key.Private{}})
	a.send(b, "without a key")
	w.run(time.Minute)
	if n := len(a.initiations()); n != 2 {
		t.Error("an initiation was sent without a private key")
	}
}

// A59: a peer that occurs twice in a change is one peer; UpdateOnly never adds a
// peer; if a part of a change is invalid, nothing of it is applied.
func TestAllOrNothing(t *testing.T) {
	h := singleHost(t)
	h.apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: publicOf(1), PersistentKeepalive: pointer(uint16(5))},
		{PublicKey: publicOf(2), UpdateOnly: true, PersistentKeepalive: pointer(uint16(5))},
		{PublicKey: publicOf(1), AllowedIPs: prefixes("10.0.0.0/8")},
	}})
	st := h.m.Status(h.time())
	if len(st.Peers) != 1 || st.Peers[0].PersistentKeepalive != 5 || len(st.Peers[0].AllowedIPs) != 1 {
		t.Fatalf("got peers %+v", st.Peers)
	}
	for _, bad := range []conf.Change{
		{Peers: []conf.PeerChange{{PublicKey: publicOf(3)}, {PublicKey: publicOf(4), AllowedIPs: []conf.AllowedIPChange{{}}}}},
		{ListenPort: pointer(uint16(1)), Peers: []conf.PeerChange{{PublicKey: publicOf(3), Name: pointer("no good")}}},
		{ReplacePeers: true, Tunables: conf.TunablesChange{RekeyTimeout: pointer(time.Duration(0))}},
	} {
		if err := h.m.Apply(h.time(), bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("%+v: got error %v, want ErrInvalid", bad, err)
		}
	}
	if got := h.m.Status(h.time()); fmt.Sprint(got) != fmt.Sprint(st) {
		t.Errorf("a refused change had an effect: %+v", got)
	}
}

// Names are unique. A name belongs to a public key, and stays with it when all
// peers are replaced (setconf) or synchronized.
func TestNames(t *testing.T) {
	h := singleHost(t)
	name := func(n int, name string) conf.PeerChange {
		return conf.PeerChange{PublicKey: publicOf(n), Name: &name}
	}
	h.apply(conf.Change{Peers: []conf.PeerChange{name(1, "A"), name(2, "B"), {PublicKey: publicOf(3)}}})
	for what, c := range map[string]conf.Change{
		"taken by another peer":   {Peers: []conf.PeerChange{name(3, "A")}},
		"twice in one change":     {Peers: []conf.PeerChange{name(4, "X"), name(5, "X")}},
		"kept by a replaced peer": {ReplacePeers: true, Peers: []conf.PeerChange{{PublicKey: publicOf(1)}, name(3, "A")}},
		"of a peer added again":   {Peers: []conf.PeerChange{{PublicKey: publicOf(1), Remove: true}, {PublicKey: publicOf(1)}, name(3, "A")}},
	} {
		before := h.names()
		if err := h.m.Apply(h.time(), c); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("%s: got error %v, want ErrInvalid", what, err)
		}
		if !slices.Equal(h.names(), before) {
			t.Errorf("%s: got names %q, want %q", what, h.names(), before)
		}
	}
	steps := []struct {
		c    conf.Change
		want []string
	}{
		{conf.Change{Peers: []conf.PeerChange{name(1, "B"), name(2, "A")}}, []string{"B", "A", ""}},
		{conf.Change{Peers: []conf.PeerChange{name(1, "C"), name(2, "B"), name(3, "A")}}, []string{"C", "B", "A"}},
		{conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{{PublicKey: publicOf(3)}, {PublicKey: publicOf(1)}}}, []string{"A", "C"}},
		{conf.Change{Peers: []conf.PeerChange{name(4, "B")}}, []string{"A", "C", "B"}},
		{conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(4), Remove: true}, name(1, "B")}}, []string{"A", "B"}},
		{conf.Change{Peers: []conf.PeerChange{name(1, "")}}, []string{"A", ""}},
		{conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{name(5, "A"), {PublicKey: publicOf(3), Name: pointer("D")}}}, []string{"A", "D"}},
		{conf.Change{Peers: []conf.PeerChange{name(5, "E"), name(5, "F"), {PublicKey: publicOf(6), UpdateOnly: true, Name: pointer("D")}}}, []string{"F", "D"}},
		{conf.Change{ReplacePeers: true}, nil},
		{conf.Change{Peers: []conf.PeerChange{name(7, "F")}}, []string{"F"}},
	}
	for i, s := range steps {
		h.apply(s.c)
		if got := h.names(); !slices.Equal(got, s.want) {
			t.Fatalf("step %d: got names %q, want %q", i, got, s.want)
		}
		named := 0
		for _, n := range s.want {
			if n != "" {
				named++
			}
		}
		if len(h.m.names) != named {
			t.Fatalf("step %d: got %d names taken, want %d", i, len(h.m.names), named)
		}
	}
}

// A60: the status is a complete copy, with the peers in the order of addition.
func TestStatus(t *testing.T) {
	h := singleHost(t)
	var secret [32]byte
	secret[0] = 9
	end := netip.MustParseAddrPort("[::ffff:192.0.2.1]:7") // A54
	h.apply(conf.Change{ListenPort: pointer(uint16(51820)), FirewallMark: pointer(uint32(3)), Peers: []conf.PeerChange{
		{PublicKey: publicOf(3)}, {PublicKey: publicOf(1)},
		{PublicKey: publicOf(2), Name: pointer("B"), PresharedKey: pointer(key.NewPreshared(&secret)), Endpoint: &end,
			PersistentKeepalive: pointer(uint16(65535)), AllowedIPs: prefixes("10.0.0.0/8", "fd00::/8")},
	}})
	st := h.m.Status(h.time())
	var order []key.Public
	for _, p := range st.Peers {
		order = append(order, p.PublicKey)
	}
	if !slices.Equal(order, []key.Public{publicOf(3), publicOf(1), publicOf(2)}) {
		t.Errorf("got order %v", order)
	}
	p := st.Peers[2]
	if st.ListenPort != 51820 || st.FirewallMark != 3 || !st.Up || !st.PrivateKey.Equal(h.private) || st.Tunables != conf.DefaultTunables() ||
		p.Name != "B" || !p.PresharedKey.Equal(key.NewPreshared(&secret)) || p.Endpoint.String() != "192.0.2.1:7" || p.PersistentKeepalive != 65535 ||
		len(p.AllowedIPs) != 2 || !p.LastHandshake.IsZero() {
		t.Errorf("got status %+v", st)
	}
	p.AllowedIPs[0] = netip.Prefix{}
	if h.allowed(2)[0] != "10.0.0.0/8" {
		t.Error("a status shares memory with the machine")
	}
}

// A21: the machine emits an accepted stamp, remembers it after a restart and after
// the replacement of all peers, and forgets it when the peer is removed.
func TestStampsOfPeers(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	first := a.sent[0].msg
	public := a.public
	stamp, ok := b.accepted[public]
	if !ok {
		t.Fatal("no stamp was emitted")
	}
	replayed := func(what string, want int) {
		t.Helper()
		before := kinds(b.sent)[wire.TypeResponse]
		b.receive(a.addr, first)
		w.run(100 * time.Millisecond)
		if n := kinds(b.sent)[wire.TypeResponse] - before; n != want {
			t.Errorf("%s: got %d responses to the old initiation, want %d", what, n, want)
		}
	}
	b.restart(wire.TAI64N{}, map[key.Public]wire.TAI64N{public: stamp})
	b.apply(conf.Change{Peers: []conf.PeerChange{b.about(a)}})
	b.up()
	replayed("after a restart", 0)
	b.accepted[public] = stamp
	b.apply(conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{b.about(a)}})
	replayed("after all peers were replaced", 0)
	if len(b.accepted) != 1 {
		t.Error("the stamp was forgotten when all peers were replaced")
	}
	b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: public, Remove: true}}})
	if len(b.accepted) != 0 {
		t.Error("the stamp was not forgotten when the peer was removed")
	}
	b.apply(conf.Change{Peers: []conf.PeerChange{b.about(a)}})
	replayed("after the peer was removed and added again", 1)
}

// A35: the machine copies keys, and zeroes its copies when they are replaced, when
// their peer is removed, and at the end. It does not change the keys of the caller
// or those in a status.
func TestMachineCopiesKeys(t *testing.T) {
	h := singleHost(t)
	private, second := keyFor(77), keyFor(78)
	psk, otherPSK := key.NewPreshared(&[32]byte{1}), key.NewPreshared(&[32]byte{2})
	preshared := func(k key.Preshared) {
		h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), PresharedKey: &k}}})
	}
	h.apply(conf.Change{PrivateKey: &private})
	preshared(psk)
	before := h.m.Status(h.time())
	kept := []interface{ IsZero() bool }{h.m.private, oldest(h.m).preshared}
	for _, k := range kept {
		if k.IsZero() {
			t.Fatal("a key was not set")
		}
	}
	h.apply(conf.Change{PrivateKey: &second})
	preshared(otherPSK)
	kept = append(kept, oldest(h.m).preshared)
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), Remove: true}}})
	kept = append(kept, h.m.private)
	h.m.Close()
	for i, k := range kept {
		if !k.IsZero() {
			t.Errorf("key %d was not zeroed", i)
		}
	}
	if !private.Equal(keyFor(77)) || !second.Equal(keyFor(78)) || psk.IsZero() || otherPSK.IsZero() {
		t.Error("a key of the caller was erased")
	}
	if !before.PrivateKey.Equal(keyFor(77)) || !before.Peers[0].PresharedKey.Equal(psk) {
		t.Error("an earlier status changed")
	}
}

// A35: Close erases all secrets, and keeps the last stamp.
func TestClose(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	var secret [32]byte
	secret[0] = 1
	psk := key.NewPreshared(&secret)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PresharedKey: &psk}}})
	b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.public, PresharedKey: &psk}}})
	a.send(b, "x")
	w.run(time.Second)
	k, last := a.peer(b).Sessions().Current, a.m.LastStamp()
	a.m.Close()
	if k.Usable(w.now) || !a.m.private.IsZero() || !oldest(a.m).preshared.IsZero() || a.index.Len() != 0 {
		t.Error("a secret was not erased")
	}
	if a.m.LastStamp() != last || last.IsZero() {
		t.Error("the last stamp was not kept")
	}
	for _, v := range []any{a.m, oldest(a.m), &answer{}, &completion{}, &creation{}, &identification{}} {
		if s := fmt.Sprintf("%v %+v %#v", v, v, v); s != "(hidden) (hidden) (hidden)" {
			t.Errorf("%T prints as %.40s", v, s)
		}
	}
}

// Without random numbers, there are no handshakes, but the machine keeps working.
func TestNoRandomness(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	good := a.m.random
	a.m.random = brokenRandom{}
	a.send(b, "x")
	w.run(20 * time.Second)
	if len(a.sent) != 0 || a.index.Len() != 0 {
		t.Fatalf("without random numbers: a sent %v, and %d indices are taken", kinds(a.sent), a.index.Len())
	}
	a.m.random = good
	w.run(6 * time.Second)
	if !slices.Equal(b.got, []string{"x"}) {
		t.Errorf("with random numbers again: b got %q", b.got)
	}
	b.m.random = brokenRandom{}
	w.run(200 * time.Second)
	a.send(b, "y")
	w.run(time.Second)
	if b.index.Len() > 2 {
		t.Errorf("got %d indices, want at most 2", b.index.Len())
	}
}

type brokenRandom struct{}

func (brokenRandom) Read([]byte) (int, error) { return 0, errors.New("broken") }

func newMachine() *Machine { return New(Options{Rand: brokenRandom{}, Index: index.New()}) }

// oldest returns the member that was added first.
func oldest(m *Machine) *member { return m.list.slots[0].p }
