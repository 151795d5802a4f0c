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

// admit is all parts of a decision, one directly after the other.
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

// A1, A6, A13, A22, A27, A28, A30: what becomes of each message before a queue,
// and as what it counts if it does not get there.
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
		{"an initiation to somebody else", initiation(t, b.private, b.public), idle, drop(dataplane.DropMAC1)},
		{"an initiation under load", good, load, Decision{Action: Answer}},
		{"an initiation that finds the queue full", good, full, Decision{Action: Answer}},
		{"the response to our initiation", response(a.public, pending.Sender), idle, Decision{Action: PutHandshake}},
		{"the response to our initiation, under load", response(a.public, pending.Sender), load, Decision{Action: Answer}},
		{"the response to nothing of ours", response(a.public, 99), idle, drop(dataplane.DropHandshake)},
		{"the response to a handshake that is over", response(a.public, established), idle, drop(dataplane.DropHandshake)},
		{"a response with a wrong mac1", response(b.public, pending.Sender), idle, drop(dataplane.DropMAC1)},
		{"the cookie for our initiation", cookieReply(pending.Sender), full, Decision{Action: PutCookie}},
		{"the cookie for a message of an old session", cookieReply(established), full, Decision{Action: PutCookie}},
		{"the cookie for nothing of ours", cookieReply(99), idle, drop(dataplane.DropHandshake)},
	} {
		admission := Admission{Gate: cookie.NewGate(a.public, random(9)), Index: a.index, Capacity: Capacity}
		got := admission.admit(start.Mono, from(2), c.msg, c.waiting)
		if (len(got.Reply) > 0) != (got.Action == Answer) {
			t.Errorf("%s: %d bytes to answer", c.name, len(got.Reply))
		}
		got.Reply = nil
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func drop(reason dataplane.Drop) Decision { return Decision{Action: Drop, Reason: reason} }

// A28, A29: who has a cookie passes under load, until the queue is full, and
// no faster than its rate.
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
		t.Fatalf("%+v", d)
	}
	if d := admission.admit(start.Mono, from(1), initiation(), 16); d.Action != Drop || d.Reason != dataplane.DropQueueFull {
		t.Errorf("queue full: %+v", d)
	}
	passed := 0
	for {
		d := admission.admit(start.Mono, from(1), initiation(), 15)
		if d.Action != PutHandshake {
			if d.Action != Drop || d.Reason != dataplane.DropRate {
				t.Errorf("after %d: %+v", passed, d)
			}
			break
		}
		passed++
	}
	if passed == 0 || passed > 20 {
		t.Errorf("%d passed at once", passed)
	}
}

type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errors.New("no random bytes") }

// A message that would need a cookie, while there are no random bytes for one,
// is a handshake that was refused: nothing is wrong with its mac1.
func TestAdmissionWithoutRandomBytes(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	admission := Admission{Gate: cookie.NewGate(a.public, io.Reader(noRandom{})), Index: a.index, Capacity: 16}
	d := admission.admit(start.Mono, from(1), initiation(t, b.private, a.public), 2)
	if d.Action != Drop || d.Reason != dataplane.DropHandshake {
		t.Errorf("%+v", d)
	}
}

// runAndSend runs the job that makes an initiation, and returns it.
func runAndSend(t *testing.T, x *node) []byte {
	t.Helper()
	j := x.only(core.Run).Job
	j.Run()
	x.m.Finish(start, j)
	return x.only(core.Send).Message
}

// response has the right form and mac1, and nothing else.
func response(to key.Public, receiver uint32) []byte {
	msg := (&wire.Response{Receiver: receiver}).AppendTo(nil)
	cookie.NewMaker(to).AddMACs(start.Mono, msg)
	return msg
}

func cookieReply(receiver uint32) []byte {
	return (&wire.CookieReply{Receiver: receiver}).AppendTo(nil)
}
