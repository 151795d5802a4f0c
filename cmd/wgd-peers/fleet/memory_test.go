package fleet

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
	"wgd/internal/quote"
	"wgd/key"
)

// A memory is a store in memory. Its methods do not wait, except for Watch.
type memory struct {
	mu        sync.Mutex
	peers     map[key.Public]*store.Peer
	order     []key.Public // of addition, with those that were deleted
	names     map[string]key.Public
	prefixes  map[netip.Prefix]key.Public
	lengths   map[bool]map[int]int // of IPv4 (true) and IPv6: how many prefixes have a length
	endpoints map[netip.AddrPort]map[key.Public]bool
	gateway   store.Gateway
	ceiling   time.Time

	changes  []key.Public // changes[i] has revision forgotten+i+1
	forgot   store.Revision
	changed  chan struct{} // is closed at the next change
	observed func(*store.Sighting)
}

// The contract of package store holds for the store in memory.
func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return newMemory() })
}

func newMemory() *memory {
	return &memory{
		peers: map[key.Public]*store.Peer{}, names: map[string]key.Public{}, prefixes: map[netip.Prefix]key.Public{},
		lengths:   map[bool]map[int]int{true: {}, false: {}},
		endpoints: map[netip.AddrPort]map[key.Public]bool{}, changed: make(chan struct{}),
	}
}

func (m *memory) Close() error { return nil }

func (m *memory) ByKey(_ context.Context, public key.Public) (*store.Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.copyOf(public)
}

// copyOf returns a copy, because callers erase the preshared key. The caller of this and of
// the methods below holds mu.
func (m *memory) copyOf(public key.Public) (*store.Peer, error) {
	p := m.peers[public]
	if p == nil {
		return nil, store.ErrNotFound
	}
	c := *p
	c.PresharedKey, c.AllowedIPs = p.PresharedKey.Clone(), slices.Clone(p.AllowedIPs)
	return &c, nil
}

func (m *memory) ByName(_ context.Context, name string) (*store.Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	public, ok := m.names[name]
	if !ok {
		return nil, store.ErrNotFound
	}
	return m.copyOf(public)
}

func (m *memory) ByAddress(_ context.Context, a netip.Addr) (*store.Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	prefix, ok := m.longest(a)
	if !ok {
		return nil, store.ErrNotFound
	}
	return m.copyOf(m.prefixes[prefix])
}

func (m *memory) longest(a netip.Addr) (longest netip.Prefix, ok bool) {
	for length := range m.lengths[a.Is4()] {
		prefix, err := a.WithZone("").Prefix(length)
		if _, taken := m.prefixes[prefix]; err == nil && taken && (!ok || length > longest.Bits()) {
			longest, ok = prefix, true
		}
	}
	return longest, ok
}

func (m *memory) ByEndpoint(_ context.Context, e netip.AddrPort) (*store.Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e = netip.AddrPortFrom(e.Addr().Unmap(), e.Port())
	var last *store.Peer
	for public := range m.endpoints[e] {
		p := m.peers[public]
		switch seen := p.Seen.Endpoint == e; {
		case last == nil, seen && (last.Seen.Endpoint != e || p.Seen.At.After(last.Seen.At)):
			last = p
		}
	}
	if last == nil {
		return nil, store.ErrNotFound
	}
	return m.copyOf(last.PublicKey)
}

func (m *memory) All(ctx context.Context) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		m.mu.Lock()
		order := slices.Clone(m.order)
		m.mu.Unlock()
		for _, public := range order {
			if p, err := m.ByKey(ctx, public); err == nil && !yield(p, nil) {
				return
			}
		}
	}
}

func (m *memory) Add(_ context.Context, p *store.Peer, networks []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, network := range networks {
		a, err := m.free(network.Masked())
		if err != nil {
			return err
		}
		p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(a, a.BitLen()))
	}
	return m.add(p)
}

func (m *memory) add(p *store.Peer) error {
	if err := m.check(p, key.Public{}); err != nil {
		return err
	}
	c := *p
	c.PresharedKey, c.AllowedIPs = p.PresharedKey.Clone(), slices.Clone(p.AllowedIPs)
	if c.Created.IsZero() {
		c.Created = time.Now()
	}
	m.put(&c)
	m.order = append(m.order, p.PublicKey)
	m.note(p.PublicKey)
	return nil
}

