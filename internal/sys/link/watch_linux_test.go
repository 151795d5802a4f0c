package link

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/internal/sys/netns"
	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

// next returns the next state, which must arrive within two seconds.
func next(t *testing.T, w Watcher) State {
	t.Helper()
	select {
	case s, ok := <-w.States():
		if !ok {
			t.Fatal("the states ended")
		}
		return s
	case <-time.After(2 * time.Second):
		t.Fatal("no state arrived")
	}
	return State{}
}

// quiet fails the test if a state arrives.
func quiet(t *testing.T, w Watcher) {
	t.Helper()
	select {
	case s := <-w.States():
		t.Fatalf("unexpected state %+v", s)
	case <-time.After(100 * time.Millisecond):
	}
}

func expect(t *testing.T, w Watcher, want State) {
	t.Helper()
	if got := next(t, w); got != want {
		t.Fatalf("state %+v, want %+v", got, want)
	}
}

func watch(t *testing.T, d Device) Watcher {
	t.Helper()
	w, err := Watch(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		for range w.States() { // at the end, it no longer uses the device
		}
	})
	return w
}

func TestWatchTellsUpDownAndMTU(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	run(t, "link", "set", "wg0", "mtu", "1420")
	expect(t, w, State{MTU: 1420})
	run(t, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1420, Up: true})
	run(t, "link", "set", "wg0", "down")
	expect(t, w, State{MTU: 1420})
	// Other interfaces and addresses are ignored.
	run(t, "link", "set", "lo", "up")
	run(t, "address", "add", "10.0.0.1/24", "dev", "wg0")
	quiet(t, w)
}

// A61: going down erases keys, so it must never be missed, however short it was and
// however late the states are read.
func TestWatchMissesNoShortDown(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	links := open(t)
	const times = 200
	for range times {
		must(t, links.SetUp("wg0", true))
		must(t, links.SetUp("wg0", false))
	}
	for range times {
		expect(t, w, State{MTU: 1500, Up: true})
		expect(t, w, State{MTU: 1500})
	}
}

// The state is read after subscribing: an interface that is up already is reported.
func TestWatchBeginsWithThePresentState(t *testing.T) {
	netnstest.Isolate(t)
	d := newTUN(t, "wg0")
	run(t, "link", "set", "wg0", "mtu", "9000", "up")
	expect(t, watch(t, d), State{MTU: 9000, Up: true})
}

