package metrics

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// serve makes a target a running interface, until stop is called.
func serve(t *testing.T, name string, target *controltest.Target) (stop func()) {
	t.Helper()
	server, err := control.Listen(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(target)
	t.Cleanup(func() { server.Close() })
	return func() { server.Close() }
}

// A scraper asks a Handler.
type scraper struct {
	*Handler
	mu       sync.Mutex
	reported []string
}

func newScraper() *scraper {
	s := &scraper{}
	s.Handler = NewHandler("1.2.3", func(text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reported = append(s.reported, text)
	})
	return s
}

// reports returns what was reported, and forgets it.
func (s *scraper) reports() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.reported
	s.reported = nil
	return list
}

// forget makes the next scrape read the daemons again.
func (s *scraper) forget() {
	s.interfaces.summary.validUntil, s.interfaces.figures.validUntil = time.Time{}, time.Time{}
}

func (s *scraper) get(target string, header ...string) (status int, body string) {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, accept := range header {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// series returns the lines of an answer that are not comments.
func (s *scraper) series(t *testing.T, target string) (list []string) {
	t.Helper()
	status, body := s.get(target)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", target, status, body)
	}
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, strings.TrimSuffix(line, "\n"))
		}
	}
	return list
}

func (s *scraper) expect(t *testing.T, target string, want ...string) {
	t.Helper()
	list := s.series(t, target)
	for _, w := range want {
		if !slices.Contains(list, w) {
			t.Errorf("%s: %s is missing in\n%s", target, w, strings.Join(list, "\n"))
		}
	}
}

// site returns a target with so many peers.
func site(t *testing.T, peers int) *controltest.Target {
	t.Helper()
	private, err := key.ParsePrivate("aFRXSjMzNHo5ZGc1N3Vqb3BscWtmN3VyYTZ4ZGY5Z2s=")
	if err != nil {
		t.Fatal(err)
	}
	psk, err := key.ParsePreshared("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=")
	if err != nil {
		t.Fatal(err)
	}
	s := conf.Status{Up: true, ListenPort: 51820, MTU: 1420, PrivateKey: private,
		Drops: []conf.Drop{{Reason: "no-peer", Count: 3}, {Reason: "loop"}}, Counters: []conf.Counter{{Name: "unjoined", Count: 2}}}
	for i := range peers {
		p := conf.PeerStatus{PublicKey: key.Public{byte(i >> 16), byte(i >> 8), byte(i), 1}, PresharedKey: psk.Clone(), RxBytes: uint64(i), TxBytes: uint64(2 * i)}
		if i%2 == 0 {
			p.Name = fmt.Sprint("peer", i)
		}
		if i%3 == 0 {
			p.LastHandshake = time.Unix(1_795_937_401, 500_000_000)
		}
		s.Peers = append(s.Peers, p)
	}
	target := controltest.New(s)
	target.SetSummary(conf.Summary{
		ActivePeers: 5, RxPackets: 6, TxPackets: 7, Goroutines: 30, Memory: 1 << 20,
		Handshakes: []conf.HandshakeCount{{Outcome: conf.CompletedAsInitiator, Count: 8}, {Outcome: conf.CompletedAsResponder, Count: 9},
			{Outcome: conf.FailedHandshake, Reason: "no-answer", Count: 10}, {Outcome: conf.RefusedInitiation, Reason: "unknown-key", Count: 11},
			{Outcome: conf.RefusedResponse, Reason: "not-authentic", Count: 12}},
		HandshakeTime: conf.Histogram{Bounds: []float64{0.001, 0.5}, Counts: []uint64{1, 2, 3}, Sum: 4.5},
		Idle:          conf.Histogram{Bounds: []float64{10}, Counts: []uint64{2, 0}, Sum: 6},
	})
	return target
}