// check refuses what another peer than before has, which is zero for a new peer.
func (m *memory) check(p *store.Peer, before key.Public) error {
	if err := p.Check(); err != nil {
		return err
	}
	if other := m.peers[p.PublicKey]; other != nil && p.PublicKey != before {
		return store.Refusef("peer %s: the store has this public key already, as peer %s", p.Label(), other.Label())
	}
	if other, taken := m.names[p.Name]; taken && other != before {
		return store.Refusef("peer %s: the store has another peer with this name", p.Name)
	}
	for _, prefix := range p.AllowedIPs {
		if other, taken := m.prefixes[prefix]; taken && other != before {
			return store.Refusef("peer %s: allowed IP %s: peer %s has it", p.Label(), prefix, m.peers[other].Label())
		}
	}
	return nil
}

// put adds a peer that was checked.
func (m *memory) put(p *store.Peer) {
	p.Changed = time.Now()
	m.peers[p.PublicKey] = p
	if p.Name != "" {
		m.names[p.Name] = p.PublicKey
	}
	for _, prefix := range p.AllowedIPs {
		m.prefixes[prefix] = p.PublicKey
		m.lengths[prefix.Addr().Is4()][prefix.Bits()]++
	}
	m.at(p.Seen.Endpoint, p)
	if e, err := netip.ParseAddrPort(p.Endpoint); err == nil {
		m.at(e, p)
	}
}

// at notes that a peer is at an endpoint.
func (m *memory) at(e netip.AddrPort, p *store.Peer) {
	if !e.IsValid() {
		return
	}
	if m.endpoints[e] == nil {
		m.endpoints[e] = map[key.Public]bool{}
	}
	m.endpoints[e][p.PublicKey] = true
}

// leave is the opposite of at.
func (m *memory) leave(e netip.AddrPort, p *store.Peer) {
	if delete(m.endpoints[e], p.PublicKey); len(m.endpoints[e]) == 0 {
		delete(m.endpoints, e)
	}
}

// remove is the opposite of put.
func (m *memory) remove(p *store.Peer) {
	delete(m.peers, p.PublicKey)
	delete(m.names, p.Name)
	for _, prefix := range p.AllowedIPs {
		delete(m.prefixes, prefix)
		lengths := m.lengths[prefix.Addr().Is4()]
		if lengths[prefix.Bits()]--; lengths[prefix.Bits()] == 0 {
			delete(lengths, prefix.Bits())
		}
	}
	m.leave(p.Seen.Endpoint, p)
	if e, err := netip.ParseAddrPort(p.Endpoint); err == nil {
		m.leave(e, p)
	}
}

// note makes a change of a peer known.
func (m *memory) note(public key.Public) {
	m.changes = append(m.changes, public)
	close(m.changed)
	m.changed = make(chan struct{})
}

// compact forgets all changes so far.
func (m *memory) compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgot, m.changes = m.revision(), nil
}

func (m *memory) revision() store.Revision { return m.forgot + store.Revision(len(m.changes)) }

func (m *memory) Update(_ context.Context, public key.Public, change func(*store.Peer) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.copyOf(public)
	if err != nil {
		return err
	}
	if err := change(p); err != nil {
		return err
	}
	return m.replace(public, p)
}

func (m *memory) replace(public key.Public, p *store.Peer) error {
	if err := m.check(p, public); err != nil {
		return err
	}
	before := m.peers[public]
	p.Seen, p.Created = before.Seen, before.Created
	m.remove(before)
	m.put(p)
	if m.note(public); p.PublicKey != public {
		m.order = append(m.order, p.PublicKey)
		m.note(p.PublicKey)
	}
	return nil
}

func (m *memory) Delete(_ context.Context, public key.Public) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[public]
	if p == nil {
		return store.ErrNotFound
	}
	m.remove(p)
	m.note(public)
	return nil
}

// Import makes its changes in a copy, which it takes back after an error.
func (m *memory) Import(_ context.Context, peers iter.Seq2[*store.Peer, error], replace bool, skipped func(*store.Peer, error)) (added, replaced int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	had := maps.Clone(m.peers)
	for p, e := range peers {
		if err = e; err != nil {
			break
		}
		var refusal error
		switch old := m.peers[p.PublicKey]; {
		case old == nil:
			if refusal = m.add(p); refusal == nil {
				added++
			}
		case !replace:
			refusal = store.Refusef("peer %s: the store has this public key already", quote.Name(p.Label()))
		default:
			c := *p
			if refusal = m.replace(p.PublicKey, &c); refusal == nil {
				replaced++
				if p.Seen != (store.Seen{}) {
					c.Seen.RxBytes, c.Seen.TxBytes = 0, 0
				}
				m.see(&c, &p.Seen)
			}
		}
		if refusal != nil {
			skipped(p, refusal)
		}
	}
	if err == nil {
		return added, replaced, nil
	}
	for _, p := range slices.Collect(maps.Values(m.peers)) {
		m.remove(p)
	}
	for _, p := range had {
		m.put(p)
	}
	return 0, 0, err
}

