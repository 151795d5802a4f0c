package control_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/key"
)

func ptr[T any](v T) *T { return &v }

// inDir lets the sockets of a test be in a directory of its own. Its path is
// short, for that of a socket has at most 107 bytes.
func inDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wgd")
	if err != nil {
		t.Fatal(err)
	}
	was := control.Dir
	control.Dir = filepath.Join(dir, "wireguard")
	t.Cleanup(func() {
		control.Dir = was
		os.RemoveAll(dir)
	})
	return control.Dir
}

// serve starts an interface that ends with the test.
func serve(t testing.TB, name string, target control.Target) *control.Server {
	t.Helper()
	server, err := control.Listen(name)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(target) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-ended; err != nil {
			t.Error("Serve:", err)
		}
	})
	return server
}

func dial(t testing.TB, name string) *control.Client {
	t.Helper()
	client, err := control.Dial(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TestSocketFile: mode 0600 in a directory of 0755, from its first moment on;
// nothing is left behind.
func TestSocketFile(t *testing.T) {
	dir := inDir(t)
	server, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory: %v %v", info.Mode(), err)
	}
	info, err := os.Lstat(filepath.Join(dir, "wg0.sock"))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket: %v %v", info, err)
	}
	if server.Path() != filepath.Join(dir, "wg0.sock") {
		t.Error(server.Path())
	}
	if names, err := control.Names(); err != nil || !reflect.DeepEqual(names, []string{"wg0"}) {
		t.Errorf("Names: %v %v", names, err)
	}
	server.Close()
	server.Close()
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != ".lock" {
		t.Errorf("left behind: %v", entries)
	}
}

// TestSecondDaemonRefuses: two daemons for one name.
func TestSecondDaemonRefuses(t *testing.T) {
	inDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	_, err := control.Listen("wg0")
	if err == nil || !strings.Contains(err.Error(), "wg0 already runs") {
		t.Errorf("the second: %v", err)
	}
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Errorf("the first, after that: %v", err)
	}
}

