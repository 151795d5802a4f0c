package udp

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// The kernel may send only some messages of a call (B20), or be interrupted: nothing is
// lost, repeated or overtaken.
func TestSendAllPartially(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	interrupted, takes := false, []int{1, 5, 64, 2, 30}
	k := &faultyKernel{single: func(call int, hs []mmsghdr) (int, syscall.Errno) {
		if interrupted = !interrupted; interrupted {
			return 0, unix.EINTR
		}
		return min(len(hs), takes[call%len(takes)]), 0
	}}
	k.install(a.V4)
	for range 20 {
		trains := scattered(130, b.Port())
		wantErrors(t, sendAll(a, trains...), make([]error, 130)...)
		for i, n := range arrivals(t, b.V4, 130) {
			if n != 100+i {
				t.Fatalf("datagram %d has %d bytes", i, n)
			}
		}
	}
	// Whatever the error of the call is, Send of the train decides.
	for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.EPERM, unix.EAGAIN, unix.EINVAL} {
		k.singles = 0
		k.single = func(call int, hs []mmsghdr) (int, syscall.Errno) {
			if call == 1 {
				return 7, 0
			}
			return 0, errno
		}
		trains := scattered(20, b.Port())
		wantErrors(t, sendAll(a, trains...), make([]error, 20)...)
		for i, n := range arrivals(t, b.V4, 20) {
			if n != 100+i {
				t.Fatalf("%v: datagram %d has %d bytes", errno, i, n)
			}
		}
	}
}

// If the socket accepts nothing more in the middle, data waits as with Send, once; if it
// accepts again, the rest goes together.
func TestSendAllWaitsForRoom(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	c := a.V4.conn
	slept, full := 0, 3
	c.calls.sleep = func(time.Duration) { slept++; full-- }
	k := &faultyKernel{
		train: nil,
		single: func(call int, hs []mmsghdr) (int, syscall.Errno) {
			if call == 1 {
				return 10, 0
			}
			return len(hs), 0
		},
	}
	k.install(a.V4)
	send := c.calls.sendmsg
	c.calls.sendmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
		if full > 0 {
			return -1, unix.EAGAIN
		}
		return send(fd, h)
	}
	c.tx.budget = queryAfter
	trains := scattered(30, b.Port())
	wantErrors(t, sendAll(a, trains...), make([]error, 30)...)
	if slept != 3 || k.singles != 2 || k.trains != 1 {
		t.Errorf("slept %d times, want 3; %+v", slept, k)
	}
	for i, n := range arrivals(t, b.V4, 30) {
		if n != 100+i {
			t.Fatalf("datagram %d has %d bytes", i, n)
		}
	}
	// It stays full: every train is refused, and only the first one waits.
	slept, full, k.singles = 0, 1000, 0
	k.single = func(call int, hs []mmsghdr) (int, syscall.Errno) {
		if call == 1 {
			return 2, 0
		}
		return 0, unix.EAGAIN
	}
	want := slices.Repeat([]error{ErrBacklog}, 30)
	want[0], want[1] = nil, nil
	wantErrors(t, sendAll(a, trains...), want...)
	if slept != maxWaits || k.singles != 1 {
		t.Errorf("slept %d times, want %d; sendmmsg was called %d times, want once", slept, maxWaits, k.singles)
	}
	arrivals(t, b.V4, 2)
	full = 0
	wantErrors(t, sendAll(a, trains[:1]...), nil)
	k.single = nil
	wantErrors(t, sendAll(a, trains...), make([]error, 30)...)
	if arrivals(t, b.V4, 31); k.singles != 2 {
		t.Error("trains are not sent together any more after the socket was full")
	}
}

