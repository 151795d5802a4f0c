package serve

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// A held peer is in an interface because the store has it. There may be 100,000, so this
// holds no more than what changes and reports need.
type held struct {
	name     string
	endpoint netip.AddrPort
	since    time.Time
	digest   uint64 // of what the interface was told about the peer
	rx, tx   uint64 // the counts of the daemon that are recorded
	routes   string // of routesOf; "" if they are not announced
	pass     uint32 // the reading of the interface in which it was seen last
	unsure   bool   // it may be in the interface: the answer to its loan was lost
	// unseen is what happened to it while no program served the interface. Nil: nothing, or it
	// was compared with what the store has seen.
	unseen *unseen
}

// unseen is a Sighting of a held peer in few bytes. It was at the endpoint of held.
type unseen struct {
	at    int64 // in nanoseconds since 1970; 0: it was nowhere
	stamp wire.TAI64N
}

// digests compares configurations without keeping them: keys are not to be had from them.
var digestSeed = maphash.MakeSeed()

// digest returns what differs if two peers are configured differently. The prefixes are
// sorted.
func digest(name string, preshared []byte, keepalive uint16, prefixes []netip.Prefix) uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	h.WriteString(name)
	h.Write([]byte{0, byte(keepalive), byte(keepalive >> 8)})
	h.Write(preshared)
	for _, p := range prefixes {
		text, _ := p.MarshalBinary()
		h.WriteByte(byte(len(text)))
		h.Write(text)
	}
	return h.Sum64()
}

// digestOf returns the digest of a peer of the store.
func digestOf(p *store.Peer) uint64 {
	preshared := p.PresharedKey.Bytes()
	defer clear(preshared)
	prefixes := slices.SortedFunc(slices.Values(p.AllowedIPs), netip.Prefix.Compare)
	return digest(p.Name, preshared, p.PersistentKeepalive, prefixes)
}

// digestOfStatus returns the digest of a peer of an interface.
func digestOfStatus(p *conf.PeerStatus) uint64 {
	preshared := p.PresharedKey.Bytes()
	defer clear(preshared)
	prefixes := slices.SortedFunc(slices.Values(p.AllowedIPs), netip.Prefix.Compare)
	return digest(p.Name, preshared, p.PersistentKeepalive, prefixes)
}

// begin takes the run of the daemon, before anything else of it.
func (s *served) begin(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run != s.run { // the daemon was restarted: it has none of the peers, and counts from 0
		for k := range s.held {
			s.forget(k)
		}
		s.run, s.held = run, map[key.Public]*held{}
		s.tasks.idle = nil
	}
}

// read reads which peers the interface has, and forgets those that it has no more. It has those
// compared that it did not know, or all if the daemon was just reached: a change may be lost.
func (s *served) read(ctx context.Context, first bool) error {
	s.mu.Lock()
	s.pass++
	s.gone = map[key.Public]bool{} // is not nil while peers are read
	s.mu.Unlock()
	byHand := map[key.Public]bool{}
	var compared []key.Public
	err := s.daemon.EachPeer(ctx, func(p *conf.PeerStatus) {
		s.mu.Lock()
		defer s.mu.Unlock()
		h := s.held[p.PublicKey]
		switch {
		case s.gone[p.PublicKey]:
		case !isLent(p): // also one that was lent, and is not any more
			s.forget(p.PublicKey)
			byHand[p.PublicKey] = true
		case h == nil: // from before this program was started
			h = &held{name: p.Name, endpoint: p.Endpoint, since: time.Now(), digest: digestOfStatus(p), rx: p.RxBytes, tx: p.TxBytes, pass: s.pass}
			h.unseen = &unseen{stamp: stampOf(p)}
			if !p.LastHandshake.IsZero() {
				h.unseen.at = p.LastHandshake.UnixNano()
			}
			s.held[p.PublicKey] = h
			s.setRoutes(h, p.AllowedIPs)
			compared = append(compared, p.PublicKey)
		default:
			h.pass, h.unsure = s.pass, false
			if first {
				compared = append(compared, p.PublicKey)
			}
			if seen, news := h.sighting(p); news {
				s.record(seen)
			}
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = nil
	if err != nil {
		return err
	}
	for k, h := range s.held {
		if h.pass != s.pass {
			s.forget(k)
		}
	}
	s.byHand = byHand
	s.tasks.compare(compared)
	return nil
}

// recordUnseen records what happened to a peer while no program served the interface, if it is
// news to the store.
func (s *served) recordUnseen(h *held, p *store.Peer) {
	u := h.unseen
	if h.unseen = nil; u == nil {
		return
	}
	seen := store.Sighting{PublicKey: p.PublicKey, Stamp: u.stamp}
	if u.at != 0 {
		seen.Endpoint, seen.At = h.endpoint, time.Unix(0, u.at)
	}
	moved := seen.Endpoint.IsValid() && seen.Endpoint != p.Seen.Endpoint && !seen.At.Before(p.Seen.At)
	if moved || seen.Stamp.After(p.Seen.Stamp) {
		s.record(seen)
	}
}

// sighting returns what was seen of a peer since the last one; news is false if nothing was.
func (h *held) sighting(p *conf.PeerStatus) (seen store.Sighting, news bool) {
	news = h.endpoint != p.Endpoint
	h.endpoint = p.Endpoint
	seen = store.Sighting{PublicKey: p.PublicKey, Stamp: stampOf(p), At: p.LastHandshake}
	if !p.LastHandshake.IsZero() {
		seen.Endpoint = p.Endpoint
	}
	seen.RxBytes, seen.TxBytes = h.count(p.RxBytes, p.TxBytes)
	return seen, news || seen.RxBytes|seen.TxBytes != 0
}

// count returns by how much the counts of the daemon have risen.
func (h *held) count(rx, tx uint64) (moreRx, moreTx uint64) {
	if rx < h.rx || tx < h.tx { // the peer was removed and added again
		h.rx, h.tx = 0, 0
	}
	moreRx, moreTx = rx-h.rx, tx-h.tx
	h.rx, h.tx = rx, tx
	return moreRx, moreTx
}

// event takes what happened to a peer.
func (s *served) event(e *conf.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isReturn(e) && s.gone != nil {
		s.gone[e.Peer] = true
	}
	h := s.held[e.Peer]
	if h == nil {
		t := s.tasks.all[subject{key: e.Peer}]
		if t == nil || s.byHand[e.Peer] {
			return
		}
		h = &held{} // it may be lent, and the answer to that is on its way
		if e.Kind == conf.HandshakeDone || e.Kind == conf.EndpointMoved {
			t.heardAt = e.Endpoint
		}
	}
	seen := store.Sighting{PublicKey: e.Peer, Stamp: stampOfEvent(e)}
	switch {
	case isReturn(e): // its endpoint is old: another gateway may have seen it elsewhere since
		s.forget(e.Peer)
		seen.RxBytes, seen.TxBytes = h.count(bytesOfEvent(e))
	case e.Kind == conf.HandshakeDone, e.Kind == conf.EndpointMoved:
		h.endpoint = e.Endpoint
		seen.Endpoint, seen.At = e.Endpoint, e.Time
	default:
		return
	}
	if seen.Endpoint.IsValid() || seen.Stamp != (wire.TAI64N{}) || seen.RxBytes|seen.TxBytes != 0 {
		s.record(seen)
	}
}

func (s *served) record(seen store.Sighting) { s.server.records.add(seen) }