func (m *memory) Revision(context.Context) (store.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revision(), nil
}

func (m *memory) Watch(ctx context.Context, since store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		for {
			c, more := m.since(since)
			if c.Revision != since && !yield(c, nil) {
				return
			}
			since = c.Revision
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}
}

// since returns the changes after a revision, and a channel that is closed at the next one.
func (m *memory) since(since store.Revision) (c store.Changes, more chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c.Revision = m.revision()
	if c.Lost = since < m.forgot || since > c.Revision; c.Lost || since == c.Revision {
		return c, m.changed
	}
	known := map[key.Public]bool{}
	for _, public := range m.changes[since-m.forgot:] {
		if !known[public] {
			known[public] = true
			c.Keys = append(c.Keys, public)
		}
	}
	return c, m.changed
}

func (m *memory) Record(_ context.Context, list []store.Sighting) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range list {
		s := &list[i]
		if p := m.peers[s.PublicKey]; p != nil {
			m.see(p, &store.Seen{Endpoint: s.Endpoint, At: s.At, Stamp: s.Stamp, RxBytes: s.RxBytes, TxBytes: s.TxBytes})
		}
		if m.observed != nil {
			m.observed(s)
		}
	}
	return len(list), nil
}

// see adds what was seen of a peer. Times are whole seconds, as in the other stores.
func (m *memory) see(p *store.Peer, s *store.Seen) {
	if *s == (store.Seen{}) {
		return
	}
	seen := &p.Seen
	at := s.At.Truncate(time.Second)
	if e := netip.AddrPortFrom(s.Endpoint.Addr().Unmap(), s.Endpoint.Port()); s.Endpoint.IsValid() && (!seen.Endpoint.IsValid() || !at.Before(seen.At)) {
		if configured, err := netip.ParseAddrPort(p.Endpoint); err != nil || configured != seen.Endpoint {
			m.leave(seen.Endpoint, p)
		}
		seen.Endpoint = e
		m.at(e, p)
	}
	if at.After(seen.At) {
		seen.At = at
	}
	if bytes.Compare(s.Stamp[:], seen.Stamp[:]) > 0 {
		seen.Stamp = s.Stamp
	}
	seen.RxBytes = min(seen.RxBytes, math.MaxInt64-min(s.RxBytes, math.MaxInt64)) + min(s.RxBytes, math.MaxInt64)
	seen.TxBytes = min(seen.TxBytes, math.MaxInt64-min(s.TxBytes, math.MaxInt64)) + min(s.TxBytes, math.MaxInt64)
}

func (m *memory) RaiseCeiling(_ context.Context, needed, to time.Time) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ceiling.Before(needed) {
		m.ceiling = time.Unix(to.Unix(), 0)
	}
	return m.ceiling, nil
}

func (m *memory) Gateway(context.Context) (*store.Gateway, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.gateway
	return &g, nil
}

func (m *memory) SetGateway(_ context.Context, g *store.Gateway) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gateway = *g
	return nil
}

// free returns the first address of a network that no peer has.
func (m *memory) free(network netip.Prefix) (netip.Addr, error) {
	a := network.Addr()
	if a.BitLen()-network.Bits() > 1 { // with two addresses or one, each is a host's
		a = a.Next()
	}
	for ; a.IsValid() && network.Contains(a); a = a.Next() {
		taken, ok := m.longest(a)
		gateway := slices.ContainsFunc(m.gateway.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
		broadcast := a.Is4() && network.Bits() < 31 && !network.Contains(a.Next())
		if (!ok || taken.Bits() <= network.Bits() && !taken.IsSingleIP()) && !gateway && !broadcast {
			return a, nil
		}
	}
	return netip.Addr{}, store.Refusef("network %s: all addresses are taken", network)
}

var errCut = errors.New("the store does not answer")