// TestOneOfManyStarts: of daemons that start at once, one gets the name.
func TestOneOfManyStarts(t *testing.T) {
	inDir(t)
	for range 20 {
		var group sync.WaitGroup
		var mu sync.Mutex
		var servers []*control.Server
		for range 8 {
			group.Go(func() {
				if s, err := control.Listen("wg0"); err == nil {
					mu.Lock()
					servers = append(servers, s)
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if len(servers) != 1 {
			t.Fatalf("%d daemons of one name", len(servers))
		}
		servers[0].Close()
	}
}

// TestStaleSocketIsReplaced: a daemon that was killed leaves its socket.
func TestStaleSocketIsReplaced(t *testing.T) {
	dir := inDir(t)
	os.MkdirAll(dir, 0o755)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "wg0.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if names, _ := control.Names(); len(names) != 0 {
		t.Errorf("the dead are listed: %v", names)
	}
	if _, err := control.Dial("wg0"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Dial: %v", err)
	}
	serve(t, "wg0", controltest.New(conf.Status{}))
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Error(err)
	}
}

// TestCloseRemovesOnlyItsOwn: a socket that another daemon put in its place stays.
func TestCloseRemovesOnlyItsOwn(t *testing.T) {
	dir := inDir(t)
	server, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wg0.sock")
	os.Remove(path)
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the other's socket is gone")
	}
}

// TestNoSuchInterface: the sentence says how to make one.
func TestNoSuchInterface(t *testing.T) {
	inDir(t)
	_, err := control.Dial("wg7")
	if !errors.Is(err, control.ErrNotRunning) || !strings.Contains(err.Error(), "wg-ifconfig wg7 create") {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "../wg0", "a/b", strings.Repeat("x", 16)} {
		if _, err := control.Dial(bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Dial(%q): %v", bad, err)
		}
		if _, err := control.Listen(bad); !errors.Is(err, conf.ErrInvalid) {
			t.Errorf("Listen(%q): %v", bad, err)
		}
	}
}

// keeper keeps what it is given and what it tells, as no Target should.
type keeper struct {
	*controltest.Target
	given chan conf.Change
	told  chan conf.Status
}

func (k keeper) Apply(c conf.Change) error {
	k.given <- c
	return k.Target.Apply(c)
}

func (k keeper) Status() conf.Status {
	s := k.Target.Status()
	k.told <- s
	return s
}

// A35: when a request is answered, no key of it and none of the answer is left;
// nor is one where the request was refused.
func TestKeysAreErased(t *testing.T) {
	inDir(t)
	k := keeper{controltest.New(conf.Status{}), make(chan conf.Change, 2), make(chan conf.Status, 2)}
	serve(t, "wg0", k)
	client := dial(t, "wg0")
	private, psk := key.NewPrivate(&[32]byte{1}), key.NewPreshared(&[32]byte{2})
	change := conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{{PublicKey: key.Public{3}, PresharedKey: &psk}}}
	if err := client.Apply(change); err != nil {
		t.Fatal(err)
	}
	status, err := client.Status()
	if err != nil || !status.PrivateKey.Equal(private) || !status.Peers[0].PresharedKey.Equal(psk) {
		t.Fatalf("the keys were not set: %v", err)
	}
	k.Refuse(errors.New("not now"))
	if client.Apply(change) == nil {
		t.Fatal("not refused")
	}
	if _, err := client.Status(); err != nil { // the server is done with all before it
		t.Fatal(err)
	}
	for range 2 {
		if given := <-k.given; !given.PrivateKey.IsZero() || !given.Peers[0].PresharedKey.IsZero() {
			t.Error("a key of a request is left")
		}
	}
	if told := <-k.told; !told.PrivateKey.IsZero() || !told.Peers[0].PresharedKey.IsZero() {
		t.Error("a key of an answer is left")
	}
	status.Erase()
	change.Erase()
	if !status.PrivateKey.IsZero() || !status.Peers[0].PresharedKey.IsZero() || !private.IsZero() || !psk.IsZero() {
		t.Error("Erase leaves a key")
	}
}

// TestApplyAndStatus through the socket, several requests on one connection.
func TestApplyAndStatus(t *testing.T) {
	inDir(t)
	target := controltest.New(conf.Status{Tunables: conf.DefaultTunables(), MTU: 1420})
	serve(t, "wg0", target)
	client := dial(t, "wg0")
	private := key.NewPrivate(&[32]byte{1})
	change := conf.Change{PrivateKey: &private, ListenPort: ptr(uint16(5)), Peers: []conf.PeerChange{
		{PublicKey: key.Public{2}, Name: ptr("B"), AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}},
	}}
	if err := client.Apply(change); err != nil {
		t.Fatal(err)
	}
	got, err := client.Status()
	want := target.Status()
	want.Name = "wg0"
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, want)
	}
	// A53's taken port, say: the daemon's sentence arrives, and its number.
	target.Refuse(fmt.Errorf("port 5 is taken: choose another"))
	if err := client.Apply(conf.Change{}); err == nil || err.Error() != "port 5 is taken: choose another" {
		t.Errorf("%v", err)
	}
	target.Refuse(nil)
	err = client.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{3}, Name: ptr("B")}}})
	if err == nil || !strings.Contains(err.Error(), "peer B: another peer has this name") {
		t.Errorf("%v", err)
	}
	if n := len(target.Applied()); n != 1 {
		t.Errorf("%d changes applied, want 1", n)
	}
}

