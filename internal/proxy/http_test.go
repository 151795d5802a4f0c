package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"wgd/internal/asynctest"
)

// client returns an http.Client that uses a proxy.
func client(t testing.TB, proxyURL string) *http.Client {
	t.Helper()
	u, err := url.Parse(proxyURL)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: asynctest.Timeout}
}

func body(t testing.TB, r *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// TestHTTPClient: Go's client gets pages by plain requests and by CONNECT, from
// servers whose names only the tunnel knows.
func TestHTTPClient(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.RequestURI, all)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	tunnel := &loopback{names: map[string][]netip.Addr{"web.example": {localhost}}}
	address := start(t, (&HTTP{Tunnel: tunnel, Username: "anna", Password: "secret7"}).Serve)
	c := client(t, "http://anna:secret7@"+address)
	for _, server := range []string{plain.URL, secure.URL} {
		server = strings.Replace(server, "127.0.0.1", "web.example", 1)
		host := server[strings.Index(server, "//")+2:]
		for range 2 {
			r, err := c.Post(server+"/a//b?x=;y", "text/plain", strings.NewReader("data"))
			if got, want := body(t, r, err), "POST "+host+" /a//b?x=;y data"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
}

// exchange sends a request as it stands, and returns the answer.
func exchange(t testing.TB, address, request string) (status int, header http.Header, text string) {
	t.Helper()
	c := connect(t, address)
	send(t, c, []byte(request)...)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	text = body(t, r, err)
	return r.StatusCode, r.Header, text
}

// TestHTTPRefusals: what cannot be served gets a status and a sentence.
func TestHTTPRefusals(t *testing.T) {
	log := &logBuffer{}
	op := func(s string) error { return &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("%s", s)} }
	tunnel := &loopback{broken: map[string]error{
		"10.0.0.1:80": op("connection was refused"), "10.0.0.4:443": op("operation timed out"), "[2001:db8::1]:443": op("no route to host"),
	}}
	address := start(t, (&HTTP{Tunnel: tunnel, Log: log.logger()}).Serve)
	for _, c := range []struct {
		request string
		status  int
		text    string
	}{
		{"GET http://10.0.0.1/x HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", 502, "10.0.0.1:80"},
		{"GET http://nowhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n", 502, "nowhere.example"},
		{"CONNECT 10.0.0.4:443 HTTP/1.1\r\nHost: x\r\n\r\n", 504, "10.0.0.4:443"},
		{"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n", 502, "[2001:db8::1]:443"},
		{"CONNECT example.org HTTP/1.1\r\nHost: x\r\n\r\n", 400, "give HOST:PORT"},
		{"CONNECT example.org:0 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "port from 1"},
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "This is a proxy"},
		{"GET https://example.org/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "use CONNECT"},
		{"POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400, ""},
		{"GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501, ""},
	} {
		status, _, text := exchange(t, address, c.request)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%q\ngot %d %q, want %d %q", c.request, status, text, c.status, c.text)
		}
	}
	expectLog(t, log, "level=INFO", "status=504", "10.0.0.4:443")
}

// TestHTTPPassword: 407 says how to authenticate, and no credential is logged.
func TestHTTPPassword(t *testing.T) {
	log := &logBuffer{}
	server := serveEach(t, echoAtEnd)
	address := start(t, (&HTTP{Tunnel: &loopback{}, Username: "anna", Password: "se:cret", Log: log.logger()}).Serve)
	for header, want := range map[string]int{
		"": 407, "Basic YW5uYTpzZTpjcmV0": 200, "basic  YW5uYTpzZTpjcmV0": 200, "Basic YW5uYTpzZTpjcmV1": 407,
		"Basic !": 407, "Basic YW5uYQ==": 407, "Bearer YW5uYTpzZTpjcmV0": 407,
	} {
		c := connect(t, address)
		send(t, c, fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\n\r\n", server, header)...)
		r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
		if err != nil || r.StatusCode != want {
			t.Errorf("%q: %v, %v; want %d", header, r, err, want)
		} else if want == 407 && !strings.HasPrefix(r.Header.Get("Proxy-Authenticate"), "Basic realm=") {
			t.Errorf("%q: Proxy-Authenticate is %q", header, r.Header.Get("Proxy-Authenticate"))
		}
	}
	expectLog(t, log, "level=INFO", "password are missing or wrong")
	for _, secret := range []string{"anna", "cret", "YW5u"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has the credential %q:\n%s", secret, log)
		}
	}
}

// TestHTTPHeaders: the headers of one connection, and of the proxy, are not passed
// on, and all others are, with trailers.
func TestHTTPHeaders(t *testing.T) {
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		got <- r
		w.Header().Set("Connection", "X-Secret")
		w.Header().Set("X-Secret", "1")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "answer")
		w.Header().Set("X-Sum", "9")
	}))
	defer server.Close()
	address := start(t, (&HTTP{Tunnel: &loopback{}, Username: "a", Password: "b"}).Serve)
	c := connect(t, address)
	send(t, c, fmt.Appendf(nil, "POST %s/ HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: Basic YTpi\r\nProxy-Connection: keep-alive\r\n"+
		"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-Forwarded-For: 192.0.2.1\r\nAuthorization: Basic eDp5\r\nTE: trailers\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n3\r\nabc\r\n0\r\nX-Check: 7\r\n\r\n", server.URL)...)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if text := body(t, answer, err); text != "answer" || answer.Trailer.Get("X-Sum") != "9" || answer.Header.Get("X-Secret") != "" {
		t.Errorf("the answer is %q, header %v, trailer %v", text, answer.Header, answer.Trailer)
	}
	r := <-got
	for name, want := range map[string]string{
		"Proxy-Authorization": "", "Proxy-Connection": "", "Connection": "", "X-Hop": "", "Keep-Alive": "",
		"X-Forwarded-For": "192.0.2.1", "Authorization": "Basic eDp5", "Te": "trailers", "User-Agent": "", "Accept-Encoding": "",
	} {
		if r.Header.Get(name) != want {
			t.Errorf("the server got %s: %q, want %q", name, r.Header.Get(name), want)
		}
	}
	if r.Trailer.Get("X-Check") != "7" || r.Host != strings.TrimPrefix(server.URL, "http://") {
		t.Errorf("the server got the trailer %v and the host %s", r.Trailer, r.Host)
	}
	// The connection is kept.
	send(t, c, fmt.Appendf(nil, "GET %s/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic YTpi\r\n\r\n", server.URL)...)
	answer, err = http.ReadResponse(bufio.NewReader(c), nil)
	body(t, answer, err)
}

