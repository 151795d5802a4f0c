package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control/controltest"
	"wgd/internal/sys/unixsocket"
	"wgd/key"
)

const (
	groupID = 4001
	userID  = 4000
	ownerID = 4005
)

// withReaders is withServer, with a group that may read. The peers connect in this order,
// the last one again and again.
func withReaders(t *testing.T, target Target, peers []unixsocket.Peer, f func(t *testing.T, p *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeListener{make(chan net.Conn), make(chan struct{})}
		server := &Server{name: "wg0", listener: p, connections: newConnections(maxConnections),
			readers: &unixsocket.Group{ID: groupID, Name: "vpn"}, readings: make(chan struct{}, maxReadings), uid: ownerID}
		server.peerOf = func(net.Conn) (unixsocket.Peer, error) {
			peer := peers[0]
			if len(peers) > 1 {
				peers = peers[1:]
			}
			return peer, nil
		}
		ended := make(chan error)
		go func() { ended <- server.Serve(target) }()
		f(t, p)
		if err := server.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-ended; err != nil {
			t.Error("Serve:", err)
		}
	})
}

var (
	root     = unixsocket.Peer{UID: 0, Groups: []uint32{0}}
	owner    = unixsocket.Peer{UID: ownerID, Groups: []uint32{7}}
	member   = unixsocket.Peer{UID: userID, Groups: []uint32{userID, 7, groupID}}
	stranger = unixsocket.Peer{UID: userID, Groups: []uint32{userID, 7}}
)

// An ableTarget is a Target that can do everything, and counts what it was asked to do.
type ableTarget struct {
	*watched
	did []string
}

func (t *ableTarget) Apply(c conf.Change) error { t.did = append(t.did, "set"); return nil }

func (t *ableTarget) Reload() error { t.did = append(t.did, "reload"); return nil }

func (t *ableTarget) Connect(context.Context, string) (func(net.Conn), error) {
	t.did = append(t.did, "connect")
	return nil, errors.New("no")
}

func (t *ableTarget) Capture(context.Context, conf.Capture, io.Writer) error {
	t.did = append(t.did, "capture")
	return errors.New("no")
}

func (t *ableTarget) Wants(context.Context) iter.Seq[conf.Want] {
	t.did = append(t.did, "wants")
	return func(func(conf.Want) bool) {}
}

func (t *ableTarget) Refuse(conf.Refusal) { t.did = append(t.did, "refuse") }

// Who may only read gets the state, the summary and the events. Everything else is refused,
// also a request of a kind that nobody knows yet, and before the target learns of it.
// Whoever is neither a member nor root nor the owner gets nothing.
func TestRightsOfRequests(t *testing.T) {
	public := "public_key=" + strings.Repeat("ab", 32) + "\n"
	changing := []string{"set=1\nprivate_key=" + strings.Repeat("1", 64) + "\n\n", "set=1\n\n", "set=1\nnonsense\n\n", "reload=1\n\n", "connect=a:1\n\n",
		"capture=1\nouter=1\n\n", "wants=1\n\n", "refuse=1\n" + public + "\n", "new=1\n\n", "nonsense\n\n"}
	reading := []string{"get=1\n\n", "summary=1\n\n", "events=0\n\n"}
	const only = "errno=-1\nerror=wg0: members of the group vpn may read only, and not do this: do it as the user 4005, or as root\n\n"
	ask := func(peer unixsocket.Peer, requests []string, check func(request, answer string, did []string)) {
		t.Helper()
		for _, request := range requests {
			target := &ableTarget{watched: newWatched()}
			withReaders(t, target, []unixsocket.Peer{peer}, func(t *testing.T, p *pipeListener) {
				conn := p.dial()
				defer conn.Close()
				io.WriteString(conn, request)
				got, err := answer(bufio.NewReader(conn))
				if err != nil {
					t.Errorf("%q: %v", request, err)
				}
				check(request, got, target.did)
			})
		}
	}
	ask(member, reading, func(request, answer string, _ []string) {
		if strings.Contains(answer, "error=") {
			t.Errorf("a member: %q: %q", request, answer)
		}
	})
	ask(member, changing, func(request, answer string, did []string) {
		if answer != only || len(did) > 0 {
			t.Errorf("a member: %q: %q, and did %v", request, answer, did)
		}
	})
	ask(stranger, append(changing, reading...), func(request, answer string, did []string) {
		if !strings.HasPrefix(answer, "errno=-1\nerror=wg0: neither root nor the user that runs the daemon has connected, nor a member of the group vpn") || len(did) > 0 {
			t.Errorf("a stranger: %q: %q, and did %v", request, answer, did)
		}
	})
	for _, peer := range []unixsocket.Peer{root, owner} {
		ask(peer, append(changing, reading...), func(request, answer string, _ []string) {
			if strings.Contains(answer, "errno=-1\n") {
				t.Errorf("user %d: %q: %q", peer.UID, request, answer)
			}
		})
	}
}

