package serve

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
)

// What is shown says which peers the interface has, what was refused and why, and how long
// that took; the metrics say the same.
func TestReport(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, gone := b.add(1), b.add(2)
		b.revoke(gone)
		b.store.delay = 3 * time.Millisecond
		b.lend(p)
		for _, p := range []*store.Peer{gone, peer(3)} {
			b.daemon.ask(p.PublicKey)
			b.until("it is refused", func() bool { return len(b.daemon.takeRefused()) > 0 })
		}
		r := b.server.reports()[0]
		if r.Interface != "wg0" || r.Connected == nil || r.Peers != 1 || r.Others != 0 || r.Wants["unknown_key"] != 3 || r.Refused["revoked"] != 1 || r.Refused["not-in-store"] != 1 ||
			r.Lent != 1 || r.Answered.Count != 1 || r.Answered.Median != 0.004096 || r.LookUps.Count != 3 || r.LookUps.P99 != 0.004096 || r.Failing != nil {
			t.Errorf("the report is %+v", r)
		}
		if len(r.Recent) != 2 || r.Recent[0].Peer != gone.Name || r.Recent[0].Reason != "revoked" || r.Recent[1].Peer != "" || r.Recent[1].About != peer(3).PublicKey.Hex()[:8] {
			t.Errorf("the latest refusals are %+v", r.Recent)
		}
		held := b.server.interfaces[0].heldPeers()
		if len(held) != 1 || held[0].Name != p.Name || held[0].PublicKey != p.PublicKey.Base64() {
			t.Errorf("the peers are %+v", held)
		}
		w := httptest.NewRecorder()
		b.server.Metrics().ServeHTTP(w, httptest.NewRequest("GET", MetricsPath, nil))
		for _, line := range []string{
			`wgd_peers_held{interface="wg0"} 1`, `wgd_peers_refused_total{interface="wg0",reason="revoked"} 1`, `wgd_peers_refused_total{interface="wg0",reason="store-fails"} 0`,
			`wgd_peers_wants_total{interface="wg0",kind="unknown_key"} 3`, `wgd_peers_answer_seconds_bucket{interface="wg0",le="0.008192"} 1`, `wgd_peers_look_up_seconds_count 3`, `wgd_peers_store_up 1`,
		} {
			if !strings.Contains(w.Body.String(), line+"\n") {
				t.Errorf("the metrics lack %s:\n%s", line, w.Body)
			}
		}
	})
}

// The figures of an interface are read through a socket of mode 0600, which only one program
// has, and which is gone when that ends.
func TestSocket(t *testing.T) {
	dir = filepath.Join(t.TempDir(), "run")
	defer func() { dir = "/run/wgd-peers" }()
	server := New(nil, Options{Lent: 300}, nil, []string{"wg0", "wg1"}, func(string) Daemon { return newFakeDaemon() })
	end, err := server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(socketPath("wg1")); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	list, err := Reports(t.Context())
	if err != nil || len(list) != 2 || list[0].Interface != "wg0" || list[1].Interface != "wg1" || list[0].PID != os.Getpid() {
		t.Errorf("the reports are %+v, %v", list, err)
	}
	if peers, err := Peers(t.Context(), "wg1"); err != nil || len(peers) != 0 {
		t.Errorf("the peers are %v, %v", peers, err)
	}
	if _, err := New(nil, Options{Lent: 300}, nil, []string{"wg2", "wg1"}, Socket).Listen(); err == nil || !strings.Contains(err.Error(), "another wgd-peers serves this interface") {
		t.Errorf("a second program: %v", err)
	}
	end()
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
	if list, err := Reports(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the reports are %v, %v", list, err)
	}
}

// The share of durations that were shorter is right within a factor of two.
func TestTimes(t *testing.T) {
	var list times
	for _, d := range []time.Duration{-time.Second, 0, time.Hour} {
		list.add(d)
	}
	list = times{}
	for n := range 1000 {
		list.add(time.Duration(n) * time.Millisecond)
	}
	for share, want := range map[float64]time.Duration{0.001: time.Microsecond, 0.25: 262144 * time.Microsecond, 0.5: 524288 * time.Microsecond, 0.99: 1048576 * time.Microsecond} {
		if got := list.under(share); got != want {
			t.Errorf("a share of %v is under %v, want %v", share, got, want)
		}
	}
}
