package wg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/internal/engine"
	"wgd/internal/state"
	"wgd/internal/sys/link"
	"wgd/internal/sys/link/linktest"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/wire"
	"wgd/key"
	"wgd/netstack"
)

const timeout = 20 * time.Second

// An end is one end of a tunnel, with the stack that uses it.
type end struct {
	*Interface
	stack   *netstack.Stack
	inner   netip.Prefix
	private key.Private
}

func open(t *testing.T, inner string) *end {
	t.Helper()
	e := &end{inner: netip.MustParsePrefix(inner)}
	var err error
	if e.stack, err = netstack.New(netstack.Options{Name: "wg0", Addresses: []netip.Prefix{e.inner}}); err != nil {
		t.Fatal(err)
	}
	if e.Interface, err = Open(Options{Name: "wg0", Device: e.stack}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	if e.private, err = key.GeneratePrivate(rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := e.Apply(conf.Change{PrivateKey: &e.private}); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *end) asPeer() conf.PeerChange {
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), e.Status().ListenPort)
	return conf.PeerChange{PublicKey: e.private.Public(), Endpoint: &at, AllowedIPs: []conf.AllowedIPChange{{Prefix: e.inner}}}
}

func pair(t *testing.T) (a, b *end) {
	t.Helper()
	a, b = open(t, "10.2.0.1/32"), open(t, "10.2.0.42/32")
	if err := a.Apply(conf.Change{Peers: []conf.PeerChange{b.asPeer()}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(conf.Change{Peers: []conf.PeerChange{a.asPeer()}}); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// positions are the events that nextEvent has read.
var positions sync.Map // of *Interface: uint64

// nextEvent waits for the next event about the interface itself.
func nextEvent(t *testing.T, w *Interface) Event {
	t.Helper()
	e, ok := readEvent(t, w)
	if !ok {
		t.Fatalf("no event within %v", timeout)
	}
	return e
}

func readEvent(t *testing.T, w *Interface) (Event, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	seq, _ := positions.LoadOrStore(w, uint64(0))
	for e := range w.EventsAfter(ctx, seq.(uint64)) {
		positions.Store(w, e.Seq)
		if e.Peer.IsZero() {
			return e, true
		}
	}
	if ctx.Err() != nil {
		t.Errorf("the events have not ended after %v", timeout)
	}
	return Event{}, false
}

// wantNoMoreEvents waits until the events end.
func wantNoMoreEvents(t *testing.T, w *Interface) {
	t.Helper()
	if e, ok := readEvent(t, w); ok {
		t.Errorf("got event %v, want none", e.Kind)
	}
}

// TCP and UDP work through a tunnel over real sockets. Datagrams that arrive in
// bursts stay separate (B58: none are joined that the other side would not
// separate).
func TestStacks(t *testing.T) {
	a, b := pair(t)
	listener, err := b.stack.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 4<<20)
	rand.Read(sent)
	got := make(chan []byte, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- nil
			return
		}
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	conn, err := a.stack.Dial("tcp", "10.2.0.42:80")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !bytes.Equal(<-got, sent) {
		t.Error("the received data is not the data that was sent")
	}

	server, err := b.stack.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.stack.Dial("udp", "10.2.0.42:53")
	if err != nil {
		t.Fatal(err)
	}
	const size, count = 1000, 100
	for range count {
		client.Write(make([]byte, size))
	}
	buf := make([]byte, 65535)
	arrived := 0
	for server.SetReadDeadline(time.Now().Add(time.Second)); ; arrived++ {
		n, _, err := server.ReadFrom(buf)
		if err != nil {
			break
		}
		if n != size {
			t.Fatalf("received a datagram of %d bytes, want %d", n, size)
		}
	}
	if arrived == 0 {
		t.Error("received no datagram")
	}
}

// An interface with a Device is up from the beginning to the end. Several
// goroutines may close it at the same time, and again later.
func TestLifecycle(t *testing.T) {
	a, b := pair(t)
	if e := nextEvent(t, a.Interface); e.Kind != WentUp {
		t.Errorf("got event %v, want %v", e.Kind, WentUp)
	}
	st := a.Status()
	if !st.Up || st.Fault != "" || st.MTU != DefaultMTU || st.Name != "wg0" || st.ListenPort == 0 {
		t.Errorf("status: %+v", st)
	}
	if _, err := a.stack.Ping(t.Context(), b.inner.Addr()); err != nil {
		t.Fatal(err)
	}
	preshared, err := key.GeneratePreshared(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.Status().Peers[0].PublicKey, PresharedKey: &preshared}}}); err != nil {
		t.Fatal(err)
	}
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() { a.Close() })
		closers.Go(func() { a.Status() })
		closers.Go(func() { a.Apply(conf.Change{ListenPort: new(uint16)}) })
	}
	closers.Wait()
	<-a.Done()
	wantNoMoreEvents(t, a.Interface)
	if err := a.Err(); err != nil {
		t.Errorf("Err after Close: got %v, want nil", err)
	}
	if err := a.Apply(conf.Change{}); err != ErrClosed {
		t.Errorf("Apply after Close: got %v, want %v", err, ErrClosed)
	}
	if s := a.Status(); !s.PrivateKey.IsZero() || s.Up || len(s.Peers) != 1 || !s.Peers[0].PresharedKey.IsZero() {
		t.Errorf("Status after Close: %+v", s)
	}
}

