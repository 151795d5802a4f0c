package driver

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/index"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// admit makes all parts of a decision in sequence.
func (a *Admission) admit(now clock.Time, from wire.Endpoint, msg []byte, waiting int) Decision {
	d := a.Classify(msg)
	if d.Action == Defer {
		d = a.CheckMAC1(d, msg)
	}
	if d.Action == Defer {
		d = a.Rest(now, from, msg, waiting)
	}
	return d
}

// A1, A6, A13, A22, A27, A28, A30: each kind of message is admitted, answered or
// dropped, and a drop is counted under the right reason.
func TestAdmission(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	pending, _ := wire.DecodeInitiation(runAndSend(t, a))
	p := a.m.Peers()[0]
	established, err := a.index.Reserve(random(5), &index.Entry{Peer: p})
	if err != nil {
		t.Fatal(err)
	}
	k := session.New(&[32]byte{}, &[32]byte{}, established, 1, true, start.Mono)
	a.index.Replace(established, &index.Entry{Peer: p, Keypair: k})

	good := initiation(t, b.private, a.public)
	const idle, load, full = 0, Capacity / 8, Capacity
	for _, c := range []struct {
		name    string
		msg     []byte
		waiting int
		want    Decision
	}{
		{"nothing", nil, idle, Decision{}},
		{"data", make([]byte, 32), idle, Decision{}},
		{"a data message", append([]byte{byte(wire.TypeData), 0, 0, 0}, make([]byte, 28)...), idle, Decision{}},
		{"an initiation", good, idle, Decision{Action: PutHandshake}},
		{"an initiation to another host", initiation(t, b.private, b.public), idle, drop(dataplane.DropMAC1)},
		{"an initiation under load", good, load, Decision{Action: Answer}},
		{"an initiation while the queue is full", good, full, Decision{Action: Answer}},
		{"the response to our initiation", response(a.public, pending.Sender), idle, Decision{Action: PutHandshake}},
		{"the response to our initiation, under load", response(a.public, pending.Sender), load, Decision{Action: Answer}},
		{"a response to an unknown index", response(a.public, 99), idle, drop(dataplane.DropHandshake)},
		{"the response to a completed handshake", response(a.public, established), idle, drop(dataplane.DropHandshake)},
		{"a response with a wrong mac1", response(b.public, pending.Sender), idle, drop(dataplane.DropMAC1)},
		{"the cookie for our initiation", cookieReply(pending.Sender), full, Decision{Action: PutCookie}},
		{"the cookie for a message of an old session", cookieReply(established), full, Decision{Action: PutCookie}},
		{"a cookie for an unknown index", cookieReply(99), idle, drop(dataplane.DropHandshake)},
	} {
		admission := Admission{Gate: cookie.NewGate(a.public, random(9)), Index: a.index, Capacity: Capacity}
		got := admission.admit(start.Mono, from(2), c.msg, c.waiting)
		if (len(got.Reply) > 0) != (got.Action == Answer) {
			t.Errorf("%s: got a reply of %d bytes with action %d", c.name, len(got.Reply), got.Action)
		}
		got.Reply = nil
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func drop(reason dataplane.Drop) Decision { return Decision{Action: Drop, Reason: reason} }

// A28, A29: under load, a sender with a cookie is admitted until the queue is
// full, and no faster than the rate limit.
func TestAdmissionWithCookie(t *testing.T) {
	a := newNode(t, 1)
	admission := Admission{Gate: a.gate, Index: a.index, Capacity: 16}
	maker := cookie.NewMaker(a.public)
	initiation := func() []byte {
		msg := (&wire.Initiation{}).AppendTo(nil)
		maker.AddMACs(start.Mono, msg)
		return msg
	}
	d := admission.admit(start.Mono, from(1), initiation(), 2)
	if d.Action != Answer || !maker.Consume(start.Mono, d.Reply) {
		t.Fatalf("got %+v, want a cookie reply that the sender accepts", d)
	}
	if d := admission.admit(start.Mono, from(1), initiation(), 16); d.Action != Drop || d.Reason != dataplane.DropQueueFull {
		t.Errorf("queue full: got %+v, want a drop for a full queue", d)
	}
	passed := 0
	for {
		d := admission.admit(start.Mono, from(1), initiation(), 15)
		if d.Action != PutHandshake {
			if d.Action != Drop || d.Reason != dataplane.DropRate {
				t.Errorf("after %d messages: got %+v, want a drop for the rate", passed, d)
			}
			break
		}
		passed++
	}
	if passed == 0 || passed > 20 {
		t.Errorf("%d messages were admitted at once, want 1 to 20", passed)
	}
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no random bytes") }

// If a message needs a cookie and there are no random bytes to make one, the drop
// counts as a refused handshake, because the mac1 is good.
func TestAdmissionWithoutRandomBytes(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	admission := Admission{Gate: cookie.NewGate(a.public, io.Reader(noRandom{})), Index: a.index, Capacity: 16}
	d := admission.admit(start.Mono, from(1), initiation(t, b.private, a.public), 2)
	if d.Action != Drop || d.Reason != dataplane.DropHandshake {
		t.Errorf("got %+v, want a drop as a refused handshake", d)
	}
}

// runAndSend runs the job that makes an initiation, and returns the initiation.
func runAndSend(t *testing.T, x *node) []byte {
	t.Helper()
	j := x.only(core.Run).Job
	j.Run()
	x.m.Finish(start, j)
	return x.only(core.Send).Message
}

// response returns a response that is valid only in its form and mac1.
func response(to key.Public, receiver uint32) []byte {
	msg := (&wire.Response{Receiver: receiver}).AppendTo(nil)
	cookie.NewMaker(to).AddMACs(start.Mono, msg)
	return msg
}

func cookieReply(receiver uint32) []byte {
	return (&wire.CookieReply{Receiver: receiver}).AppendTo(nil)
}
