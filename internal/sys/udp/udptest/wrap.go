package udptest

import "wgd/internal/sys/udp"

// Wrap returns a Pair that passes every Receiver and Sender of p through the functions.
// A function may be nil, and so may the Pair.
func Wrap(p *udp.Pair, receiver func(udp.Receiver) udp.Receiver, sender func(udp.Sender) udp.Sender) *udp.Pair {
	if p == nil {
		return nil
	}
	if receiver == nil {
		receiver = func(r udp.Receiver) udp.Receiver { return r }
	}
	if sender == nil {
		sender = func(s udp.Sender) udp.Sender { return s }
	}
	wrapped := udp.NewPair(nil, nil, p.Port())
	if p.V4 != nil {
		wrapped.V4 = &group{p.V4, receiver, sender}
	}
	if p.V6 != nil {
		wrapped.V6 = &group{p.V6, receiver, sender}
	}
	return wrapped
}

type group struct {
	udp.Group
	receiver func(udp.Receiver) udp.Receiver
	sender   func(udp.Sender) udp.Sender
}

func (g *group) Socket(i int) udp.Socket { return wrappedSocket{g.Group.Socket(i), g.receiver} }

func (g *group) NewSender() udp.Sender { return g.sender(g.Group.NewSender()) }

type wrappedSocket struct {
	udp.Socket
	receiver func(udp.Receiver) udp.Receiver
}

func (s wrappedSocket) NewReceiver() udp.Receiver { return s.receiver(s.Socket.NewReceiver()) }