// Each figure of the summary is a series. A hundred thousand peers have no more series
// than one.
func TestScrape(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", site(t, 3))
	s := newScraper()
	s.expect(t, "/metrics",
		`wgd_build_info{go_version="`+goVersion()+`",version="1.2.3"} 1`,
		`wgd_scrape_success{interface="wg0"} 1`, `wgd_interface_up{interface="wg0"} 1`, `wgd_interface_fault{interface="wg0"} 0`,
		`wgd_start_time_seconds{interface="wg0"} 1.795937401e+09`, `wgd_listen_port{interface="wg0"} 51820`, `wgd_fwmark{interface="wg0"} 0`,
		`wgd_mtu_bytes{interface="wg0"} 1420`, `wgd_peers{interface="wg0"} 3`, `wgd_active_peers{interface="wg0"} 5`,
		`wgd_received_bytes_total{interface="wg0"} 3`, `wgd_sent_bytes_total{interface="wg0"} 6`,
		`wgd_received_packets_total{interface="wg0"} 6`, `wgd_sent_packets_total{interface="wg0"} 7`,
		`wgd_dropped_packets_total{interface="wg0",reason="no-peer"} 3`, `wgd_dropped_packets_total{interface="wg0",reason="loop"} 0`,
		`wgd_observed_packets_total{interface="wg0",observation="unjoined"} 2`,
		`wgd_handshakes_total{interface="wg0",role="initiator"} 8`, `wgd_handshakes_total{interface="wg0",role="responder"} 9`,
		`wgd_handshakes_failed_total{interface="wg0",reason="no-answer"} 10`,
		`wgd_handshake_messages_refused_total{interface="wg0",message="initiation",reason="unknown-key"} 11`,
		`wgd_handshake_messages_refused_total{interface="wg0",message="response",reason="not-authentic"} 12`,
		`wgd_handshake_duration_seconds_bucket{interface="wg0",le="0.001"} 1`, `wgd_handshake_duration_seconds_bucket{interface="wg0",le="0.5"} 3`,
		`wgd_handshake_duration_seconds_bucket{interface="wg0",le="+Inf"} 6`, `wgd_handshake_duration_seconds_sum{interface="wg0"} 4.5`,
		`wgd_handshake_duration_seconds_count{interface="wg0"} 6`, `wgd_peer_idle_seconds_bucket{interface="wg0",le="10"} 2`,
		`wgd_goroutines{interface="wg0"} 30`, `wgd_memory_bytes{interface="wg0"} 1.048576e+06`)
	few := len(s.series(t, "/metrics"))
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", site(t, 100_000))
	many := newScraper()
	many.expect(t, "/metrics", `wgd_peers{interface="wg0"} 100000`)
	if n := len(many.series(t, "/metrics")); n != few || n > 300 {
		t.Errorf("%d series for 100,000 peers, %d for 3", n, few)
	}
	if _, body := s.get("/metrics", "application/openmetrics-text; version=1.0.0"); !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("OpenMetrics:\n%s", body)
	}
}

// Every metric has a help text, the name of a counter ends with _total, and nothing
// about a key is in an answer.
func TestForm(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target := site(t, 4)
	serve(t, "wg0", target)
	s := newScraper()
	help, family := map[string]bool{}, regexp.MustCompile(`^# (HELP|TYPE) (\S+) (.*)\n$`)
	for _, path := range []string{"/metrics", "/metrics?top=10"} {
		_, body := s.get(path)
		for line := range strings.Lines(body) {
			m := family.FindStringSubmatch(line)
			switch {
			case m == nil:
			case m[1] == "HELP":
				help[m[2]] = len(m[3]) > 10
			case !help[m[2]], (m[3] == "counter") != strings.HasSuffix(m[2], "_total"), !strings.HasPrefix(m[2], "wgd_"):
				t.Errorf("%s: %s", path, line)
			}
		}
		status := target.Status()
		for _, secret := range []string{status.PrivateKey.Base64(), status.Peers[0].PresharedKey.Base64()} {
			if strings.Contains(body, secret) {
				t.Errorf("%s has a secret key", path)
			}
		}
	}
	if len(help) < 20 {
		t.Errorf("only %d metrics", len(help))
	}
}

// Interfaces that come and go are followed; one that cannot be read does not keep the
// others from being read, and is reported once.
func TestInterfacesComeAndGo(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	dir := control.Dir
	s := newScraper()
	s.Check()
	if list := s.series(t, "/metrics"); len(list) != 1 || len(s.reports()) != 0 {
		t.Errorf("without interfaces: %q", list)
	}
	stop := serve(t, "wg0", site(t, 1))
	serve(t, "wg1", site(t, 2))
	s.forget()
	s.expect(t, "/metrics", `wgd_peers{interface="wg0"} 1`, `wgd_peers{interface="wg1"} 2`)
	for _, line := range s.series(t, "/metrics?interface=wg1") {
		if strings.Contains(line, "wg0") {
			t.Errorf("?interface=wg1: %s", line)
		}
	}
	s.expect(t, "/metrics?interface=wg1", `wgd_peers{interface="wg1"} 2`)
	stop()
	// This one never answers.
	silent, err := net.Listen("unix", filepath.Join(dir, "wg2.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s.interfaces.timeout = 200 * time.Millisecond
	s.forget()
	s.expect(t, "/metrics", `wgd_scrape_success{interface="wg1"} 1`, `wgd_peers{interface="wg1"} 2`, `wgd_scrape_success{interface="wg2"} 0`)
	for _, line := range s.series(t, "/metrics") {
		if strings.Contains(line, "wg0") || strings.Contains(line, "wg2") && !strings.Contains(line, "success") {
			t.Error(line)
		}
	}
	s.forget()
	s.series(t, "/metrics")
	if got := s.reports(); len(got) != 1 || !strings.Contains(got[0], "wg2: the daemon does not answer within 200ms") {
		t.Errorf("reported: %q", got)
	}
	// Figures of peers say as well that those of wg2 are missing, and nothing else is told of it.
	for _, target := range []string{"/metrics?top=5", "/metrics?peer=peer0"} {
		s.expect(t, target, `wgd_scrape_success{interface="wg1"} 1`, `wgd_scrape_success{interface="wg2"} 0`, `wgd_peer_received_bytes_total{interface="wg1",peer="peer0"} 0`)
	}
	if status, body := s.get("/metrics?interface=wg0"); status != http.StatusNotFound || !strings.HasPrefix(body, "wg0: no such interface is running") {
		t.Errorf("one that has ended: %d %s", status, body)
	}
	if status, body := s.get("/metrics?peer=x&interface=wg2"); status != http.StatusNotFound || !strings.Contains(body, "does not answer") {
		t.Errorf("a peer of it: %d %s", status, body)
	}
}

// A daemon of an older version, which makes no summary, is reported once, and by name, also
// if its peers are read in between.
func TestOldDaemonIsReportedOnce(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	server, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go server.Serve(struct{ control.Target }{site(t, 1)})
	s := newScraper()
	for range 3 {
		s.forget()
		s.expect(t, "/metrics", `wgd_scrape_success{interface="wg0"} 0`)
		s.expect(t, "/metrics?top=1", `wgd_peer_active{interface="wg0",peer="peer0"} `+activeNow())
	}
	if got := s.reports(); len(got) != 1 || !strings.HasPrefix(got[0], "wg0: ") {
		t.Errorf("reported: %q", got)
	}
}

// However many requests there are, the daemon is asked once until the answer is old.
func TestManyScrapes(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target := site(t, 10)
	serve(t, "wg0", target)
	s := newScraper()
	var group sync.WaitGroup
	begun := time.Now()
	for range 20 {
		group.Go(func() {
			for range 20 {
				s.get("/metrics")
				s.get("/metrics?top=3")
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	if n := target.Summaries(); n < 1 || n > 1+int(took/minAge) {
		t.Errorf("the daemon was asked %d times in %v", n, took)
	}
}

// Only so many requests wait for the daemons, whatever they ask for.
func TestRequestsAtATime(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", site(t, 3))
	s := newScraper()
	targets := []string{"/metrics", "/metrics?interface=wg0", "/metrics?top=3", "/metrics?peer=peer2"}
	s.interfaces.summary.mu.Lock() // as if a daemon were slow
	s.interfaces.figures.mu.Lock()
	var group sync.WaitGroup
	for i := range maxInFlight {
		group.Go(func() {
			if status, body := s.get(targets[i%len(targets)]); status != http.StatusOK {
				t.Errorf("%s: %d %s", targets[i%len(targets)], status, body)
			}
		})
	}
	for len(s.inFlight) < maxInFlight {
		time.Sleep(time.Millisecond)
	}
	for _, target := range targets {
		if status, body := s.get(target); status != http.StatusServiceUnavailable || !strings.Contains(body, "try again later") {
			t.Errorf("%s, one more: %d %s", target, status, body)
		}
	}
	s.interfaces.summary.mu.Unlock()
	s.interfaces.figures.mu.Unlock()
	group.Wait()
}

func TestPeers(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", site(t, 100))
	serve(t, "wg1", site(t, 3))
	s := newScraper()
	s.expect(t, "/metrics?peer=peer6", `wgd_peer_received_bytes_total{interface="wg0",peer="peer6"} 6`, `wgd_peer_sent_bytes_total{interface="wg0",peer="peer6"} 12`,
		`wgd_peer_last_handshake_timestamp_seconds{interface="wg0",peer="peer6"} 1.7959374015e+09`, `wgd_peer_active{interface="wg0",peer="peer6"} `+activeNow())
	s.expect(t, "/metrics?peer=peer6", `wgd_scrape_success{interface="wg0"} 1`, `wgd_scrape_success{interface="wg1"} 1`)
	if n := len(s.series(t, "/metrics?peer=peer6")); n != 4+2 {
		t.Errorf("%d series for a peer", n)
	}
	s.expect(t, "/metrics?peer=peer2", `wgd_peer_received_bytes_total{interface="wg0",peer="peer2"} 2`, `wgd_peer_received_bytes_total{interface="wg1",peer="peer2"} 2`)
	if n := len(s.series(t, "/metrics?interface=wg1&peer=peer2")); n != 4+1 {
		t.Errorf("%d series for a peer of one interface", n)
	}
	unnamed := key.Public{0, 0, 1, 1}
	s.expect(t, "/metrics?interface=wg0&peer=00000101", `wgd_peer_last_handshake_timestamp_seconds{interface="wg0",peer="00000101"} 0`)
	s.expect(t, "/metrics?interface=wg0&peer="+unnamed.Base64(), `wgd_peer_received_bytes_total{interface="wg0",peer="00000101"} 1`)
	top := s.series(t, "/metrics?top=2")
	if want := []string{`wgd_peer_received_bytes_total{interface="wg0",peer="00006301"} 99`, `wgd_peer_received_bytes_total{interface="wg0",peer="peer98"} 98`}; len(top) != 2*4+2 ||
		!slices.Contains(top, want[0]) || !slices.Contains(top, want[1]) {
		t.Errorf("?top=2: %q", top)
	}
	if n := len(s.series(t, fmt.Sprintf("/metrics?top=%d", maxTop))); n != 4*maxTop+2 || n > 300 {
		t.Errorf("%d series for the greatest top", n)
	}
	if list := s.series(t, "/metrics?top=50&interface=wg1"); len(list) != 3*4+1 {
		t.Errorf("?top=50 of 3 peers: %q", list)
	}
}

// Wrong requests have an answer that says what is wrong.
func TestWrongRequests(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", site(t, 1))
	s := newScraper()
	for target, want := range map[string]string{
		"/metrics?top=0":                "400 top is 0: give a number from 1 to 60",
		"/metrics?top=x":                "400 top is x: give a number",
		"/metrics?top=61":               "400 top is 61: give a number",
		"/metrics?top=-1":               "400 top is -1: give a number",
		"/metrics?top=1&peer=B":         "400 peer and top are both given",
		"/metrics?peer=":                "400 peer is empty",
		"/metrics?peer=A&peer=B":        "400 peer is given 2 times",
		"/metrics?peers=A":              "400 there is no parameter peers",
		"/metrics?interface=../etc":     "400 interface: ",
		"/metrics?interface=":           "400 interface: ",
		"/metrics?%zz":                  "400 the query cannot be read",
		"/metrics?interface=wg7":        "404 wg7: no such interface is running",
		"/metrics?interface=wg7&top=2":  "404 wg7: no such interface is running",
		"/metrics?interface=wg7&peer=B": "404 wg7: no such interface is running",
		"/metrics?peer=nobody":          "404 no interface that can be read has such a peer",
		"/metrics?peer=B%0A%3Cscript":   "404 no interface",
		"/":                             "200 The metrics of wgd are at /metrics.",
		"/metrics/":                     "404 There is nothing here",
	} {
		if status, body := s.get(target); !strings.HasPrefix(fmt.Sprint(status, " ", body), want) || strings.Contains(body, "<script") {
			t.Errorf("%s: %d %s, want %s", target, status, body, want)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/metrics", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow: %s", w.Code, w.Header().Get("Allow"))
	}
}

// FuzzQuery: what is accepted is within the limits.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "top=20", "peer=B&interface=wg0", "peer=a%2Bb", "top=1&top=2", "%", "a=b;c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		if err == nil && (q.top < 0 || q.top > maxTop || q.top > 0 && q.peer != "" || q.name != "" && conf.ValidInterfaceName(q.name) != nil) {
			t.Errorf("%q: %+v", raw, q)
		}
	})
}
