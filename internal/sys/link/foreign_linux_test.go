package link

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/sys/netns"
	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

// probe adds an interface whose other end is in another namespace. It exists as long
// as that namespace does, for whatever reason the kernel keeps that.
func probe(t *testing.T, name, path string) {
	t.Helper()
	run(t, "link", "add", name, "type", "veth", "peer", "name", name+"x", "netns", path)
}

func dies(t *testing.T, probe string) {
	t.Helper()
	links := open(t)
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := links.Get(probe); errors.Is(err, ErrNotFound) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the namespace of %s still exists", probe)
}

// in runs ip(8) in another namespace.
func in(t *testing.T, ns *os.File, args ...string) {
	t.Helper()
	must(t, netns.Do(ns, func() error { return ip(args...) }))
}

// gone reads the states up to the last one, which must be Gone.
func gone(t *testing.T, w Watcher) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case s, more := <-w.States():
			if !more {
				t.Fatal("the states ended without Gone")
			}
			if s.Gone {
				return
			}
		case <-late:
			t.Fatal("the deletion was not reported")
		}
	}
}

// homePath is the namespace of the test, for ip(8) in another one.
func homePath() string { return fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()) }

// B52, A55, A62: a namespace that is deleted with the interface in it is kept alive
// neither by the watcher nor by the open descriptor of the TUN, and the deletion of the
// interface is reported.
func TestWatchKeepsNoNamespaceAlive(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	ns, path := otherNamespace(t)
	probe(t, "p0", path)
	run(t, "link", "set", "wg0", "netns", path)
	in(t, ns, "link", "set", "wg0", "up", "mtu", "1400")
	for next(t, w) != (State{MTU: 1400, Up: true}) {
	}
	if held := netnstest.Holders(t, ns); len(held) != 1 {
		t.Errorf("open files that hold the namespace, besides the test's own: %v", held)
	}
	ns.Close()
	gone(t, w)
	dies(t, "p0")
}

// B52, A55: a namespace that the interface has left is not kept alive either, and its
// deletion is not taken for that of the interface.
func TestWatchLeavesNothingBehind(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	first, firstPath := otherNamespace(t)
	second, secondPath := otherNamespace(t)
	probe(t, "p1", firstPath)
	probe(t, "p2", secondPath)

	run(t, "link", "set", "wg0", "netns", firstPath)
	in(t, first, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1500, Up: true})
	in(t, first, "link", "set", "wg0", "netns", secondPath)
	expect(t, w, State{MTU: 1500})
	first.Close()
	dies(t, "p1")
	in(t, second, "link", "set", "wg0", "mtu", "1300")
	expect(t, w, State{MTU: 1300})

	in(t, second, "link", "set", "wg0", "netns", homePath())
	run(t, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1300, Up: true})
	second.Close()
	dies(t, "p2")
	quiet(t, w)
	run(t, "link", "set", "wg0", "down")
	expect(t, w, State{MTU: 1300})
}

// A55: interfaces of other namespaces with the same index are ignored.
func TestWatchTellsNamespacesApart(t *testing.T) {
	netnstest.Isolate(t)
	w := watch(t, newTUN(t, "wg0"))
	expect(t, w, State{MTU: 1500})
	info, err := open(t).Get("wg0")
	must(t, err)
	index := fmt.Sprint(info.Index)
	mine, path := otherNamespace(t)
	other, otherPath := otherNamespace(t)
	run(t, "link", "set", "wg0", "netns", path)
	in(t, other, "link", "add", "d0", "index", index, "type", "veth", "peer", "name", "d1", "index", "1000")
	run(t, "link", "add", "d0", "index", index, "type", "veth", "peer", "name", "d1", "index", "1000")
	probe(t, "p0", otherPath) // this gives the namespace a number, too
	for range 3 {
		in(t, other, "link", "set", "d0", "up")
		run(t, "link", "set", "d0", "up")
		in(t, other, "link", "set", "d0", "down")
		run(t, "link", "set", "d0", "down")
	}
	in(t, other, "link", "delete", "d0")
	run(t, "link", "delete", "d0")
	quiet(t, w)
	in(t, mine, "link", "set", "wg0", "up")
	expect(t, w, State{MTU: 1500, Up: true})
}

// hiddenDevice is an interface whose namespace its owner must not enter.
type hiddenDevice struct {
	Device
	hidden atomic.Bool
}

func (d *hiddenDevice) NetNS() (*os.File, error) {
	if d.hidden.Load() {
		return nil, unix.EPERM
	}
	return d.Device.NetNS()
}