// The queue is asked as often as with Send, and while it is long, for every train.
func TestSendAllAsksForTheQueue(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	queries, length := 0, 0
	a.V4.conn.calls.queued = func(uintptr) int { queries++; return length }
	a.V4.conn.calls.now = func() time.Duration { return time.Hour }
	k := &faultyKernel{}
	k.install(a.V4)
	const rounds, size = 40, 1000
	for range rounds {
		var trains []*batch.Batch
		for _, x := range scattered(60, b.Port()) {
			trains = append(trains, numbered(1, size, size, x.Remote))
		}
		wantErrors(t, sendAll(a, trains...), make([]error, 60)...)
		arrivals(t, b.V4, 60)
	}
	if want := rounds * 60 * cost(size, 1) / queryAfter; queries < want || queries > want+2 {
		t.Errorf("%d queries, want %d", queries, want)
	}
	length, queries, k.singles = standing+1, 0, 0
	a.V4.conn.tx.budget = 0
	wantErrors(t, sendAll(a, scattered(60, b.Port())...), make([]error, 60)...)
	if arrivals(t, b.V4, 60); queries != 60 || k.singles != 0 {
		t.Errorf("while much is queued: %d queries, want 60; %d calls for several trains", queries, k.singles)
	}
}

// A refused train is sent as single datagrams, and the endpoint's next ones at once;
// those to others are still sent as trains (B61).
func TestSendAllRefusedTrains(t *testing.T) {
	a, b, other := pair(t, Options{}), pair(t, Options{}), pair(t, Options{})
	refused := 0
	bad := func(h *unix.Msghdr) bool {
		return port(h) == b.Port() && h.Controllen > 0 // nothing but UDP_SEGMENT
	}
	k := &faultyKernel{
		train: func(_ int, h *unix.Msghdr) syscall.Errno {
			if bad(h) {
				refused++
				return unix.EIO
			}
			return 0
		},
		single: func(_ int, hs []mmsghdr) (int, syscall.Errno) {
			for i := range hs {
				if bad(&hs[i].hdr) {
					if refused++; i > 0 {
						return i, 0
					}
					return 0, unix.EIO
				}
			}
			return len(hs), 0
		},
	}
	k.install(a.V4)
	one, two := endpoint("127.0.0.1", b.Port(), "", 0), endpoint("127.0.0.1", other.Port(), "", 0)
	for round := range 3 {
		wantErrors(t, sendAll(a, numbered(1, 50, 50, two), numbered(4, 60, 6, two), numbered(4, 70, 7, one), numbered(4, 80, 8, one), numbered(4, 60, 6, two)),
			nil, nil, nil, nil, nil)
		if got, want := arrivals(t, b.V4, 8), []int{70, 70, 70, 7, 80, 80, 80, 8}; !slices.Equal(got, want) {
			t.Errorf("round %d: got %d, want %d", round, got, want)
		}
		if got, want := arrivals(t, other.V4, 9), []int{50, 60, 60, 60, 6, 60, 60, 60, 6}; !slices.Equal(got, want) {
			t.Errorf("round %d: got %d, want %d", round, got, want)
		}
		if refused != 2 { // in the call for all, and by Send
			t.Errorf("round %d: trains were refused %d times, want twice", round, refused)
		}
	}
}

// An endpoint that refuses trains and is idle since then leaves those to others in one
// call (B61).
func TestSendAllBesideAnEndpointWithoutTrains(t *testing.T) {
	a, b, poor := pair(t, Options{}), pair(t, Options{NoGRO: true}), pair(t, Options{})
	k := &faultyKernel{train: func(_ int, h *unix.Msghdr) syscall.Errno {
		if port(h) == poor.Port() {
			return unix.EIO
		}
		return 0
	}}
	k.install(a.V4)
	a.V4.conn.tx.budget = queryAfter
	arrives(t, a, poor, numbered(4, 60, 6, endpoint("127.0.0.1", poor.Port(), "", 0)), nil)
	var trains []*batch.Batch
	for _, x := range scattered(3, b.Port()) {
		trains = append(trains, numbered(4, 70, 7, x.Remote))
	}
	// The first one after a refusal shows that the socket sends trains at all.
	wantErrors(t, sendAll(a, trains[0]), nil)
	k.trains, k.singles = 0, 0
	wantErrors(t, sendAll(a, trains...), nil, nil, nil)
	if arrivals(t, b.V4, 4*4); k.singles != 1 || k.trains != 0 {
		t.Errorf("%d calls of sendmmsg and %d of sendmsg, want one of sendmmsg", k.singles, k.trains)
	}
}