// speak sends text to the socket and reads what comes until the end.
func speak(t *testing.T, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", control.SocketPath("wg0"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, text)
	conn.(*net.UnixConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(answer)
}

// TestNothingOfAWrongRequest is applied (A59), and the daemon answers and
// lives on, whatever arrives (B40, B54).
func TestNothingOfAWrongRequest(t *testing.T) {
	inDir(t)
	target := controltest.New(conf.Status{})
	serve(t, "wg0", target)
	for text, want := range map[string]string{
		"set=1\nlisten_port=7\nnonsense=1\n\n":   "errno=-22\nerror=nonsense: no such key of an interface: nothing of the request was applied\n\n",
		"set=1\nlisten_port=7\n":                 "errno=-71\nerror=the request ended before its empty line: nothing of it was applied\n\n",
		"set=1\nlisten_port=7":                   "errno=-71\nerror=the request ended before its empty line: nothing of it was applied\n\n",
		"\n":                                     "errno=-71\nerror=an empty request: begin with get=1 or set=1\n\n",
		"GET / HTTP/1.1\n\n":                     "errno=-71\nerror=GET / HTTP/1.1: no operation: begin with get=1 or set=1\n\n",
		"private_key=5f5f\n\n":                   "errno=-71\nerror=private_key: no operation: begin with get=1 or set=1\n\n",
		"get=1\nprivate_key=5f5f\n\n":            "errno=-22\nerror=private_key: get=1 is followed by an empty line\n\n",
		"":                                       "",
		"set=1\nx\n\nset=1\nlisten_port=y\n\n\n": "errno=-71\nerror=a line without =: every line is key=value\n\nerrno=-22\nerror=listen_port: y: give a number from 0 to 65535\n\nerrno=-71\nerror=an empty request: begin with get=1 or set=1\n\n",
	} {
		if got := speak(t, text); got != want {
			t.Errorf("%q:\n%q, want\n%q", text, got, want)
		}
	}
	if n := len(target.Applied()); n != 0 {
		t.Errorf("%d changes were applied", n)
	}
	if got := speak(t, "set=1\nlisten_port=7\n\nget=1\n\n"); !strings.HasPrefix(got, "errno=0\n\nlisten_port=7\n") {
		t.Errorf("afterwards: %q", got)
	}
}

// TestStalledClients hold up nobody: one says half a request, one reads no
// answer, one says nothing.
func TestStalledClients(t *testing.T) {
	inDir(t)
	target := controltest.New(large(2000, 60000))
	serve(t, "wg0", target)
	for _, text := range []string{"set=1\nlisten_port=1", "get=1\n\n", ""} {
		conn, err := net.Dial("unix", control.SocketPath("wg0"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
	}
	if _, err := dial(t, "wg0").Status(); err != nil {
		t.Error(err)
	}
	// The cleanup's Close ends them, or the test would not end (B55).
}

// TestManyStartsAndEnds: no goroutine or descriptor is left (B55, B59).
func TestManyStartsAndEnds(t *testing.T) {
	inDir(t)
	target := controltest.New(conf.Status{})
	before := descriptors(t)
	goroutines := runtime.NumGoroutine()
	for i := range 300 {
		server, err := control.Listen("wg0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- server.Serve(target) }()
		if i%2 == 0 {
			client, err := control.Dial("wg0")
			if err != nil {
				t.Fatal(err)
			}
			go client.Status()
			defer client.Close()
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			before++ // the client's own
		}
	}
	time.Sleep(50 * time.Millisecond)
	if now := descriptors(t); now > before+2 {
		t.Errorf("%d descriptors, were %d", now, before)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines, were %d", now, goroutines)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestInheritedSocket: WG_UAPI_FD, and the parent that lets go of its end.
func TestInheritedSocket(t *testing.T) {
	dir := inDir(t)
	parent, err := control.Listen("wg0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parent.File()
	if err != nil {
		t.Fatal(err)
	}
	child, err := control.FromFile(file, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Release(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- child.Serve(controltest.New(conf.Status{ListenPort: 9})) }()
	if s, err := dial(t, "wg0").Status(); err != nil || s.ListenPort != 9 {
		t.Errorf("%+v %v", s, err)
	}
	child.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "wg0.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	plain, _ := os.Open(os.DevNull)
	if _, err := control.FromFile(plain, "wg0"); err == nil || !strings.Contains(err.Error(), "give the descriptor of a listening unix socket") {
		t.Error("a plain file is taken for a socket")
	}
}

// TestReadWhilePeersGo: every read is one moment (A60).
func TestReadWhilePeersGo(t *testing.T) {
	inDir(t)
	target := controltest.New(conf.Status{})
	serve(t, "wg0", target)
	stop := make(chan struct{})
	var group sync.WaitGroup
	writer := dial(t, "wg0")
	group.Go(func() {
		prefix := []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			a, b := key.Public{byte(i)}, key.Public{byte(i + 1)}
			err := writer.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b, AllowedIPs: prefix}, {PublicKey: a, Remove: true}}})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	reader := dial(t, "wg0")
	seen := map[key.Public]bool{}
	for i := 0; i < 300 || len(seen) < 10; i++ {
		s, err := reader.Status()
		if err != nil || len(s.Peers) > 1 || len(s.Peers) == 1 && len(s.Peers[0].AllowedIPs) != 1 {
			t.Errorf("%+v %v", s.Peers, err)
			break
		}
		for _, p := range s.Peers {
			seen[p.PublicKey] = true
		}
	}
	close(stop)
	group.Wait()
}

func large(peers, prefixes int) conf.Status {
	s := conf.Status{Tunables: conf.DefaultTunables()}
	for i := range peers {
		p := conf.PeerStatus{PublicKey: key.Public{byte(i), byte(i >> 8), byte(i >> 16), 1}}
		for j := i * prefixes / peers; j < (i+1)*prefixes/peers; j++ {
			p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(j >> 16), byte(j >> 8), byte(j)}), 32))
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

// asChange is the Change that makes an empty interface this one.
func asChange(s conf.Status) conf.Change {
	c := conf.Change{ReplacePeers: true}
	for _, p := range s.Peers {
		q := conf.PeerChange{PublicKey: p.PublicKey, ReplaceAllowedIPs: true}
		for _, prefix := range p.AllowedIPs {
			q.AllowedIPs = append(q.AllowedIPs, conf.AllowedIPChange{Prefix: prefix})
		}
		c.Peers = append(c.Peers, q)
	}
	return c
}

// TestLargeThroughTheSocket: get equals set (B22, B60).
func TestLargeThroughTheSocket(t *testing.T) {
	inDir(t)
	serve(t, "wg0", controltest.New(conf.Status{Tunables: conf.DefaultTunables()}))
	client := dial(t, "wg0")
	for _, want := range []conf.Status{large(10000, 130560), large(1, 130560), large(100000, 100000)} {
		start := time.Now()
		if err := client.Apply(asChange(want)); err != nil {
			t.Fatal(err)
		}
		got, err := client.Status()
		if err != nil || !reflect.DeepEqual(got.Peers, want.Peers) {
			t.Fatalf("%d peers: not equal: %v", len(want.Peers), err)
		}
		if took := time.Since(start); took > 5*time.Minute {
			t.Errorf("%d peers took %v", len(want.Peers), took)
		}
	}
}

// TestPipelined requests are answered in order.
func TestPipelined(t *testing.T) {
	inDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	var text strings.Builder
	for port := range 100 {
		fmt.Fprintf(&text, "set=1\nlisten_port=%d\n\nget=1\n\n", port+1)
	}
	answer := bufio.NewScanner(strings.NewReader(speak(t, text.String())))
	port := 0
	for answer.Scan() {
		if value, ok := strings.CutPrefix(answer.Text(), "listen_port="); ok {
			if port++; value != fmt.Sprint(port) {
				t.Fatalf("port %s, want %d", value, port)
			}
		}
	}
	if port != 100 {
		t.Errorf("%d answers", port)
	}
}
