package wg

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/internal/sys/link"
	"wgd/internal/sys/netns/netnstest"
)

// inOwnNetwork moves the test to a network namespace of its own, on a thread that
// ends with the test.
func inOwnNetwork(t *testing.T) *link.Links {
	t.Helper()
	netnstest.Isolate(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		netnstest.LeaveOut(t, "/dev/net/tun", err)
	}
	links, err := link.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(links.Close)
	return links
}

// At every MTU a super-packet of the maximum size can be sent at once, and a
// larger one could not.
func TestSuperPacketsFitOneSend(t *testing.T) {
	for _, c := range []struct{ mtu, bytes, segments int }{
		{1420, 45 * 1420, 45}, {1280, 49 * 1280, 49}, {576, 64 * 576, 64}, {1500, 42 * 1500, 42},
		{9000, 7 * 9000, 7}, {32721, 2 * 32721, 2}, {40000, 40000, 1}, {65535, 65535, 1},
	} {
		if bytes, segments := gsoLimits(c.mtu); bytes != c.bytes || segments != c.segments {
			t.Errorf("MTU %d: %d bytes, %d segments; want %d, %d", c.mtu, bytes, segments, c.bytes, c.segments)
		}
	}
	for mtu := 68; mtu <= 65535; mtu++ {
		if bytes, segments := gsoLimits(mtu); segments*(mtu+32) > 65507 && segments > 1 || bytes > 65536 || bytes < mtu || segments > 64 {
			t.Fatalf("MTU %d: %d bytes, %d segments", mtu, bytes, segments)
		}
	}
}

// Open makes an interface of the kernel that is down and has the requested MTU.
// The tunnel follows up, down and the MTU (A55, A61). Close deletes the
// interface.
func TestKernelInterface(t *testing.T) {
	links := inOwnNetwork(t)
	w, err := Open(Options{Name: "wgk0", MTU: 1380, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	info, err := net.InterfaceByName("wgk0")
	if err != nil || info.MTU != 1380 || info.Flags&net.FlagUp != 0 {
		t.Errorf("interface: %+v, %v, want down with MTU 1380", info, err)
	}
	if st := w.Status(); st.Up || st.MTU != 1380 || st.Name != "wgk0" {
		t.Errorf("status: %+v, want down with MTU 1380", st)
	}
	if n := linkAttribute(t, "qlen "); n != queueLength {
		t.Errorf("the queue holds %d packets, want %d", n, queueLength)
	}
	for range 3 {
		if err := links.SetUp("wgk0", true); err != nil {
			t.Fatal(err)
		}
		if e := nextEvent(t, w); e.Kind != WentUp || !w.Status().Up {
			t.Errorf("got event %v, want %v and an interface that is up", e.Kind, WentUp)
		}
		if err := links.SetUp("wgk0", false); err != nil {
			t.Fatal(err)
		}
		if e := nextEvent(t, w); e.Kind != WentDown || w.Status().Up {
			t.Errorf("got event %v, want %v and an interface that is down", e.Kind, WentDown)
		}
	}
	if err := links.SetMTU("wgk0", 9000); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(timeout); w.Status().MTU != 9000; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("MTU %d, want 9000", w.Status().MTU)
		}
	}
	for end := time.Now().Add(timeout); gsoMaxSegments(t) != 7; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("super-packets of %d segments at MTU 9000, want 7", gsoMaxSegments(t))
		}
	}
	w.Close()
	wantNoMoreEvents(t, w)
	if _, err := net.InterfaceByName("wgk0"); err == nil {
		t.Error("the interface is still there")
	}
}

// gsoMaxSegments returns the maximum number of segments in a super-packet for
// wgk0.
func gsoMaxSegments(t *testing.T) int {
	t.Helper()
	return linkAttribute(t, "gso_max_segs ")
}

// linkAttribute returns the number after a word in the output of ip(8) for wgk0.
func linkAttribute(t *testing.T, word string) (n int) {
	t.Helper()
	out, err := exec.Command("ip", "-d", "link", "show", "wgk0").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(out), word)
	fmt.Sscan(rest, &n)
	return n
}

// A62, B18, B59: if the kernel's interface is deleted, at any moment, the tunnel
// ends and leaks no goroutine and no descriptor.
func TestKernelInterfaceDeleted(t *testing.T) {
	links := inOwnNetwork(t)
	dir := t.TempDir()
	check := asynctest.CheckLeaks(t)
	for i := range 20 {
		w, err := Open(Options{Name: "wgk0", StateDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if err := links.SetUp("wgk0", true); err != nil {
				t.Fatal(err)
			}
			w.Apply(conf.Change{ListenPort: new(uint16)})
		}
		if i%4 == 3 {
			nextEvent(t, w)
		}
		if err := links.Delete("wgk0"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.Done():
		case <-time.After(timeout):
			t.Fatal("the interface did not end")
		}
		if !errors.Is(w.Err(), ErrInterfaceGone) {
			t.Errorf("Err: got %v, want %v", w.Err(), ErrInterfaceGone)
		}
		w.Close()
	}
	check()
}

// Open takes over a TUN that the caller opened. The interface stays until Close,
// even if the caller's file is closed or collected.
func TestPassedTUN(t *testing.T) {
	inOwnNetwork(t)
	file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	request, err := unix.NewIfreq("wgk1")
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(file.Fd()), unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Name: "wgk1", TUN: file, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	file = nil
	for range 5 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := net.InterfaceByName("wgk1"); err != nil {
		t.Error(err)
	}
	if err := w.Apply(conf.Change{Peers: []conf.PeerChange{{AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}}}}); err != nil {
		t.Error(err)
	}
	w.Close()
	if _, err := net.InterfaceByName("wgk1"); err == nil {
		t.Error("the interface is still there")
	}
}