// A55: a move is no deletion, and the interface is followed: up, MTU and deletion are
// reported from the other namespace.
func TestWatchFollowsAMove(t *testing.T) {
	netnstest.Isolate(t)
	d := newTUN(t, "wg0")
	run(t, "link", "set", "wg0", "up")
	w := watch(t, d)
	expect(t, w, State{MTU: 1500, Up: true})

	ns, path := otherNamespace(t)
	run(t, "link", "set", "wg0", "netns", path)
	expect(t, w, State{MTU: 1500}) // the kernel sets it down
	quiet(t, w)
	awaitNoAutomaticAddress(t, ns, "wg0")

	there := func(f func(l *Links) error) {
		t.Helper()
		err := netns.Do(ns, func() error {
			l, err := Open()
			if err != nil {
				return err
			}
			defer l.Close()
			return f(l)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	there(func(l *Links) error { return l.SetUp("wg0", true) })
	expect(t, w, State{MTU: 1500, Up: true})
	there(func(l *Links) error {
		info, err := l.Get("wg0")
		if len(info.Addresses) > 0 {
			t.Errorf("addresses %v were added automatically", info.Addresses)
		}
		return err
	})
	there(func(l *Links) error { return l.SetMTU("wg0", 1300) })
	expect(t, w, State{MTU: 1300, Up: true})
	there(func(l *Links) error { return l.Delete("wg0") })
	for s := range w.States() {
		if s.Gone {
			return
		}
	}
	t.Fatal("the deletion in the other namespace was not reported")
}

// awaitNoAutomaticAddress waits until a moved interface will get no automatic address.
func awaitNoAutomaticAddress(t *testing.T, ns *os.File, name string) {
	t.Helper()
	var out []byte
	for range 500 {
		must(t, netns.Do(ns, func() (err error) {
			out, err = exec.Command("ip", "-d", "link", "show", name).Output()
			return err
		}))
		if strings.Contains(string(out), "addrgenmode none") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the new namespace still adds automatic addresses:\n%s", out)
}

// A55: it is followed also if another interface there already has its index, and under a
// new name.
func TestWatchFollowsAMoveWithANewIndexAndName(t *testing.T) {
	netnstest.Isolate(t)
	d := newTUN(t, "wg0")
	info, err := open(t).Get("wg0")
	must(t, err)
	index := info.Index
	w := watch(t, d)
	expect(t, w, State{MTU: 1500})
	ns, path := otherNamespace(t)
	err = netns.Do(ns, func() error {
		if err := ip("tuntap", "add", "dev", "d0", "mode", "tun"); err != nil {
			return err
		}
		links, err := Open()
		if err != nil {
			return err
		}
		defer links.Close()
		if info, err := links.Get("d0"); err != nil || info.Index != index {
			return fmt.Errorf("no collision: %d is not %d (%v)", info.Index, index, err)
		}
		return nil
	})
	must(t, err)
	run(t, "link", "set", "wg0", "netns", path, "name", "tunnel")
	in(t, ns, "link", "set", "tunnel", "mtu", "1400", "up")
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) {
		if next(t, w) == (State{MTU: 1400, Up: true}) {
			return
		}
	}
	t.Fatal("the interface is not followed")
}

// A55: the interface moves there and back many times. No move is taken for a deletion.
func TestWatchFollowsManyMoves(t *testing.T) {
	netnstest.Isolate(t)
	d := newTUN(t, "wg0")
	w := watch(t, d)
	expect(t, w, State{MTU: 1500})
	home := netnstest.Here(t)
	other, path := otherNamespace(t)
	for range 10 {
		run(t, "link", "set", "wg0", "netns", path)
		in(t, other, "link", "set", "wg0", "netns", "/proc/"+strconv.Itoa(os.Getpid())+"/fd/"+strconv.Itoa(int(home.Fd())))
	}
	quiet(t, w)
	run(t, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1500, Up: true})
}

// A62: deletion by another program is reported, and ends the states.
func TestWatchTellsDeletion(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	start := time.Now()
	run(t, "link", "delete", "wg0")
	if s := next(t, w); !s.Gone {
		t.Fatalf("state %+v, want Gone", s)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
	if _, more := <-w.States(); more {
		t.Error("a state after Gone")
	}
}

func TestWatchCloseEndsStates(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	w.Close()
	w.Close()
	select {
	case _, more := <-w.States():
		if more {
			t.Error("a state after Close")
		}
	case <-time.After(time.Second):
		t.Error("Close did not end the states")
	}
}

// movingDevice is in no namespace for a while, as a TUN may be during a move.
type movingDevice struct {
	Device
	calls, failing int
}

func (d *movingDevice) NetNS() (*os.File, error) {
	d.calls++
	if d.calls > 2 && d.calls < 2+d.failing {
		return nil, unix.ENODEV
	}
	return d.Device.NetNS()
}

// ENODEV during a move is no deletion.
func TestWatchForgivesENODEVDuringAMove(t *testing.T) {
	netnstest.Isolate(t)
	d := &movingDevice{Device: newTUN(t, "wg0"), failing: 10}
	w := watch(t, d)
	expect(t, w, State{MTU: 1500})
	ns, path := otherNamespace(t)
	run(t, "link", "set", "wg0", "netns", path)
	in(t, ns, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1500, Up: true})
}

type noDevice struct{ Device }

func (noDevice) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }
func (noDevice) Name() string             { return "wg0" }

func TestWatchSaysWhereThereIsNothingToWatch(t *testing.T) {
	if _, err := Watch(noDevice{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
}
