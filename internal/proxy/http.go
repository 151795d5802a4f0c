package proxy

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HTTP is an HTTP proxy that leads into a tunnel: CONNECT, and requests for
// http:// addresses. For clients that speak TLS to it, wrap the listener.
type HTTP struct {
	Tunnel Tunnel
	// Username and Password are what clients must give (Basic, RFC 7617). If
	// both are empty, clients need nothing.
	Username, Password string
	// Log gets a line for each request that fails or is refused. It may be nil.
	Log *slog.Logger
}

// maxRequestHeader is how many bytes the header of a request may have.
const maxRequestHeader = 64 << 10

// Serve serves the clients that l accepts.
func (h *HTTP) Serve(ctx context.Context, l net.Listener) error {
	inner, cancel := context.WithCancel(ctx)
	s := &httpServer{HTTP: h, ctx: inner, log: logger(h.Log)}
	s.transport = newTransport(inner, h.Tunnel)
	s.forward = &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     s.transport,
		FlushInterval: -1, // what a server sends is passed on at once
		BufferPool:    s,
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ErrorHandler:  func(w http.ResponseWriter, r *http.Request, err error) { s.fail(w, r, err) },
	}
	server := http.Server{
		Handler:           http.HandlerFunc(s.serve),
		BaseContext:       func(net.Listener) context.Context { return inner },
		ConnState:         s.count,
		ReadHeaderTimeout: handshakeTimeout,
		IdleTimeout:       3 * time.Minute,
		MaxHeaderBytes:    maxRequestHeader,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	defer s.running.Wait()
	defer s.transport.CloseIdleConnections()
	defer server.Close()
	defer cancel()
	stop := context.AfterFunc(inner, func() { server.Close() })
	defer stop()
	err := server.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// newTransport returns what sends requests through a tunnel, until inner is done.
func newTransport(inner context.Context, tunnel Tunnel) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, hostPort string) (net.Conn, error) {
			to, err := parseTarget(hostPort)
			if err != nil {
				return nil, err
			}
			// The transport lets a dial outlive its request.
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stop := context.AfterFunc(inner, cancel)
			defer stop()
			return dial(ctx, tunnel, to)
		},
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConns:           100,
		IdleConnTimeout:        time.Minute,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// httpServer is the state of one call of HTTP.Serve.
type httpServer struct {
	*HTTP
	ctx       context.Context
	log       *slog.Logger
	transport *http.Transport
	forward   *httputil.ReverseProxy
	running   sync.WaitGroup // connections and calls of serve
}

// count counts the connections of the server of package http, which does not wait
// for them when it closes.
func (s *httpServer) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.running.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.running.Done()
	}
}

// Get and Put are the buffers of bodies.
func (s *httpServer) Get() []byte { return largeBuffers.Get().(*[largeBuffer]byte)[:] }

func (s *httpServer) Put(b []byte) { largeBuffers.Put((*[largeBuffer]byte)(b)) }

func (s *httpServer) serve(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1) // for a handler that outlives the server's own count
	defer s.running.Done()
	if !s.authorized(r) {
		s.log.Info("HTTP client refused", "client", r.RemoteAddr, "error", "the user name and the password are missing or wrong")
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy", charset="UTF-8"`)
		http.Error(w, "This proxy wants a user name and a password.", http.StatusProxyAuthRequired)
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		s.connect(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		s.forward.ServeHTTP(w, r)
	case r.URL.Scheme == "":
		s.refuse(w, r, http.StatusBadRequest, "This is a proxy. A request to it names the whole address, such as http://example.org/.")
	default:
		s.refuse(w, r, http.StatusBadRequest, fmt.Sprintf("This proxy does not fetch %s addresses: use CONNECT.", r.URL.Scheme))
	}
}

func (s *httpServer) authorized(r *http.Request) bool {
	if s.Username == "" && s.Password == "" {
		return true
	}
	scheme, encoded, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	username, password, ok := strings.Cut(string(decoded), ":")
	return strings.EqualFold(scheme, "Basic") && err == nil && ok &&
		sameCredentials([]byte(username), []byte(password), s.Username, s.Password)
}

// rewrite makes the request for the server from that of the client. The
// ReverseProxy has removed the headers that belong to one connection, and more:
// what a client sends in other ones is not ours to change.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	p.Out.Trailer = p.In.Trailer // the values come after the body, into this map
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := p.In.Header[name]; ok {
			p.Out.Header[name] = values
		}
	}
}

// connect serves CONNECT: it connects to the target, and then copies.
func (s *httpServer) connect(w http.ResponseWriter, r *http.Request) {
	to, err := parseTarget(r.RequestURI)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	remote, err := dial(r.Context(), s.Tunnel, to)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.running.Add(1)
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.running.Done()
		remote.Close()
		s.fail(w, r, err)
		return
	}
	// In a goroutine of its own, which has a small stack and holds nothing of
	// the server.
	early := make([]byte, buffered.Reader.Buffered())
	_, err = io.ReadFull(buffered, early)
	go func() {
		defer s.running.Done()
		s.established(c, remote, early, err)
	}()
}

// established tells the client that it is connected, and copies. The client may
// have sent early data already.
func (s *httpServer) established(c, remote net.Conn, early []byte, err error) {
	stop := context.AfterFunc(s.ctx, func() {
		c.Close()
		remote.Close()
	})
	defer stop()
	if err == nil {
		_, err = c.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	}
	if err == nil && len(early) > 0 {
		_, err = remote.Write(early)
	}
	if err != nil {
		c.Close()
		remote.Close()
		return
	}
	Relay(s.ctx, c, remote)
}

// fail answers a request whose target cannot be reached.
func (s *httpServer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) { // the client has gone
		panic(http.ErrAbortHandler)
	}
	status := http.StatusBadGateway
	if failureOf(err) == timedOut {
		status = http.StatusGatewayTimeout
	}
	s.refuse(w, r, status, fmt.Sprintf("No answer from %s: %v", r.URL.Host, err))
}

func (s *httpServer) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.log.Info("HTTP request failed", "client", r.RemoteAddr, "status", status, "error", text)
	http.Error(w, text, status)
}

// parseTarget parses HOST:PORT.
func parseTarget(hostPort string) (target, error) {
	host, number, err := net.SplitHostPort(hostPort)
	if err != nil {
		return target{}, fmt.Errorf("target %q: give HOST:PORT", hostPort)
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 {
		return target{}, fmt.Errorf("target %q: give a port from 1 to 65535", hostPort)
	}
	return newTarget(host, uint16(port))
}