// Destinations that cannot be reached cost one system call each, and one for several in
// vain. Between others they do not make each call the last one.
func TestSendAllToUnreachableDestinations(t *testing.T) {
	for _, c := range []struct {
		name                      string
		bad                       func(i int) bool
		together, alone, prepared int  // calls for several trains and for one, and trains in the former, at most
		whole                     bool // the bad ones must not be fragmented, and so are sent alone
	}{
		{"all", func(int) bool { return true }, 1, 64, 64, false},
		{"every second", func(i int) bool { return i%2 == 0 }, 2, 64, 64 + 62, false},
		{"the first", func(i int) bool { return i == 0 }, 2, 2, 64 + 62, false},
		{"the last", func(i int) bool { return i == 63 }, 1, 1, 64, false},
		{"one in the middle", func(i int) bool { return i == 30 }, 2, 2, 64 + 32, false},
		{"every fourth, which is sent alone in any case", func(i int) bool { return i%4 == 3 }, 16, 16, 48, true},
	} {
		const unreached = 9 // a port
		a, b := pair(t, Options{}), pair(t, Options{})
		prepared := 0
		k := &faultyKernel{
			train: func(_ int, h *unix.Msghdr) syscall.Errno {
				if port(h) == unreached {
					return unix.ENETUNREACH
				}
				return 0
			},
			single: func(_ int, hs []mmsghdr) (int, syscall.Errno) {
				prepared += len(hs)
				for i := range hs {
					if port(&hs[i].hdr) == unreached && i == 0 {
						return 0, unix.ENETUNREACH
					} else if port(&hs[i].hdr) == unreached {
						return i, 0
					}
				}
				return len(hs), 0
			},
		}
		k.install(a.V4)
		a.V4.conn.tx.budget = queryAfter
		trains, want, good := scattered(64, b.Port()), make([]error, 64), 0
		for i, x := range trains {
			if c.bad(i) {
				x.Remote = wire.NewEndpoint(netip.AddrPortFrom(x.Remote.Remote.Addr(), unreached), netip.Addr{}, 0)
				x.DontFragment = c.whole
				want[i] = unix.ENETUNREACH
			} else {
				good++
			}
		}
		wantErrors(t, sendAll(a, trains...), want...)
		arrivals(t, b.V4, good)
		if k.singles > c.together || k.trains > c.alone || prepared > c.prepared {
			t.Errorf("%s: %d calls for %d trains, and %d for one; want at most %d for %d, and %d", c.name,
				k.singles, prepared, k.trains, c.together, c.prepared, c.alone)
		}
	}
}

// Each train is charged once, also if it was prepared for a call that did not send it.
func TestSendAllChargesOnce(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	k := &faultyKernel{single: func(call int, hs []mmsghdr) (int, syscall.Errno) {
		switch call {
		case 1:
			return 3, 0
		case 2:
			return 0, unix.ENOBUFS
		}
		return len(hs), 0
	}}
	k.install(a.V4)
	s := a.V4.conn.tx
	for _, n := range []int{1, 10} {
		s.budget = queryAfter
		trains, want := scattered(n, b.Port()), queryAfter
		for _, x := range trains {
			want -= cost(len(x.Data), 1)
		}
		wantErrors(t, sendAll(a, trains...), make([]error, n)...)
		if arrivals(t, b.V4, n); s.budget != want {
			t.Errorf("%d trains: %d left before the next query, want %d", n, s.budget, want)
		}
	}
}
