package tun

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/sys/netns"
	"wgd/internal/sys/netns/netnstest"
)

// ownNetwork moves the test into a network namespace of its own, with a loopback
// interface that is up.
func ownNetwork(t testing.TB) {
	t.Helper()
	netnstest.Isolate(t)
	ip(t, "link set lo up")
}

// ip runs ip(8) in the namespace of the test's thread.
func ip(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

type (
	reader = Queue
	output = Writer
)

// opened is an interface with its first queue and a Writer. Its methods include theirs.
type opened struct {
	*device
	reader
	output
}

func openFirst(d Device) opened { return opened{d.(*device), d.Queue(0), d.NewWriter()} }

func create(t testing.TB, name string, o Options) opened {
	t.Helper()
	d, err := Create(name, o)
	if errors.Is(err, ErrNoDriver) || errors.Is(err, ErrPermission) {
		netnstest.LeaveOut(t, "a TUN device, and so root", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return openFirst(d)
}

// up adds addresses, brings the interface up, and returns its index.
func up(t testing.TB, name string, mtu int, addrs ...string) int {
	t.Helper()
	for _, a := range addrs {
		ip(t, "address add %s dev %s nodad", a, name)
	}
	ip(t, "link set %s mtu %d up", name, mtu)
	return index(t, name)
}

func index(t testing.TB, name string) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index
}

// ipv4UDP returns a datagram from 10.9.0.2 to 10.9.0.1, without a UDP checksum.
func ipv4UDP(port uint16, payload []byte) []byte {
	p := make([]byte, 28, 28+len(payload))
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(28+len(payload)))
	copy(p[12:], []byte{10, 9, 0, 2, 10, 9, 0, 1})
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(p[20:], 9)
	binary.BigEndian.PutUint16(p[22:], port)
	binary.BigEndian.PutUint16(p[24:], uint16(8+len(payload)))
	return append(p, payload...)
}

// readMarked reads until a packet that contains the mark, because the kernel also
// sends packets of its own (router solicitations, MLD).
func readMarked(t testing.TB, d Queue, mark string) []byte {
	t.Helper()
	b := make([]byte, BufferSize)
	for range 100 {
		n, err := d.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b[:n], []byte(mark)) {
			return b[:n]
		}
	}
	t.Fatalf("no packet with %q arrived", mark)
	return nil
}

func TestPacketsPassBothWays(t *testing.T) {
	for name, o := range map[string]Options{"all": {}, "no USO": {NoUSO: true}, "no TSO": {NoTSO: true}, "no header": {NoVnetHdr: true}} {
		t.Run(name, func(t *testing.T) {
			ownNetwork(t)
			d := create(t, "wgtest", o)
			up(t, "wgtest", 1420, "10.9.0.1/24")
			if c := d.Caps(); c.VnetHdr == o.NoVnetHdr || (c.TSO && (o.NoTSO || o.NoVnetHdr)) || (c.USO && o != Options{}) {
				t.Fatalf("caps %+v, with options %+v", c, o)
			}
			pc, err := net.ListenPacket("udp4", "10.9.0.1:7777")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			pc.WriteTo([]byte("marked"), &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 9})
			raw := readMarked(t, d, "marked")
			if raw[HeaderSize] != 0x45 || len(raw) != HeaderSize+28+6 {
				t.Fatalf("%x", raw)
			}
			if o.NoVnetHdr && !bytes.Equal(raw[:HeaderSize], make([]byte, HeaderSize)) {
				t.Fatalf("the header is %x, want zeros", raw[:HeaderSize])
			}
			packet := ipv4UDP(7777, []byte("back again"))
			if err := d.Write([][]byte{make([]byte, HeaderSize), packet[:20], packet[20:28], nil, packet[28:]}); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 100)
			pc.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, from, err := pc.ReadFrom(got)
			if err != nil || string(got[:n]) != "back again" || from.String() != "10.9.0.2:9" {
				t.Fatal(string(got[:n]), from, err)
			}
		})
	}
}

func TestWriteErrors(t *testing.T) {
	ownNetwork(t)
	d := create(t, "wgtest", Options{NoVnetHdr: true})
	if err := d.Write([][]byte{append([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 40)...)}); err != ErrNoOffload {
		t.Fatal(err)
	}
	for _, bad := range [][][]byte{nil, {{}}, {make([]byte, 9)}, {make([]byte, HeaderSize)}, make([][]byte, maxPieces+1)} {
		if err := d.Write(bad); err != errMalformed {
			t.Fatal(err)
		}
	}
}

func TestTryReadDoesNotWait(t *testing.T) {
	ownNetwork(t)
	d := create(t, "wgtest", Options{})
	b := make([]byte, BufferSize)
	if n, ok, err := d.TryRead(b); n != 0 || ok || err != nil {
		t.Fatal(n, ok, err)
	}
	done := make(chan error, 1)
	go func() { _, err := d.Read(b); done <- err }()
	time.Sleep(20 * time.Millisecond)
	if _, ok, err := d.TryRead(make([]byte, BufferSize)); ok || err != nil {
		t.Fatal("TryRead during a Read:", ok, err)
	}
	d.Close()
	if err := <-done; err != os.ErrClosed {
		t.Fatal(err)
	}
	if _, _, err := d.TryRead(b); err != os.ErrClosed {
		t.Fatal(err)
	}
}

func TestDownThenUp(t *testing.T) { // the kernel returns EIO while the interface is down
	ownNetwork(t)
	d := create(t, "wgtest", Options{})
	pieces := [][]byte{append(make([]byte, HeaderSize), ipv4UDP(1, []byte("x"))...)}
	if err := d.Write(pieces); err != ErrDown {
		t.Fatal(err)
	}
	up(t, "wgtest", 1420, "10.9.0.1/24")
	if err := d.Write(pieces); err != nil {
		t.Fatal(err)
	}
}

func TestTakenNamesAreRefused(t *testing.T) {
	ownNetwork(t)
	create(t, "wgtest", Options{})
	for _, name := range []string{"wgtest", "lo"} {
		for _, o := range []Options{{}, {Existing: true}} {
			_, err := Create(name, o)
			if !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %+v: %v", name, o, err)
			}
		}
	}
	if _, err := Create("an-all-too-long-name", Options{}); !errors.Is(err, conf.ErrInvalid) {
		t.Error(err)
	}
}

func TestPersistentTUN(t *testing.T) {
	ownNetwork(t)
	ip(t, "tuntap add wgkept mode tun")
	if _, err := Create("wgkept", Options{}); !errors.Is(err, ErrNameTaken) {
		t.Fatal("taken over without Options.Existing:", err)
	}
	d := create(t, "wgkept", Options{Existing: true})
	if !d.Caps().VnetHdr {
		t.Error("the interface has no virtio header")
	}
}

func TestNoPermission(t *testing.T) {
	for _, err := range []error{explainOpen(unix.EACCES), explainOpen(unix.EPERM), explainAttach("wg0", unix.EPERM, unix.IFF_TUN_EXCL)} {
		if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Error(err)
		}
	}
	for _, cause := range []error{unix.ENOENT, unix.ENODEV, unix.ENXIO} {
		if err := explainOpen(cause); !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "modprobe tun") {
			t.Error(err)
		}
	}
}

// A file that is not the driver has an error of its own.
func TestWrongDriver(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := attach(int(null.Fd()), "wgnull", Options{}, 0); !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "not the TUN driver") {
		t.Error(err)
	}
}

func TestMTUNameAndNamespaceFollow(t *testing.T) { // A55
	ownNetwork(t)
	home := netnstest.Here(t)
	d := create(t, "wgtest", Options{})
	up(t, "wgtest", 9000)
	check := func(name string, mtu int) {
		t.Helper()
		if m, err := d.MTU(); d.Name() != name || m != mtu || err != nil {
			t.Fatalf("name %s, MTU %d, %v, want %s, %d", d.Name(), m, err, name, mtu)
		}
	}
	check("wgtest", 9000)
	ip(t, "link set wgtest down")
	ip(t, "link set wgtest name wgother")
	check("wgother", 9000)

	away := netnstest.Another(t)
	ip(t, "link set wgother netns /proc/%d/fd/%d", os.Getpid(), away.Fd())
	ns, err := d.NetNS()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if !netns.Same(ns, away) {
		t.Fatal("NetNS did not return the namespace to which the interface was moved")
	}
	netnstest.Enter(t, away)
	ip(t, "link set wgother mtu 1280")
	netnstest.Enter(t, home)
	check("wgother", 1280)
}

func TestDeletedInterface(t *testing.T) { // A62
	ownNetwork(t)
	d := create(t, "wgtest", Options{})
	up(t, "wgtest", 1420)
	done := make(chan error, 1)
	go func() {
		b := make([]byte, BufferSize)
		for {
			if _, err := d.Read(b); err != nil {
				done <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	ip(t, "link delete wgtest")
	select {
	case err := <-done:
		if err != ErrGone {
			t.Fatal(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Read did not return after the interface was deleted")
	}
	if err := d.Write([][]byte{make([]byte, 40)}); err != ErrGone {
		t.Error(err)
	}
	if _, err := d.MTU(); err != ErrGone || d.Name() != "" {
		t.Error(err, d.Name())
	}
}

func TestCloseUnblocksReadManyTimes(t *testing.T) { // B55, B59
	ownNetwork(t)
	rounds := 200
	create(t, "wgfirst", Options{}).Close() // so that the runtime opens its own descriptors
	before := descriptors(t)
	for range rounds {
		d := create(t, "wgtest", Options{})
		done := make(chan error, 1)
		go func() { _, err := d.Read(make([]byte, BufferSize)); done <- err }()
		runtime.Gosched()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal("second close:", err)
		}
		if err := <-done; err != os.ErrClosed {
			t.Fatal(err)
		}
		if _, err := d.MTU(); err != os.ErrClosed {
			t.Fatal(err)
		}
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestWithoutPrivileges(t *testing.T) {
	ownNetwork(t)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil { // of this thread, which ends with the test
		t.Fatal(err)
	}
	before := descriptors(t)
	_, err := Create("wgtest", Options{})
	if !errors.Is(err, ErrPermission) && !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "NET_ADMIN") {
		t.Fatal(err)
	}
	if after := descriptors(t); after != before {
		t.Fatal("the descriptor was left open") // B59
	}
}
