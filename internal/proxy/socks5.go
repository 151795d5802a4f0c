package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// SOCKS5 is a SOCKS5 server (RFC 1928) that leads into a tunnel.
type SOCKS5 struct {
	Tunnel Tunnel
	// Username and Password are what clients must give (RFC 1929). If both are
	// empty, clients need nothing.
	Username, Password string
	// Log gets a line for each connection that fails or is refused. It may be
	// nil.
	Log *slog.Logger
}

// Serve serves the clients that l accepts.
func (s *SOCKS5) Serve(ctx context.Context, l net.Listener) error {
	return serve(ctx, l, logger(s.Log), s.handle)
}

func (s *SOCKS5) handle(ctx context.Context, c net.Conn) {
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	req, err := s.handshake(c)
	switch {
	case err == io.EOF: // a client that only looks whether somebody listens
		return
	case err != nil:
		logger(s.Log).Info("SOCKS5 client refused", "client", c.RemoteAddr(), "error", err)
		drain(c)
		return
	}
	c.SetDeadline(time.Time{})
	switch req.command {
	case cmdConnect:
		s.connect(ctx, c, req.target)
	case cmdAssociate:
		s.associate(ctx, c, req.target.port)
	default:
		s.refuse(c, commandNotSupported, fmt.Errorf("command %d is not supported: only CONNECT and UDP ASSOCIATE are", req.command))
	}
}

// handshake authenticates the client and reads its request. If it returns an
// error, the client has got an answer, where there is one.
func (s *SOCKS5) handshake(c net.Conn) (request, error) {
	methods, err := readGreeting(c)
	if err != nil {
		return request{}, err
	}
	if err := s.authenticate(c, methods); err != nil {
		return request{}, err
	}
	req, err := readRequest(c)
	if err != nil {
		code := generalFailure
		if errors.Is(err, errAddressType) {
			code = addressTypeNotSupported
		}
		c.Write(appendReply(nil, code, netip.AddrPort{}))
	}
	return req, err
}

func (s *SOCKS5) authenticate(c net.Conn, methods []byte) error {
	method, needs := byte(noAuth), "offers no access without a password, and this server has none: take the password out of its settings"
	if s.Username != "" || s.Password != "" {
		method, needs = passwordAuth, "offers no password: give it the user name and the password of this server"
	}
	if !bytes.Contains(methods, []byte{method}) {
		c.Write([]byte{socksVersion, noMethodAccepted})
		return errors.New("the client " + needs)
	}
	if _, err := c.Write([]byte{socksVersion, method}); err != nil || method == noAuth {
		return err
	}
	username, password, err := readCredentials(c)
	if err != nil {
		return err
	}
	if !sameCredentials(username, password, s.Username, s.Password) {
		c.Write([]byte{authVersion, 1})
		return errors.New("the user name or the password is wrong")
	}
	_, err = c.Write([]byte{authVersion, 0})
	return err
}

func (s *SOCKS5) connect(ctx context.Context, c net.Conn, to target) {
	remote, err := dial(ctx, s.Tunnel, to)
	if err != nil {
		s.refuse(c, replyFor(err), err)
		return
	}
	if _, err := c.Write(appendReply(nil, succeeded, addrPort(remote.LocalAddr()))); err != nil {
		remote.Close()
		return
	}
	Relay(ctx, c, remote)
}

// refuse answers a request that failed, and ends the connection.
func (s *SOCKS5) refuse(c net.Conn, code reply, err error) {
	logger(s.Log).Info("SOCKS5 request failed", "client", c.RemoteAddr(), "error", err)
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	c.Write(appendReply(nil, code, netip.AddrPort{}))
	drain(c)
}

// drain ends what c sends, and reads for a while until the client has read it and
// closes. If c were closed while data of the client is unread, the kernel would
// send a reset, which can overtake the answer.
func drain(c net.Conn) {
	if closeWrite(c) == nil {
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		io.CopyN(io.Discard, c, 64<<10)
	}
}

// addrPorter is a *net.TCPAddr or a *net.UDPAddr.
type addrPorter interface{ AddrPort() netip.AddrPort }

// addrPort returns the address and the port of a, or the zero value.
func addrPort(a net.Addr) netip.AddrPort {
	if has, ok := a.(addrPorter); ok {
		ap := has.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