// A11: a peer whose public key is of low order is accepted. When it is added, but
// not at later changes, the log says that no handshake with it can succeed.
func TestLowOrderPeerIsLogged(t *testing.T) {
	var log bytes.Buffer
	w, err := Open(Options{Name: "wg0", Device: tuntest.New("wg0", DefaultMTU), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	apply := func(p conf.PeerChange) string {
		t.Helper()
		log.Reset()
		if err := w.Apply(conf.Change{Peers: []conf.PeerChange{p}}); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	for i, public := range []key.Public{{}, {1}, {0: 0xee, 31: 0x80}} {
		low := public.LowOrder()
		logged := apply(conf.PeerChange{PublicKey: public})
		if strings.Contains(logged, public.Base64()) != low || !low && logged != "" {
			t.Errorf("peer %v was added (low order: %v): the log has %q", public, low, logged)
		}
		if digits := public.Hex()[:8]; low && !strings.Contains(logged, "peer="+digits+" key="+digits) {
			t.Errorf("peer %v: the log does not identify it like other lines: %q", public, logged)
		}
		if n := len(w.Status().Peers); n != i+1 {
			t.Errorf("%d peers, want %d", n, i+1)
		}
		if logged := apply(conf.PeerChange{PublicKey: public, UpdateOnly: true, PersistentKeepalive: new(uint16)}); logged != "" {
			t.Errorf("peer %v was changed: the log has %q, want nothing", public, logged)
		}
	}
	if logged := apply(conf.PeerChange{Remove: true}); logged != "" {
		t.Errorf("the zero key was removed: the log has %q, want nothing", logged)
	}
}

// A62: if the Device is closed by anything but the interface, the interface ends
// and Err returns the reason.
func TestDeviceClosed(t *testing.T) {
	a := open(t, "10.2.0.1/32")
	a.stack.Close()
	select {
	case <-a.Done():
	case <-time.After(timeout):
		t.Fatal("the interface did not end")
	}
	if !errors.Is(a.Err(), ErrInterfaceGone) {
		t.Errorf("Err: got %v, want %v", a.Err(), ErrInterfaceGone)
	}
	nextEvent(t, a.Interface) // WentUp
	wantNoMoreEvents(t, a.Interface)
}

// B55, B59: opening and closing many interfaces leaks no goroutine and no
// descriptor.
func TestNothingLeaks(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	for i := range 30 {
		a := open(t, "10.2.0.1/32")
		switch i % 3 {
		case 0:
			go a.stack.Close()
		case 1:
			go a.Status()
		}
		a.Close()
		a.stack.Close()
	}
	check()
}

// If Open fails, its error is a sentence, and no descriptor is left open.
func TestOpenErrors(t *testing.T) {
	files := asynctest.Descriptors(t)
	notTUN, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no name":    {},
		"long name":  {Name: "a-name-of-sixteen"},
		"a slash":    {Name: "a/b"},
		"not a TUN":  {Name: "wg0", TUN: notTUN},
		"state name": {Name: "a/b", Device: tuntest.New("wg0", 1420), StateDir: t.TempDir()},
	} {
		w, err := Open(o)
		if err == nil {
			w.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, " ") {
			t.Errorf("%s: the error is not a sentence: %q", name, text)
		}
	}
	if _, err := notTUN.Stat(); err != nil {
		t.Errorf("Open closed a file that is not a TUN: %v", err)
	}
	notTUN.Close()
	if after := asynctest.Descriptors(t); after > files {
		t.Errorf("%d descriptors, %d before", after, files)
	}
}

// A21: with a StateDir the timestamps survive the interface. Only the owner has
// access to the file.
func TestStampsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	remote, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	at, interval := remote.LocalAddr().(*net.UDPAddr).AddrPort(), uint16(1)
	peer := conf.PeerChange{PublicKey: key.Public{9}, Endpoint: &at, PersistentKeepalive: &interval}
	for range 2 {
		begun := wire.StampAt(time.Now())
		w, err := Open(Options{Name: "wg7", Device: tuntest.New("wg7", 1420), StateDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		private, err := key.GeneratePrivate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{peer}}); err != nil {
			t.Fatal(err)
		}
		remote.SetReadDeadline(time.Now().Add(timeout))
		if n, err := remote.Read(make([]byte, 2000)); n != wire.InitiationSize || err != nil {
			t.Fatalf("received %d bytes, %v, want an initiation", n, err)
		}
		w.Close()
		log, saved, err := state.Open(dir, "wg7")
		if err != nil || saved.Warning != "" || begun.After(saved.Ceiling) {
			t.Errorf("after a handshake that began at %x, the file has the ceiling %x (warning %q, error %v)", begun, saved.Ceiling, saved.Warning, err)
		}
		if err := log.Close(saved.Ceiling); err != nil {
			t.Error(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "wg7*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files in StateDir: %v, %v, want one", files, err)
	}
	if st, err := os.Stat(files[0]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v, want 0600", st, err)
	}
}

// openFollowing opens an interface that follows simulated states and routes
// like an interface of the kernel.
func openFollowing(t *testing.T) (w *Interface, device *tuntest.Device, state *linktest.Watcher, routes *linktest.Routes) {
	t.Helper()
	device, state, routes = tuntest.New("wg0", 1420), linktest.NewWatcher(link.State{MTU: 1420}), linktest.NewRoutes()
	o := Options{Name: "wg0"}
	o.defaults()
	w = newInterface(o, engine.World{TUN: device}, engine.Memory{})
	w.watch, w.routes = state, routes
	w.watchers.Go(w.followState)
	w.watchers.Go(w.followRoutes)
	w.stopAtEnd()
	t.Cleanup(func() { w.Close() })
	return w, device, state, routes
}

// A55, A61: up, down and the MTU follow the kernel.
func TestFollowsTheKernel(t *testing.T) {
	w, _, state, routes := openFollowing(t)
	if w.Status().Up {
		t.Error("the interface is up, but the kernel's is down")
	}
	for range 3 {
		state.Set(link.State{Up: true, MTU: 9000})
		if e := nextEvent(t, w); e.Kind != WentUp {
			t.Errorf("got event %v, want %v", e.Kind, WentUp)
		}
		if st := w.Status(); !st.Up || st.MTU != 9000 {
			t.Errorf("status: %+v, want up with MTU 9000", st)
		}
		routes.Change(link.AllIPv4)
		state.Set(link.State{Up: true, MTU: 1280})
		state.Set(link.State{MTU: 1280})
		if e := nextEvent(t, w); e.Kind != WentDown {
			t.Errorf("got event %v, want %v", e.Kind, WentDown)
		}
		if st := w.Status(); st.Up || st.MTU != 1280 {
			t.Errorf("status: %+v, want down with MTU 1280", st)
		}
	}
}

// If the port is taken, the interface reports a fault. It works again with
// another port.
func TestFaultIsReportedAndCleared(t *testing.T) {
	taken, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w, _, state, _ := openFollowing(t)
	port := uint16(taken.LocalAddr().(*net.UDPAddr).Port)
	if err := w.Apply(conf.Change{ListenPort: &port}); err != nil {
		t.Fatal(err)
	}
	state.Set(link.State{Up: true, MTU: 1420})
	if e := nextEvent(t, w); e.Kind != Faulted || !strings.Contains(e.Reason, fmt.Sprint(port)) || e.Reason != w.Status().Fault {
		t.Errorf("event %+v, status %+v", e, w.Status())
	}
	if err := w.Apply(conf.Change{ListenPort: new(uint16)}); err != nil {
		t.Fatal(err)
	}
	if e := nextEvent(t, w); e.Kind != WentUp || w.Status().Fault != "" {
		t.Errorf("event %+v, status %+v", e, w.Status())
	}
}

// A62: the interface ends in the same way whether its reader or the kernel's
// message notices the deletion first, also if Close is called meanwhile.
func TestInterfaceGone(t *testing.T) {
	for i := range 50 {
		w, device, state, _ := openFollowing(t)
		state.Set(link.State{Up: true, MTU: 1420})
		var all sync.WaitGroup
		all.Go(device.Delete)
		all.Go(func() { state.Set(link.State{Gone: true}) })
		if i%2 == 1 {
			all.Go(func() { w.Close() })
		}
		all.Wait()
		select {
		case <-w.Done():
		case <-time.After(timeout):
			t.Fatal("the interface did not end")
		}
		if err := w.Err(); i%2 == 0 && !errors.Is(err, ErrInterfaceGone) {
			t.Errorf("Err: got %v, want %v", err, ErrInterfaceGone)
		}
		for range w.Events(t.Context()) { // until they end
		}
	}
}
