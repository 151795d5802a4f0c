package control_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// A recorder keeps the changes that it receives and the states that it returns,
// without cloning the keys. A real Target must not.
type recorder struct {
	*controltest.Target
	applied  chan conf.Change
	returned chan conf.Status
}

func (k recorder) Apply(c conf.Change) error {
	k.applied <- c
	return k.Target.Apply(c)
}

func (k recorder) Status() conf.Status {
	s := k.Target.Status()
	k.returned <- s
	return s
}

// A35: when a request was answered, the keys of the request and of the answer are
// erased, also if the request was refused.
func TestKeysAreErased(t *testing.T) {
	useTempDir(t)
	k := recorder{controltest.New(conf.Status{}), make(chan conf.Change, 2), make(chan conf.Status, 2)}
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
		t.Fatal("Apply: no error, want a refusal")
	}
	if _, err := client.Status(); err != nil { // so the server has finished the earlier requests
		t.Fatal(err)
	}
	for range 2 {
		if given := <-k.applied; !given.PrivateKey.IsZero() || !given.Peers[0].PresharedKey.IsZero() {
			t.Error("a key of a request was not erased")
		}
	}
	if returned := <-k.returned; !returned.PrivateKey.IsZero() || !returned.Peers[0].PresharedKey.IsZero() {
		t.Error("a key of an answer was not erased")
	}
	status.Erase()
	change.Erase()
	if !status.PrivateKey.IsZero() || !status.Peers[0].PresharedKey.IsZero() || !private.IsZero() || !psk.IsZero() {
		t.Error("after Erase a key is left")
	}
}

// TestApplyAndStatus: Apply and Status work through the socket, with several
// requests on one connection.
func TestApplyAndStatus(t *testing.T) {
	useTempDir(t)
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
		t.Errorf("Status: %v\ngot\n%+v\nwant\n%+v", err, got, want)
	}
	// The client gets the daemon's sentence, for a port that is taken for example
	// (A53).
	target.Refuse(fmt.Errorf("port 5 is taken: choose another"))
	if err := client.Apply(conf.Change{}); err == nil || err.Error() != "port 5 is taken: choose another" {
		t.Errorf("Apply: got %v, want the daemon's sentence", err)
	}
	target.Refuse(nil)
	err = client.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{3}, Name: ptr("B")}}})
	if err == nil || !strings.Contains(err.Error(), "peer B: another peer has this name") {
		t.Errorf("Apply with a name that is taken: got %v", err)
	}
	if n := len(target.Applied()); n != 1 {
		t.Errorf("%d changes applied, want 1", n)
	}
}

// exchange sends text to the socket and returns everything that it receives.
func exchange(t *testing.T, text string) string {
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

// TestInvalidRequestChangesNothing: nothing of an invalid request is applied
// (A59). The daemon answers and continues, whatever it receives (B40, B54).
func TestInvalidRequestChangesNothing(t *testing.T) {
	useTempDir(t)
	target := controltest.New(conf.Status{})
	serve(t, "wg0", target)
	for text, want := range map[string]string{
		"set=1\nlisten_port=7\nnonsense=1\n\n":   "errno=-22\nerror=nonsense: no such key of an interface: nothing of the request was applied\n\n",
		"set=1\nlisten_port=7\n":                 "errno=-71\nerror=the request ended before its empty line: nothing of it was applied\n\n",
		"set=1\nlisten_port=7":                   "errno=-71\nerror=the request ended before its empty line: nothing of it was applied\n\n",
		"\n":                                     "errno=-71\nerror=an empty request: begin with get=1 or set=1\n\n",
		"GET / HTTP/1.1\n\n":                     "errno=-71\nerror=GET / HTTP/1.1: not an operation: begin with get=1 or set=1\n\n",
		"private_key=5f5f\n\n":                   "errno=-71\nerror=private_key: not an operation: begin with get=1 or set=1\n\n",
		"get=1\nprivate_key=5f5f\n\n":            "errno=-22\nerror=private_key: get=1 takes no further lines: end the request with an empty line\n\n",
		"":                                       "",
		"set=1\nx\n\nset=1\nlisten_port=y\n\n\n": "errno=-71\nerror=a line without =: every line is key=value\n\nerrno=-22\nerror=listen_port: y: give a number from 0 to 65535\n\nerrno=-71\nerror=an empty request: begin with get=1 or set=1\n\n",
	} {
		if got := exchange(t, text); got != want {
			t.Errorf("%q: got\n%q, want\n%q", text, got, want)
		}
	}
	if n := len(target.Applied()); n != 0 {
		t.Errorf("%d changes were applied, want 0", n)
	}
	if got := exchange(t, "set=1\nlisten_port=7\n\nget=1\n\n"); !strings.HasPrefix(got, "errno=0\n\nlisten_port=7\n") {
		t.Errorf("valid requests afterwards: got %q", got)
	}
}

// TestStalledClientsDoNotBlockOthers: one client sends half a request, one does
// not read its answer, and one sends nothing. Another client is served.
func TestStalledClientsDoNotBlockOthers(t *testing.T) {
	useTempDir(t)
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
	// If Close, in the cleanup, did not end their connections, the test would not
	// end (B55).
}

// TestStatusIsConsistent: while peers change, every Status shows the state at one
// moment (A60).
func TestStatusIsConsistent(t *testing.T) {
	useTempDir(t)
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
			t.Errorf("Status: got peers %+v, %v, want at most one, with one prefix", s.Peers, err)
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

// asChange returns the Change that gives an empty interface this state.
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

// TestLargeThroughTheSocket: a large configuration is read as it was set (B22, B60).
func TestLargeThroughTheSocket(t *testing.T) {
	useTempDir(t)
	serve(t, "wg0", controltest.New(conf.Status{Tunables: conf.DefaultTunables()}))
	client := dial(t, "wg0")
	for _, want := range []conf.Status{large(10000, 130560), large(1, 130560), large(100000, 100000)} {
		start := time.Now()
		if err := client.Apply(asChange(want)); err != nil {
			t.Fatal(err)
		}
		got, err := client.Status()
		if err != nil || !reflect.DeepEqual(got.Peers, want.Peers) {
			t.Fatalf("%d peers: Status differs from what was applied: %v", len(want.Peers), err)
		}
		if took := time.Since(start); took > 5*time.Minute {
			t.Errorf("%d peers took %v", len(want.Peers), took)
		}
	}
}

// TestPipelined: requests that are sent without waiting are answered in order.
func TestPipelined(t *testing.T) {
	useTempDir(t)
	serve(t, "wg0", controltest.New(conf.Status{}))
	var text strings.Builder
	for port := range 100 {
		fmt.Fprintf(&text, "set=1\nlisten_port=%d\n\nget=1\n\n", port+1)
	}
	answer := bufio.NewScanner(strings.NewReader(exchange(t, text.String())))
	port := 0
	for answer.Scan() {
		if value, ok := strings.CutPrefix(answer.Text(), "listen_port="); ok {
			if port++; value != fmt.Sprint(port) {
				t.Fatalf("got port %s, want %d", value, port)
			}
		}
	}
	if port != 100 {
		t.Errorf("got %d answers, want 100", port)
	}
}
