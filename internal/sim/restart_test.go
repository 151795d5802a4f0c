package sim

import (
	"fmt"
	"testing"
	"time"

	"wgd/internal/wire"
)

// B35: after either side restarts, orderly or not, traffic from either side
// resumes within 16 s, and at once if the restarted side sends.
func TestRestart(t *testing.T) {
	for _, orderly := range []bool{false, true} {
		for _, restarted := range []int{0, 1} {
			for _, sender := range []int{0, 1} {
				n := newChecked(t, 1)
				a, b := n.Pair()
				a.Send(b, "x")
				n.Run(20 * time.Second)
				what := fmt.Sprintf("orderly %v, restarted %d, sender %d", orderly, restarted, sender)
				n.Hosts[restarted].Restart(orderly)
				from, to := n.Hosts[sender], n.Hosts[1-sender]
				to.Got = nil
				began := n.Now()
				for len(to.Got) == 0 && n.Now() < began+time.Minute {
					from.Send(to, "y")
					n.Run(100 * time.Millisecond)
				}
				limit := 16 * time.Second
				if sender == restarted {
					limit = time.Second
				}
				if took := n.Now() - began; took > limit {
					t.Errorf("%s: %v without traffic", what, took)
				}
			}
		}
	}
}

// A20: stamps increase across restarts, whatever the wall clock shows. B16: a
// clock that is set back affects nothing else.
func TestClockSteps(t *testing.T) {
	for _, orderly := range []bool{false, true} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		var last wire.TAI64N
		for i, wall := range []time.Duration{0, time.Hour, -time.Hour, -20 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour, 0, -time.Second} {
			a.Wall = wall
			b.Wall = -wall
			if i%2 == 1 {
				a.Restart(orderly)
			}
			a.Forget()
			a.Send(b, fmt.Sprint(i))
			n.Run(20 * time.Minute) // until the keys expire: the next packet needs a handshake
			for _, d := range a.SentOf(wire.TypeInitiation) {
				if stamp := n.stampOf(b, d.Data); !stamp.After(last) {
					t.Errorf("wall clock %v: the stamp is not after the last one", wall)
				} else {
					last = stamp
				}
			}
			b.Send(a, "back")
			n.Run(20 * time.Minute)
			equal(t, "a", a.Payloads(), []string{"back"})
		}
		equal(t, "b", b.Payloads(), numbers(0, 7))
	}
}

// B51: a clock that was years ahead and is corrected before a restart does not
// lock the host out, whether the restart is orderly or not.
func TestStampFromTheFuture(t *testing.T) {
	for _, orderly := range []bool{false, true} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Wall = 30 * 365 * 24 * time.Hour
		a.Send(b, "from the future")
		n.Run(time.Minute)
		a.Wall = 0
		a.Restart(orderly)
		for i := range 20 {
			a.Send(b, fmt.Sprint(i))
			n.Run(10 * time.Minute)
		}
		equal(t, "b", b.Payloads(), append([]string{"from the future"}, numbers(0, 20)...))
	}
}

// A20: the ceiling on disk is never below a stamp that was sent, so that the
// process may crash at any time.
func TestCeilingIsAhead(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	tap := n.Tap
	n.Tap = func(from *Host, d *Datagram) {
		tap(from, d)
		if from == a && d.Type() == wire.TypeInitiation && n.stampOf(b, d.Data).After(a.Disk.Ceiling) {
			t.Errorf("%v: a stamp above the ceiling", n.Now())
		}
	}
	n.loseAll()
	end := time.Duration(scaled(60)) * time.Minute
	n.Every(time.Second, func() bool { a.Send(b, "x"); return n.Now() < end })
	n.Every(7*time.Minute, func() bool { a.Wall += time.Duration(n.Rand.Int64N(int64(time.Hour))) - 30*time.Minute; return true })
	n.Run(end)
}

// stampOf returns the stamp in an initiation to h.
func (n *Internet) stampOf(h *Host, msg []byte) wire.TAI64N {
	stamp, ok := openStamp(h, msg)
	if !ok {
		panic("sim: the message is not an initiation for that host")
	}
	return stamp
}

// A21, A18: an initiation recorded before a restart is not accepted after it
// and does not move the endpoint. Only one from the last second before a crash
// may be.
func TestReplayAfterRestart(t *testing.T) {
	for _, orderly := range []bool{false, true} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Send(b, "x")
		n.Run(5 * time.Second)
		initiation := a.SentOf(wire.TypeInitiation)[0].Data
		b.Restart(orderly)
		checkUnaffected(t, n, b, fmt.Sprintf("restart, orderly %v", orderly), initiation)
	}
}

// A12, A18: the same initiation is received several times and processed on
// several cores at once, some much slower than others. The stamp is compared
// again when it is stored, so only one is answered.
func TestInitiationTwiceAtOnce(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	b.Cores, b.JobTime, b.JobJitter = 4, 10*time.Millisecond, time.Second
	for range 20 {
		n.Run(2 * time.Second)
		before := b.Counts.Sent[wire.TypeResponse]
		msg := n.initiation(a.Private, b.Public(), Epoch.Add(n.Now()), nil)
		for range 4 {
			n.Inject(a.Addr(), b.Addr(), msg)
		}
		n.Run(5 * time.Second)
		if got := b.Counts.Sent[wire.TypeResponse] - before; got != 1 {
			t.Fatalf("%d responses, want 1", got)
		}
	}
}

// A19: an initiation within 20 ms of the last accepted one is not answered.
func TestInitiationsWithin20ms(t *testing.T) {
	n := newChecked(t, 1)
	n.Default.Delay = 0
	a, b := n.Pair()
	for i := range 100 {
		msg := n.initiation(a.Private, b.Public(), Epoch.Add(time.Duration(i)*20*time.Millisecond), nil)
		n.Inject(a.Addr(), b.Addr(), msg)
		n.Run(5 * time.Millisecond)
	}
	if got := b.Counts.Sent[wire.TypeResponse]; got != 25 {
		t.Errorf("%d responses in half a second, want 25", got)
	}
}

// A38, A51, A7: replaying a complete recorded conversation, with rekeys and
// roaming, from another address, to both hosts and in random order, delivers no
// packet and moves no endpoint.
func TestReplayOfAConversation(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	for i := range 200 {
		if i%60 == 59 {
			a.Move(fmt.Sprintf("203.0.113.%d", i))
		}
		a.Send(b, fmt.Sprint(i))
		n.Run(time.Second)
		b.Send(a, fmt.Sprint(i))
		n.Run(2 * time.Second)
	}
	n.Run(30 * time.Second)
	for range 3 {
		var messages [][]byte
		for _, d := range append(a.Sent, b.Sent...) {
			messages = append(messages, d.Data)
		}
		n.Rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		checkUnaffected(t, n, a, "replay to a", messages...)
		checkUnaffected(t, n, b, "replay to b", messages...)
	}
}
