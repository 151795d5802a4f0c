package control

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// A wanter is a Target with wants: those that are sent to it.
type wanter struct {
	*controltest.Target
	wants   chan conf.Want
	refused chan conf.Refusal
}

func (w *wanter) Wants(ctx context.Context) iter.Seq[conf.Want] {
	return func(yield func(conf.Want) bool) {
		for next, ok := (conf.Want{Kind: conf.WantsBegin}), true; ok && yield(next); {
			select {
			case next, ok = <-w.wants:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *wanter) Refuse(r conf.Refusal) { w.refused <- r }

// A want is written at once, because a handshake waits for it. The stream ends with the
// interface.
func TestWants(t *testing.T) {
	target := &wanter{Target: controltest.New(conf.Status{})}
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.wants = make(chan conf.Want) // belongs to virtual time
		conn := p.dial()
		go fmt.Fprint(conn, "wants=1\n\n")
		r := bufio.NewReader(conn)
		expect(t, r, "want=begin\n\n")
		time.Sleep(time.Hour)
		began := time.Now()
		target.wants <- conf.Want{Kind: conf.UnknownPeerKey, Key: key.Public{1}, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:5")}
		expect(t, r, "want=unknown_key\npublic_key=01"+strings.Repeat("0", 62)+"\nendpoint=[2001:db8::1]:5\n\n")
		if took := time.Since(began); took > 0 {
			t.Errorf("the want was written after %v", took)
		}
		target.wants <- conf.Want{Kind: conf.UnknownSession, Endpoint: netip.MustParseAddrPort("192.0.2.1:5")}
		expect(t, r, "want=unknown_session\nendpoint=192.0.2.1:5\n\n")
		target.wants <- conf.Want{Kind: conf.UnknownDestination, Address: netip.MustParseAddr("fd00::1")}
		expect(t, r, "want=unknown_destination\naddress=fd00::1\n\n")
		target.wants <- conf.Want{Kind: conf.WantsMissed, Missed: 7}
		expect(t, r, "want=missed\nmissed=7\n\n")
		close(target.wants)
		expect(t, r, "errno=0\n\n")
		conn.Close()
	})
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if text, err := answer(r); err != nil || text != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}

// A refusal names the subject and for how long, and is answered like a set.
func TestRefuse(t *testing.T) {
	target := &wanter{Target: controltest.New(conf.Status{}), refused: make(chan conf.Refusal, 1)}
	hexKey := "01" + strings.Repeat("0", 62)
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.refused = make(chan conf.Refusal, 1) // belongs to virtual time
		conn := p.dial()
		for request, want := range map[string]conf.Refusal{
			"public_key=" + hexKey + "\n":             {Key: key.Public{1}, For: time.Minute},
			"public_key=" + hexKey + "\nseconds=0\n":  {Key: key.Public{1}},
			"seconds=9\npublic_key=" + hexKey + "\n":  {Key: key.Public{1}, For: 9 * time.Second},
			"public_key=" + hexKey + "\nseconds=60\n": {Key: key.Public{1}, For: time.Minute},

			"endpoint=192.0.2.1:5\nseconds=9\n": {Endpoint: netip.MustParseAddrPort("192.0.2.1:5"), For: 9 * time.Second},
			"address=fd00::1\nseconds=9\n":      {Address: netip.MustParseAddr("fd00::1"), For: 9 * time.Second},
			"endpoint=[::ffff:192.0.2.1]:5\n":   {Endpoint: netip.MustParseAddrPort("192.0.2.1:5"), For: time.Minute},
		} {
			if text := ask(t, conn, "refuse=1\n"+request+"\n"); text != "errno=0\n\n" {
				t.Errorf("%q: answer %q", request, text)
				continue
			}
			if got := <-target.refused; got != want {
				t.Errorf("%q: got %+v, want %+v", request, got, want)
			}
		}
		for _, request := range []string{
			"", "seconds=1\n", "public_key=1\n", "public_key=" + hexKey + "\nseconds=61\n", "public_key=" + hexKey + "\nreason=none\n",
			"address=fe80::1%eth0\n", "address=10.0.0.0/8\n", "address=10.0.0.1\nendpoint=192.0.2.1:5\n",
			"endpoint=192.0.2.1\n", "endpoint=192.0.2.1:5\npublic_key=" + hexKey + "\n",
		} {
			if text := ask(t, conn, "refuse=1\n"+request+"\n"); !strings.HasPrefix(text, "errno=-22\nerror=") {
				t.Errorf("%q: answer %q", request, text)
			}
		}
		conn.Close()
		synctest.Wait()
	})
	withServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
		for _, request := range []string{"wants=1\n\n", "refuse=1\npublic_key=" + hexKey + "\n\n"} {
			conn := p.dial()
			if text := ask(t, conn, request); !strings.Contains(text, "errno=-71\nerror=this daemon reports no wants") {
				t.Errorf("%q to a target without wants: %q", request, text)
			}
			conn.Close()
		}
	})
}

// The client reads wants, refuses them, and reads peers one by one. The end of its context
// ends the stream, and an error is the sentence of the daemon.
func TestWantsClient(t *testing.T) {
	status := conf.Status{Tunables: conf.DefaultTunables(), Peers: []conf.PeerStatus{{PublicKey: key.Public{1}, RxBytes: 5}, {PublicKey: key.Public{2}}}}
	target := &wanter{Target: controltest.New(status), wants: make(chan conf.Want, 1), refused: make(chan conf.Refusal, 1)}
	path := serveAt(t, target)
	ctx, cancel := context.WithCancel(t.Context())
	next, stop := iter.Pull2(dialAt(t, path).Wants(ctx))
	defer stop()
	if w, err, _ := next(); err != nil || w.Kind != conf.WantsBegin {
		t.Errorf("the first want: %+v, %v", w, err)
	}
	want := conf.Want{Kind: conf.UnknownPeerKey, Key: key.Public{1}, Endpoint: netip.MustParseAddrPort("192.0.2.1:5")}
	target.wants <- want
	if w, err, _ := next(); err != nil || w != want {
		t.Errorf("got %+v, %v, want %+v", w, err, want)
	}
	cancel()
	if w, err, ok := next(); ok {
		t.Errorf("after the end of the context: %+v, %v", w, err)
	}

	client := dialAt(t, path)
	refusal := conf.Refusal{Key: key.Public{1}, For: 3 * time.Second}
	if err := client.Refuse(refusal); err != nil || <-target.refused != refusal {
		t.Errorf("the refusal: %v", err)
	}
	var got []key.Public
	if err := client.EachPeer(func(p *conf.PeerStatus) { got = append(got, p.PublicKey) }); err != nil || len(got) != 2 || got[1] != (key.Public{2}) {
		t.Errorf("the peers are %v, %v", got, err)
	}

	without := serveAt(t, controltest.New(conf.Status{}))
	if err := dialAt(t, without).Refuse(refusal); fmt.Sprint(err) != "this daemon reports no wants" {
		t.Errorf("a refusal to a daemon without wants: %v", err)
	}
	for _, err := range dialAt(t, without).Wants(t.Context()) {
		if fmt.Sprint(err) != "this daemon reports no wants" {
			t.Errorf("wants of a daemon without any: %v", err)
		}
	}
}