// A55: an interface that was moved out of sight is not Gone. Its return or its deletion
// is reported.
func TestWatchWaitsForAnInterfaceOutOfSight(t *testing.T) {
	netnstest.Isolate(t)
	d := &hiddenDevice{Device: newTUN(t, "wg0")}
	run(t, "link", "set", "wg0", "up")
	w := watch(t, d)
	expect(t, w, State{MTU: 1500, Up: true})
	ns, path := otherNamespace(t)
	d.hidden.Store(true)
	run(t, "link", "set", "wg0", "netns", path)
	expect(t, w, State{MTU: 1500})           // the kernel sets it down before it moves
	expect(t, w, State{MTU: 1500, Up: true}) // then its state is not known
	time.Sleep(settleTime)
	quiet(t, w)
	d.hidden.Store(false)
	expect(t, w, State{MTU: 1500})
	d.hidden.Store(true)
	in(t, ns, "link", "delete", "wg0")
	gone(t, w)
}

// A55, A62: without CAP_NET_ADMIN, the owner cannot find out where the interface is. It
// is followed in the daemon's own namespace.
func TestWatchByAnOwnerWithoutRights(t *testing.T) {
	netnstest.Isolate(t)
	home := netnstest.Here(t)
	d := &hiddenDevice{Device: newTUN(t, "wg0")}
	d.hidden.Store(true)
	w := watch(t, d)
	expect(t, w, State{MTU: 1500})
	run(t, "link", "set", "wg0", "mtu", "1420", "up")
	expect(t, w, State{MTU: 1420})
	expect(t, w, State{MTU: 1420, Up: true})
	ns, path := otherNamespace(t)
	run(t, "link", "set", "wg0", "netns", path)
	expect(t, w, State{MTU: 1420})           // the kernel sets it down before it moves
	expect(t, w, State{MTU: 1420, Up: true}) // then its state is not known
	in(t, ns, "link", "set", "wg0", "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), home.Fd()))
	expect(t, w, State{MTU: 1420})
	run(t, "link", "delete", "wg0")
	gone(t, w)
}

// TestWatcherProcess is not a test. It is the other process of the next test.
func TestWatcherProcess(t *testing.T) {
	if os.Getenv("LINK_WATCHER_PROCESS") == "" {
		return
	}
	w := watch(t, newTUN(t, "wg0"))
	for s := range w.States() {
		fmt.Printf("state %+v\n", s)
	}
	bufio.NewReader(os.Stdin).ReadByte() // the TUN stays open
}

// B52, A55, A62: a daemon with fewer capabilities. Without CAP_NET_BROADCAST it polls;
// without CAP_SYS_ADMIN it enters no namespace.
func TestWatchWithFewerRights(t *testing.T) {
	for name, dropped := range map[string][]uintptr{
		"all":                       nil,
		"without NET_BROADCAST":     {unix.CAP_NET_BROADCAST},
		"without SYS_ADMIN":         {unix.CAP_SYS_ADMIN},
		"with nothing but NETADMIN": {unix.CAP_NET_BROADCAST, unix.CAP_SYS_ADMIN, unix.CAP_NET_RAW, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_PTRACE},
	} {
		t.Run(name, func(t *testing.T) {
			netnstest.Isolate(t)
			home, err := netns.Here()
			must(t, err)
			defer home.Close()
			homePath := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), home.Fd())
			first, firstPath := otherNamespace(t)
			second, secondPath := otherNamespace(t)
			probe(t, "p1", firstPath)
			probe(t, "p2", secondPath)
			state := watcherProcess(t, dropped)
			state("{Up:false MTU:1500 Gone:false}")
			in(t, home, "link", "set", "wg0", "netns", firstPath)
			in(t, first, "link", "set", "wg0", "up")
			state("{Up:true MTU:1500 Gone:false}")
			in(t, first, "link", "set", "wg0", "netns", secondPath)
			state("{Up:false MTU:1500 Gone:false}")
			first.Close()
			dies(t, "p1")
			in(t, second, "link", "set", "wg0", "netns", homePath)
			in(t, home, "link", "set", "wg0", "up")
			state("{Up:true MTU:1500 Gone:false}")
			in(t, home, "link", "set", "wg0", "netns", secondPath)
			state("{Up:false MTU:1500 Gone:false}")
			second.Close()
			state("{Up:false MTU:0 Gone:true}")
			dies(t, "p2")
		})
	}
}

// watcherProcess starts a process with fewer capabilities that watches its wg0, in the
// namespace of the test. state waits for the next state that it reports.
func watcherProcess(t *testing.T, dropped []uintptr) (state func(want string)) {
	t.Helper()
	// The child has the capabilities of the calling thread, which ends with the test.
	for _, capability := range dropped {
		must(t, unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0))
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestWatcherProcess$")
	cmd.Env = append(os.Environ(), "LINK_WATCHER_PROCESS=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			if s, ok := strings.CutPrefix(scan.Text(), "state "); ok {
				lines <- s
			}
		}
	}()
	return func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Fatalf("state %s, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no state; want %s", want)
		}
	}
}