// A refused request is read to its end, and the connection can be used further.
func TestRefusedAndThenRead(t *testing.T) {
	withReaders(t, controltest.New(conf.Status{ListenPort: 7}), []unixsocket.Peer{member}, func(t *testing.T, p *pipeListener) {
		client := newClient("wg0", p.dial())
		defer client.Close()
		err := client.Apply(conf.Change{ListenPort: new(uint16), Peers: []conf.PeerChange{{PublicKey: key.Public{1}}}})
		if err == nil || err.Error() != "wg0: members of the group vpn may read only, and not do this: do it as the user 4005, or as root" {
			t.Errorf("Apply: %v", err)
		}
		if status, err := client.Status(); err != nil || status.ListenPort != 7 {
			t.Errorf("then Status: port %d, %v", status.ListenPort, err)
		}
	})
}

// The status of who may only read has no secret key, but says that there are some, and has
// the public key of the interface. The status of root has all.
func TestKeysAreWithheld(t *testing.T) {
	private, err := key.GeneratePrivate(strings.NewReader(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	preshared, err := key.GeneratePreshared(strings.NewReader(strings.Repeat("p", 32)))
	if err != nil {
		t.Fatal(err)
	}
	target := controltest.New(conf.Status{PrivateKey: private, Peers: []conf.PeerStatus{{PublicKey: key.Public{1}, PresharedKey: preshared}, {PublicKey: key.Public{2}}}})
	withReaders(t, target, []unixsocket.Peer{member, member, root, root}, func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		io.WriteString(conn, "get=1\n\n")
		text, err := answer(bufio.NewReader(conn))
		conn.Close()
		if err != nil || strings.Contains(text, string(private.AppendHex(nil))) || strings.Contains(text, string(preshared.AppendHex(nil))) || strings.Contains(text, "private_key=") || strings.Count(text, "\npreshared_key=") != 1 {
			t.Errorf("a member gets a secret key, or %v:\n%s", err, text)
		}
		status := statusBy(t, p)
		if !status.KeysWithheld || status.PublicKey != private.Public() || !status.PrivateKey.IsZero() {
			t.Errorf("a member: withheld %v, public key %v", status.KeysWithheld, status.PublicKey)
		}
		for i, want := range []bool{true, false} {
			if p := &status.Peers[i]; p.PresharedKeyWithheld != want || !p.PresharedKey.IsZero() {
				t.Errorf("a member: preshared key of peer %d withheld: %v, want %v", i, p.PresharedKeyWithheld, want)
			}
		}
		status = statusBy(t, p)
		if status.KeysWithheld || !status.PrivateKey.Equal(private) || !status.Peers[0].PresharedKey.Equal(preshared) || status.Peers[0].PresharedKeyWithheld {
			t.Error("root does not get the keys")
		}
	})
	if status := target.Status(); !status.PrivateKey.Equal(private) {
		t.Error("the target has lost its key")
	}
}

func statusBy(t *testing.T, p *pipeListener) conf.Status {
	t.Helper()
	client := newClient("wg0", p.dial())
	defer client.Close()
	status, err := client.Status()
	if err != nil {
		t.Error(err)
	}
	return status
}

// Those who may only read take at most half of the connections. What comes beyond that
// replaces an idle one of theirs, or is refused at once; root is served.
func TestReadersLeaveConnections(t *testing.T) {
	withReaders(t, controltest.New(conf.Status{}), []unixsocket.Peer{root, member}, func(t *testing.T, p *pipeListener) {
		idle := p.dial() // of root
		defer idle.Close()
		time.Sleep(10 * time.Second)
		var clients []net.Conn
		for range maxConnections / 2 {
			clients = append(clients, p.dial())
		}
		conn := p.dial()
		if text, err := answer(bufio.NewReader(conn)); err != nil || !strings.Contains(text, "too many programs read the state of this interface") {
			t.Errorf("one too many, while none is idle: %q, %v", text, err)
		}
		time.Sleep(idleTime)
		statusBy(t, p)
		io.WriteString(idle, "get=1\n\n")
		if _, err := answer(bufio.NewReader(idle)); err != nil {
			t.Errorf("the connection of root was replaced: %v", err)
		}
		if which := closedByServer(clients); len(which) != 1 {
			t.Errorf("closed connections: %v, want one", which)
		}
	})
}

// Those who may only read take at most half of the streams.
func TestReadersLeaveStreams(t *testing.T) {
	peers := make([]unixsocket.Peer, maxConnections/8+1)
	for i := range peers {
		peers[i] = member
	}
	withReaders(t, newWatched(), append(peers, root), func(t *testing.T, p *pipeListener) {
		for range peers {
			conn := p.dial()
			defer conn.Close()
			io.WriteString(conn, "events=0\n\n")
			text, err := answer(bufio.NewReader(conn))
			if err != nil {
				t.Fatal(err)
			}
			peers = peers[1:]
			if refused := strings.Contains(text, "too many programs"); refused != (len(peers) == 0) {
				t.Fatalf("with %d to come: %q", len(peers), text)
			}
		}
		conn := p.dial()
		defer conn.Close()
		io.WriteString(conn, "events=0\n\n")
		if text, err := answer(bufio.NewReader(conn)); err != nil || !strings.Contains(text, "kind=begin") {
			t.Errorf("root: %q, %v", text, err)
		}
	})
}

// However many of them ask, the daemon has the status only a few times in memory for those
// who may only read. Root does not wait for them.
func TestReadersShareMemory(t *testing.T) {
	target := &countingTarget{Target: controltest.New(conf.Status{})}
	const clients = 3 * maxReadings
	peers := make([]unixsocket.Peer, clients)
	for i := range peers {
		peers[i] = member
	}
	withReaders(t, target, append(peers, root), func(t *testing.T, p *pipeListener) {
		conns := make([]net.Conn, clients)
		for i := range conns {
			conns[i] = p.dial()
			io.WriteString(conns[i], "get=1\n\n")
		}
		synctest.Wait()
		if target.made != maxReadings {
			t.Errorf("%d statuses for %d clients that do not read, want %d", target.made, clients, maxReadings)
		}
		statusBy(t, p)
		if target.made != maxReadings+1 {
			t.Errorf("%d statuses with that of root", target.made)
		}
		for _, c := range conns {
			go func() {
				if text, err := answer(bufio.NewReader(c)); err != nil || !strings.HasSuffix(text, "errno=0\n\n") {
					t.Errorf("%q, %v", text, err)
				}
				c.Close()
			}()
		}
		synctest.Wait()
		if target.made != clients+1 {
			t.Errorf("%d statuses in the end, want %d", target.made, clients+1)
		}
	})
}

// A countingTarget counts the statuses that it has made.
type countingTarget struct {
	*controltest.Target
	made int
}

func (t *countingTarget) Status() conf.Status {
	t.made++
	return t.Target.Status()
}

// The server can be closed while those who may only read wait for each other.
func TestCloseWhileReadersWait(t *testing.T) {
	target := &countingTarget{Target: controltest.New(conf.Status{})}
	withReaders(t, target, []unixsocket.Peer{member}, func(t *testing.T, p *pipeListener) {
		for range 3 * maxReadings {
			conn := p.dial()
			defer conn.Close()
			io.WriteString(conn, "get=1\n\n")
		}
		synctest.Wait()
	})
	if target.made != maxReadings {
		t.Errorf("%d statuses, want %d: no more are made for connections that are closed", target.made, maxReadings)
	}
}