// TestHTTPStreams: what a server sends is passed on at once.
func TestHTTPStreams(t *testing.T) {
	more := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "12")
		w.Write([]byte("first"))
		w.(http.Flusher).Flush()
		<-more
		w.Write([]byte(" second"))
	}))
	defer server.Close()
	c := client(t, "http://"+start(t, (&HTTP{Tunnel: &loopback{}}).Serve))
	r, err := c.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	expect(t, r.Body, []byte("first")...)
	close(more)
	expectEnd(t, r.Body, " second")
}

// TestHTTPBrokenBody: an answer that breaks off does not look complete.
func TestHTTPBrokenBody(t *testing.T) {
	server := serveEach(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	})
	c := client(t, "http://"+start(t, (&HTTP{Tunnel: &loopback{}}).Serve))
	r, err := c.Get("http://" + server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if all, err := io.ReadAll(r.Body); err == nil {
		t.Errorf("read %q without an error", all)
	}
}

// TestConnectHalfClose: CONNECT passes on data that came with the request, and the
// end of either direction.
func TestConnectHalfClose(t *testing.T) {
	server := serveEach(t, echoAtEnd)
	c := connect(t, start(t, (&HTTP{Tunnel: &loopback{}}).Serve))
	send(t, c, fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly", server)...)
	expect(t, c, []byte("HTTP/1.1 200 Connection established\r\n\r\n")...)
	send(t, c, []byte(" late")...)
	c.CloseWrite()
	expectEnd(t, c, "got early late")
}

// TestUpgrade: a connection that changes its protocol, as for WebSocket, is passed
// on.
func TestUpgrade(t *testing.T) {
	server := serveEach(t, func(c *net.TCPConn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // without pipes here as well
	})
	// Connections of the tunnel are no sockets: package net would join two
	// sockets with pipes, which it closes long after them.
	tunnel := &loopback{dialed: func(c net.Conn) net.Conn { return struct{ net.Conn }{c} }}
	c := connect(t, start(t, (&HTTP{Tunnel: tunnel}).Serve))
	send(t, c, fmt.Appendf(nil, "GET http://%s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", server)...)
	br := bufio.NewReader(c)
	if r, err := http.ReadResponse(br, nil); err != nil || r.StatusCode != 101 {
		t.Fatalf("%v, %v", r, err)
	}
	send(t, c, []byte("hello")...)
	expect(t, br, []byte("hello")...)
}

// TestHTTPOverTLS: the proxy works on a listener that speaks TLS.
func TestHTTPOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }))
	defer web.Close()
	address := start(t, func(ctx context.Context, l net.Listener) error {
		return (&HTTP{Tunnel: &loopback{}}).Serve(ctx, tls.NewListener(l, &tls.Config{Certificates: web.TLS.Certificates}))
	})
	c := client(t, "https://"+address)
	r, err := c.Get(web.URL)
	if got := body(t, r, err); got != "page" {
		t.Errorf("got %q", got)
	}
}

// FuzzHTTP: no request makes the proxy connect to a target that the request does
// not name, and none makes it fail.
func FuzzHTTP(f *testing.F) {
	for _, seed := range []string{
		"GET http://a.example/ HTTP/1.1\r\nHost: b\r\n\r\n", "CONNECT a.example:443 HTTP/1.1\r\n\r\n",
		"POST http://a.example HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://b.example/ HTTP/1.1\r\n\r\n",
		"CONNECT [::1]:1 HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, request []byte) {
		a, b := net.Pipe()
		l := &pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		l.conns <- b
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- (&HTTP{Tunnel: &noted{t, request}}).Serve(ctx, l)
		}()
		go func() {
			a.Write(request)
			a.Close()
		}()
		io.Copy(io.Discard, a)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// noted is a tunnel without hosts.
type noted struct {
	t       *testing.T
	request []byte
}

func (n *noted) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		n.t.Errorf("the tunnel gets the address %q: %v", address, err)
	}
	return nil, errBroken
}
func (n *noted) Listen(string, string) (net.Listener, error)         { return nil, errBroken }
func (n *noted) ListenPacket(string, string) (net.PacketConn, error) { return nil, errBroken }
func (n *noted) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if !bytes.Contains(bytes.ToLower(n.request), []byte(strings.ToLower(host))) && !strings.Contains(host, "xn--") && !bytes.ContainsRune(n.request, '%') {
		n.t.Errorf("the tunnel gets the name %q, which is not in %q", host, n.request)
	}
	return nil, errBroken
}

// pipeListener is a listener in memory.
type pipeListener struct {
	conns   chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }
