package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"wgd/internal/proxy"
	"wgd/internal/proxyconf"
	"wgd/internal/quote"
	"wgd/internal/sys/answer"
	"wgd/internal/sys/errno"
	"wgd/internal/sys/unixsocket"
)

// A running is a service that runs.
type running struct {
	cancel context.CancelFunc
	ended  chan struct{} // is closed when it has ended
	err    error         // may be read after that
}

func (r *running) stop() {
	r.cancel()
	<-r.ended
}

// startService opens the sockets of a service, and serves them until ctx is done.
func startService(ctx context.Context, t *stackTunnel, s *proxyconf.Service, in io.Reader, out io.Writer, log *slog.Logger) (*running, error) {
	serve, err := prepare(t, s, in, out, log.With("service", s.String()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		defer cancel()
		if err := serve(ctx); err != nil && ctx.Err() == nil {
			r.err = fmt.Errorf("%s: %w", s, err)
		}
	}()
	return r, nil
}

// prepare opens the sockets of a service, and returns what serves them.
func prepare(t *stackTunnel, s *proxyconf.Service, in io.Reader, out io.Writer, log *slog.Logger) (func(context.Context) error, error) {
	inside := func(ctx context.Context) (net.Conn, error) { return proxy.Dial(ctx, t, s.Target.String()) }
	outside := func(ctx context.Context) (net.Conn, error) { return t.dialOutside(ctx, "tcp", s.Target) }
	switch s.Kind {
	case proxyconf.SOCKS5:
		server := &proxy.SOCKS5{Tunnel: t, Username: s.Username, Password: s.Password, Log: log}
		return onListener(server.Serve, listenOutside, s)
	case proxyconf.HTTP:
		server := &proxy.HTTP{Tunnel: t, Username: s.Username, Password: s.Password, Log: log}
		listen := func(s *proxyconf.Service) (net.Listener, error) { return listenTLS(s, log) }
		return onListener(server.Serve, listen, s)
	case proxyconf.Forward:
		server := &proxy.Forward{Dial: inside, Log: log}
		return onListener(server.Serve, listenOutside, s)
	case proxyconf.Remote:
		server := &proxy.Forward{Dial: outside, Log: log}
		list, err := insideAll(t, s, func(address string) (net.Listener, error) { return t.Listen("tcp", address) })
		return serveAll(server.Serve, list), err
	case proxyconf.UDPForward:
		server := &proxy.UDPForward{Timeout: flowTimeout(s), Log: log,
			Dial: func(ctx context.Context) (net.Conn, error) { return t.dialUDP(ctx, s.Target) }}
		return onListener(server.Serve, listenPacketOutside, s)
	case proxyconf.UDPRemote:
		server := &proxy.UDPForward{Timeout: flowTimeout(s), Log: log,
			Dial: func(ctx context.Context) (net.Conn, error) { return t.dialOutside(ctx, "udp", s.Target) }}
		list, err := insideAll(t, s, func(address string) (net.PacketConn, error) { return t.ListenPacket("udp", address) })
		return serveAll(server.Serve, list), err
	}
	return func(ctx context.Context) error {
		conn, err := inside(ctx)
		if err != nil {
			return err
		}
		return proxy.Stdio(ctx, conn, in, out)
	}, nil
}

func onListener[L any](serve func(context.Context, L) error, listen func(*proxyconf.Service) (L, error), s *proxyconf.Service) (func(context.Context) error, error) {
	l, err := listen(s)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return serve(ctx, l) }, nil
}

// flowTimeout returns the timeout as package proxy takes it.
func flowTimeout(s *proxyconf.Service) time.Duration {
	if s.Forever {
		return -1
	}
	return s.Timeout
}

// dialUDP opens a flow to a target inside the tunnel.
func (t *stackTunnel) dialUDP(ctx context.Context, target proxyconf.Target) (net.Conn, error) {
	to, ok := target.Address()
	if !ok {
		list, err := t.LookupNetIP(ctx, "ip", target.Host)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("%s: the name has no address of a family that the tunnel has", target.Host)
		}
		to = netip.AddrPortFrom(list[0], target.Port)
	}
	return t.DialContext(ctx, "udp", to.String())
}

// listenAddress returns the address of a listener outside of the tunnel.
func listenAddress(l proxyconf.Listen) (string, error) {
	if l.Host == "" {
		return l.String(), nil
	}
	list := localAddresses(l.Host)
	if len(list) == 0 {
		return "", fmt.Errorf("%s is neither an address nor a name in /etc/hosts, and no name server outside of the tunnel is asked: give an address", quote.Name(l.Host))
	}
	return netip.AddrPortFrom(list[0], l.Port).String(), nil
}

// listenOutside listens on an address of this computer, or on a unix socket.
func listenOutside(s *proxyconf.Service) (net.Listener, error) { return listenAt(s.Listen) }

func listenAt(l proxyconf.Listen) (net.Listener, error) {
	if l.Unix != "" {
		return listenUnix(l.Unix)
	}
	address, err := listenAddress(l)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	return listener, withAdvice(err)
}

func listenPacketOutside(s *proxyconf.Service) (net.PacketConn, error) {
	address, err := listenAddress(s.Listen)
	if err != nil {
		return nil, err
	}
	conn, err := answer.Listen(address)
	return conn, withAdvice(err)
}

// withAdvice adds what to do to an error of listening.
func withAdvice(err error) error {
	switch {
	case errno.PortTaken(err):
		return fmt.Errorf("%w: another program uses this port: choose another one", plainOp(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: choose a port from 1024", plainOp(err))
	}
	return err
}

// plainOp returns the cause of an error of package net.
func plainOp(err error) error {
	var e *net.OpError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// listenUnix listens on a unix socket that only its owner may use. It replaces a socket
// on which nobody listens.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, errors.New("there is a file of this name that is no socket: choose another path")
		}
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			conn.Close()
		}
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, errors.New("there is a socket of another user: choose another path")
		case !errno.NobodyListens(err):
			return nil, errors.New("another program listens on this socket: choose another path")
		}
	}
	l, err := unixsocket.Make(path, nil)
	if err != nil {
		return nil, err
	}
	info, _ := os.Lstat(path)
	return &unixListener{l, path, info}, nil
}

// A unixListener removes its socket when it is closed, unless another one is there.
type unixListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && l.info != nil && os.SameFile(now, l.info) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}

// insideAddresses returns the addresses of the tunnel at which a service listens.
func (t *stackTunnel) insideAddresses(l proxyconf.Listen) (list []string, err error) {
	if l.Host == "" {
		for _, p := range t.network.Addresses {
			list = append(list, netip.AddrPortFrom(p.Addr(), l.Port).String())
		}
		return list, nil
	}
	a, err := netip.ParseAddr(l.Host)
	if err != nil {
		return nil, fmt.Errorf("%s: give an address of the tunnel, or only a port", quote.Name(l.Host))
	}
	return []string{netip.AddrPortFrom(a, l.Port).String()}, nil
}

// insideAll opens a socket at each address of the tunnel at which the service listens.
func insideAll[L io.Closer](t *stackTunnel, s *proxyconf.Service, open func(address string) (L, error)) (list []L, err error) {
	addresses, err := t.insideAddresses(s.Listen)
	for _, a := range addresses {
		l, err := open(a)
		if err != nil {
			for _, opened := range list {
				opened.Close()
			}
			return nil, err
		}
		list = append(list, l)
	}
	return list, err
}

// serveAll serves several sockets until ctx is done or one fails.
func serveAll[L any](serve func(context.Context, L) error, list []L) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		failures := make(chan error, len(list))
		for _, l := range list {
			go func() {
				failures <- serve(ctx, l)
				cancel()
			}()
		}
		var all error
		for range list {
			all = errors.Join(all, <-failures)
		}
		return all
	}
}
