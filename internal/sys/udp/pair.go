package udp

import (
	"errors"
	"net/netip"
	"slices"

	"wgd/internal/batch"
)

// A Pair holds the sockets of both families on one port. One of them may be nil if
// the host lacks the family (A53, B21).
type Pair struct {
	V4, V6 Group
	port   uint16
}

// NewPair returns a Pair of two Groups that are bound to port; either may be nil.
func NewPair(v4, v6 Group, port uint16) *Pair { return &Pair{V4: v4, V6: v6, port: port} }

// Port returns the port that all sockets are bound to.
func (p *Pair) Port() uint16 { return p.port }

// Groups returns the Groups that are not nil.
func (p *Pair) Groups() []Group {
	var list []Group
	for _, g := range []Group{p.V4, p.V6} {
		if g != nil {
			list = append(list, g)
		}
	}
	return list
}

// NewSender returns a Sender for both families. It is closed with the Pair.
func (p *Pair) NewSender() Sender {
	var s pairSender
	if p.V4 != nil {
		s.v4 = p.V4.NewSender()
	}
	if p.V6 != nil {
		s.v6 = p.V6.NewSender()
	}
	return &s
}

// pairSender is a Sender for both families; either may be nil.
type pairSender struct {
	v4, v6 Sender

	// Of SendAll: the trains of one family, their numbers, and what became of them.
	family  []batch.Batch
	numbers []int
	errs    []error
}

func (s *pairSender) Send(b *batch.Batch) error {
	by := s.of(is4(b.Remote.Remote.Addr()))
	switch {
	case !b.Remote.IsValid():
		return ErrBadEndpoint
	case by == nil:
		return ErrNoFamily
	}
	return by.Send(b)
}

// SendAll sends the trains of each family together, however they alternate.
func (s *pairSender) SendAll(bs []batch.Batch, errs []error) {
	n := 0
	for i := range bs {
		if is4(bs[i].Remote.Remote.Addr()) {
			n++
		}
	}
	if n == 0 || n == len(bs) {
		s.sendFamily(n > 0, bs, errs)
		return
	}
	for _, v4 := range [...]bool{true, false} {
		s.family, s.numbers = s.family[:0], s.numbers[:0]
		for i := range bs {
			if is4(bs[i].Remote.Remote.Addr()) == v4 {
				s.family, s.numbers = append(s.family, bs[i]), append(s.numbers, i)
			}
		}
		s.errs = slices.Grow(s.errs[:0], len(s.family))[:len(s.family)]
		s.sendFamily(v4, s.family, s.errs)
		for k, i := range s.numbers {
			errs[i] = s.errs[k]
		}
		clear(s.family) // otherwise it would keep the caller's buffer alive
	}
}

func (s *pairSender) sendFamily(v4 bool, bs []batch.Batch, errs []error) {
	if by := s.of(v4); by != nil {
		by.SendAll(bs, errs)
	} else {
		batch.SendInTurn(s.Send, bs, errs)
	}
}

func (s *pairSender) of(v4 bool) Sender {
	if v4 {
		return s.v4
	}
	return s.v6
}

// SetMark is Group.SetMark for both families.
func (p *Pair) SetMark(mark uint32) error {
	var errs []error
	for _, g := range p.Groups() {
		errs = append(errs, g.SetMark(mark))
	}
	return errors.Join(errs...)
}

// Forget is Group.Forget for both families.
func (p *Pair) Forget() {
	for _, g := range p.Groups() {
		g.Forget()
	}
}

// Close closes all sockets.
func (p *Pair) Close() error {
	var errs []error
	for _, g := range p.Groups() {
		errs = append(errs, g.Close())
	}
	return errors.Join(errs...)
}

// is4 reports whether a is an IPv4 address, which may be IPv4-mapped (A54).
func is4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }
