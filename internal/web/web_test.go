package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/explain"
	"wgd/key"
)

const (
	port   = 9587
	secret = "kNEm6ibBNWbIoBATFDlHlKLPzUOZ8EN7zBmhWSIPe0w="
)

func newHandler() (*Handler, string) {
	return New(port, func(*conf.Status) explain.Host { return explain.Host{} }, func(string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}
	})
}

// serve makes an interface run that has n peers, until stop is called.
func serve(t *testing.T, name string, n int) (target *controltest.Target, stop func()) {
	t.Helper()
	private, err := key.ParsePrivate(secret)
	if err != nil {
		t.Fatal(err)
	}
	status := conf.Status{Name: name, Up: true, ListenPort: 1, PrivateKey: private}
	for i := range n {
		status.Peers = append(status.Peers, conf.PeerStatus{PublicKey: key.Public{1, byte(i), byte(i >> 8)}, Name: fmt.Sprintf("peer%05d", i), RxBytes: uint64(i),
			AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)}})
	}
	target = controltest.New(status)
	server, err := control.Listen(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(target)
	t.Cleanup(func() { server.Close() })
	return target, func() { server.Close() }
}

// ask sends a request, with the cookie if known, and returns the answer.
func ask(h *Handler, known bool, method, host, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://"+host+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if known {
		r.AddCookie(&http.Cookie{Name: h.cookie, Value: h.session})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// TestRefused proves that each kind of bad request gets an answer that says why, and that
// no answer may be kept, framed or given another type.
func TestRefused(t *testing.T) {
	h, token := newHandler()
	for _, c := range []struct {
		name         string
		known        bool
		method, host string
		path         string
		header       []string
		code         int
		says         string
	}{
		{"foreign host name", true, "GET", "evil.example:9587", "/", nil, 421, "not served under the name"},
		{"foreign host name that begins like an address", true, "GET", "127.0.0.1.evil.example", "/", nil, 421, "not served under the name"},
		{"foreign-origin POST", true, "POST", "127.0.0.1:9587", "/", []string{"Origin", "http://evil.example"}, 403, "another site"},
		{"foreign-origin POST of a browser that says so", true, "POST", "127.0.0.1:9587", "/", []string{"Sec-Fetch-Site", "cross-site"}, 403, "another site"},
		{"foreign-origin change", true, "POST", "127.0.0.1:9587", "/change", []string{"Origin", "http://evil.example", "Content-Type", "application/json"}, 403, "another site"},
		{"change of a page on another port", true, "POST", "127.0.0.1:9587", "/change", []string{"Origin", "http://127.0.0.1:80", "Content-Type", "application/json"}, 403, "another site"},
		{"change without a cookie", false, "POST", "127.0.0.1:9587", "/change", []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "application/json"}, 401, "with the token"},
		{"change by a form of HTML", true, "POST", "127.0.0.1:9587", "/change", []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "text/plain"}, 415, "Only the page"},
		{"change that is no JSON", true, "POST", "127.0.0.1:9587", "/change", []string{"Sec-Fetch-Site", "same-origin", "Content-Type", "application/json"}, 400, "cannot be read"},
		{"foreign script", true, "GET", "127.0.0.1:9587", "/stream", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403, "another site"},
		{"no cookie", false, "GET", "127.0.0.1:9587", "/", nil, 401, "with the token"},
		{"no cookie, stream", false, "GET", "127.0.0.1:9587", "/stream", nil, 401, "with the token"},
		{"no cookie, explain", false, "GET", "127.0.0.1:9587", "/explain", nil, 401, "with the token"},
		{"wrong cookie", false, "GET", "127.0.0.1:9587", "/", []string{"Cookie", h.cookie + "=" + token}, 401, "with the token"},
		{"wrong token", false, "GET", "127.0.0.1:9587", "/enter?token=x" + token, nil, 403, "another token"},
		{"no token", false, "GET", "127.0.0.1:9587", "/enter", nil, 403, "another token"},
		{"session as token", false, "GET", "127.0.0.1:9587", "/enter?token=" + h.session, nil, 403, "another token"},
		{"peer that is no key", true, "GET", "127.0.0.1:9587", "/explain?interface=wg0&peer=x", nil, 400, "names no peer"},
		{"interface that is a path", true, "GET", "127.0.0.1:9587", "/explain?interface=/tmp/x.sock&peer=" + "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", nil, 400, "names no peer"},
		{"the page", true, "GET", "localhost:1", "/", nil, 200, "id=\"peers\""},
		{"the page, IPv6", true, "GET", "[::1]:9587", "/", nil, 200, "id=\"peers\""},
		{"the page, IPv6 without a port", true, "GET", "[::1]", "/", nil, 200, "id=\"peers\""},
		{"the style", false, "GET", "127.0.0.1:9587", "/style.css", nil, 200, "color-scheme"},
	} {
		response := ask(h, c.known, c.method, c.host, c.path, c.header...)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != c.code || !strings.Contains(string(body), c.says) {
			t.Errorf("%s: %s, %.300q, want %d and %q", c.name, response.Status, body, c.code, c.says)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
		if policy := response.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", c.name, policy)
		}
	}
}

// TestToken proves that the token becomes a cookie that no script and no other site has.
func TestToken(t *testing.T) {
	h, token := newHandler()
	response := ask(h, false, "GET", "127.0.0.1:9587", "/enter?token="+token)
	cookies := response.Cookies()
	if response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/" || len(cookies) != 1 {
		t.Fatalf("%s, to %q, cookies %v", response.Status, response.Header.Get("Location"), cookies)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Value != h.session || strings.Contains(c.String(), token) {
		t.Errorf("cookie: %s", c)
	}
	if again, other := newHandler(); other == token || again.session == h.session {
		t.Error("two starts have the same token")
	}
}

// open opens a stream of a server, and returns a function that reads the next event.
func open(t *testing.T, h *Handler, query string) func() (eventJSON, int) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	request, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/stream?"+query, nil)
	request.AddCookie(&http.Cookie{Name: h.cookie, Value: h.session})
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	reader := bufio.NewReaderSize(response.Body, 1<<20)
	return func() (event eventJSON, size int) {
		t.Helper()
		line, err := reader.ReadString('\n')
		for err == nil && !strings.HasPrefix(line, "data: ") { // comments, and ends of events
			line, err = reader.ReadString('\n')
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(line), "private") || strings.Contains(line, secret) {
			t.Errorf("a secret, or the word: %.200q", line)
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &event); err != nil {
			t.Fatalf("%v in %.200q", err, line)
		}
		return event, len(line)
	}
}

// TestStreamSendsDifferences proves that of 10,000 peers only the page is sent, later only
// what has changed of it, and never a secret.
func TestStreamSendsDifferences(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target, stop := serve(t, "wg0", 10_000)
	h, _ := newHandler()
	next := open(t, h, "sort=name")
	first, size := next()
	if len(first.Rows) != pageSize || len(first.Order) != pageSize || first.Found != 10_000 || first.Pages != 100 || first.Shown != "wg0" || size > 60_000 {
		t.Fatalf("%d rows of %d on %d pages of %q, %d bytes", len(first.Rows), first.Found, first.Pages, first.Shown, size)
	}
	target.Set(func(s *conf.Status) { s.Peers[3].TxBytes, s.Peers[5000].TxBytes = 7, 7 })
	for {
		event, size := next()
		if len(event.Rows) == 0 {
			continue // read before the change
		}
		if len(event.Rows) != 1 || event.Rows[0].Name != "peer00003" || event.Rows[0].Tx != 7 || event.Order != nil || size > 2000 {
			t.Fatalf("rows %+v, order %v, %d bytes", event.Rows, event.Order, size)
		}
		break
	}
	stop()
	for {
		event, _ := next()
		if len(event.Interfaces) == 0 {
			if !event.Empty || event.Shown != "" {
				t.Errorf("after the daemon has ended: %+v", event)
			}
			break
		}
	}
}

func TestStreamSorts(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", 300)
	h, _ := newHandler()
	event, _ := open(t, h, "sort=received&search=peer002&page=7")()
	if event.Found != 100 || event.Page != 0 || event.Rows[0].Name != "peer00299" {
		t.Errorf("found %d, page %d, the first is %q", event.Found, event.Page, event.Rows[0].Name)
	}
	event, _ = open(t, h, "interface=wg9")()
	if event.Shown != "wg9" || !event.Empty || len(event.Interfaces) != 1 {
		t.Errorf("an interface that does not run: %+v", event)
	}
}

// TestStreamOfAll proves that without a choice the peers of all interfaces are sent, those
// that do not work first, with the likeliest reason beside them.
func TestStreamOfAll(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", 2)
	target, _ := serve(t, "wg1", 1)
	target.Set(func(s *conf.Status) {
		s.Peers[0].Endpoint = netip.MustParseAddrPort("192.0.2.1:1")
		s.Peers[0].Observations = []conf.Observation{{Kind: conf.NoAnswer, Count: 3, First: time.Now().Add(-time.Minute), Last: time.Now()}}
	})
	h, _ := newHandler()
	event, _ := open(t, h, "sort=state")()
	if event.Shown != "" || len(event.Interfaces) != 2 || event.Found != 3 {
		t.Fatalf("shown %q, %d interfaces, %d peers", event.Shown, len(event.Interfaces), event.Found)
	}
	if r := event.Rows[0]; r.Interface != "wg1" || r.State != string(explain.Trying) || !strings.Contains(r.Reason, "nothing comes back") {
		t.Errorf("the first row: %+v", r)
	}
	if r := event.Rows[1]; r.Interface != "wg0" || r.Reason != "" {
		t.Errorf("the second row: %+v", r)
	}
}

func TestExplain(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	serve(t, "wg0", 1)
	h, _ := newHandler()
	var p explain.Peer
	response := ask(h, true, "GET", "127.0.0.1", "/explain?interface=wg0&peer=AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D")
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil || p.Name != "peer00000" || p.State != explain.NeverUsed || p.Text == "" {
		t.Errorf("%s, %v, %+v", response.Status, err, p)
	}
}

// TestBrowserThatNeverReads proves that it is cut off, and that its place is free again.
func TestBrowserThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandler()
		client, server := net.Pipe() // holds nothing: a write waits until it is read
		defer client.Close()
		listener := &oneConn{conn: server, closed: make(chan struct{})}
		s := &http.Server{Handler: h}
		go s.Serve(listener)
		fmt.Fprintf(client, "GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: %s=%s\r\n\r\n", h.cookie, h.session)
		synctest.Wait()
		if len(h.streams) != 1 {
			t.Fatalf("%d streams, want 1", len(h.streams))
		}
		time.Sleep(writeTimeout - time.Second)
		if len(h.streams) != 1 {
			t.Fatal("it was cut off too early")
		}
		time.Sleep(3 * time.Second)
		if len(h.streams) != 0 {
			t.Error("it was not cut off")
		}
		s.Close()
	})
}

func TestTooManyStreams(t *testing.T) {
	h, _ := newHandler()
	for range maxStreams {
		h.streams <- struct{}{}
	}
	if response := ask(h, true, "GET", "127.0.0.1", "/stream"); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s, want 503", response.Status)
	}
}

// A oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
