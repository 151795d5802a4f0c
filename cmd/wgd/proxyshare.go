package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/proxy"
	"wgd/internal/proxyconf"
	"wgd/internal/sys/process"
)

// Two tunnels with one key take the sessions from each other. So if a proxy with the key of
// the file runs already, another --stdio is a connection through the tunnel of that one,
// which it asks for at the control socket. A proxy whose own --stdio has ended stays until
// the connections that it carries for others have ended too.

// A carrying counts the connections that a proxy carries for other processes.
type carrying struct {
	mu     sync.Mutex
	count  int
	closed bool          // none may begin
	none   chan struct{} // nil, or closed when there is none
}

// begin reports whether another connection may begin.
func (c *carrying) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.count++
	return true
}

func (c *carrying) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	c.closeIfNone()
}

// finish returns a channel that is closed as soon as there is no connection. From then on,
// none may begin.
func (c *carrying) finish() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.none == nil {
		c.none = make(chan struct{})
	}
	c.closeIfNone()
	return c.none
}

func (c *carrying) closeIfNone() {
	if c.none != nil && c.count == 0 && !c.closed {
		c.closed = true
		close(c.none)
	}
}

// Connect implements control.Connector.
func (t stackTarget) Connect(ctx context.Context, target string) (carry func(net.Conn), err error) {
	p := t.run
	if !p.carried.begin() {
		return nil, control.ErrEnding
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	remote, err := proxy.Dial(ctx, p.tunnel, target)
	if err != nil {
		p.carried.end()
		return nil, err
	}
	return func(client net.Conn) {
		defer p.carried.end()
		proxy.Relay(p.ctx, client, remote)
	}, nil
}

// linger ends the services, and then waits for the connections that are carried for others.
// It returns err, or if it has already printed it, an exit status.
func (p *proxyRun) linger(ctx context.Context, signals *process.Signals, err error) error {
	p.stopAll()
	none := p.carried.finish()
	select {
	case <-none:
		return err
	default:
	}
	if err != nil {
		p.log.Error(err.Error())
		err = cli.Status(1)
	}
	// Whoever waits for the end of standard output must not wait for the others. Where this
	// is not possible, that one waits.
	if err := process.DiscardStandard(); err != nil {
		p.log.Debug("standard output stays open", "err", err)
	}
	for {
		select {
		case <-none:
			return err
		case <-ctx.Done():
			return err
		case <-p.tunnel.tunnel.Done():
			return p.tunnel.tunnel.Err()
		case <-signals.Reload: // ssh ends its ProxyCommand so, which has ended
		case <-signals.Interrupt:
		}
	}
}

// openControl opens the control socket. If a proxy with the key of the file has it, and this
// one wants no more than a --stdio, it returns a connection through that one.
func (p *proxyRun) openControl(ctx context.Context, config *proxyconf.Config, services []proxyconf.Service) (*control.Server, net.Conn, error) {
	for end := time.Now().Add(shareTimeout); ; {
		server, err := p.listenControl()
		target, ok := p.shared(services)
		if !errors.Is(err, control.ErrRunning) || !ok {
			return server, nil, err
		}
		conn, err := p.throughRunning(ctx, config, target, err)
		if !control.Ended(err) || time.Now().After(end) {
			return nil, conn, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, nil
		case <-time.After(sharePause):
		}
	}
}

const (
	// shareTimeout is how long a proxy that is about to end may take for that. One with
	// --ping carries nothing, and may take as long.
	shareTimeout = 20 * time.Second
	sharePause   = 50 * time.Millisecond
)

// shared returns the target of the only --stdio, if the command line wants nothing else. The
// services of the file are those of the proxy that runs.
func (p *proxyRun) shared(services []proxyconf.Service) (target string, ok bool) {
	for i := range services {
		if services[i].Kind == proxyconf.Stdio {
			target, ok = services[i].Target.String(), true
		}
	}
	others := slices.ContainsFunc(p.typed, func(s proxyconf.Service) bool { return s.Kind != proxyconf.Stdio })
	return target, ok && !others && !p.call.Has(optReady) && !p.call.Has(optPing)
}

// throughRunning opens a connection through the proxy that runs. If there is none with this
// socket, but something else, it returns running.
func (p *proxyRun) throughRunning(ctx context.Context, config *proxyconf.Config, target string, running error) (net.Conn, error) {
	socket, err := p.socket()
	if err != nil {
		return nil, err
	}
	client, err := control.Dial(socket)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { client.Close() })()
	status, err := client.Status()
	defer status.Erase()
	switch {
	case err != nil:
	case !status.InProcess:
		err = running
	case !sameTunnel(config, &status):
		err = fmt.Errorf("%s: a wgd proxy of this name runs with another key or other peers: give this one another name: --name NAME", p.name)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	conn, err := client.Connect(target)
	if err != nil {
		client.Close()
		return nil, err
	}
	return conn, nil
}

// sameTunnel reports whether a tunnel has the key of a file and all its peers.
func sameTunnel(config *proxyconf.Config, status *conf.Status) bool {
	private := config.Tunnel.Interface.PrivateKey
	if private == nil || private.Public() != status.PublicKey {
		return false
	}
	for i := range config.Tunnel.Peers {
		public := config.Tunnel.Peers[i].PublicKey
		if !slices.ContainsFunc(status.Peers, func(p conf.PeerStatus) bool { return p.PublicKey == public }) {
			return false
		}
	}
	return true
}

// socket returns the name of the tunnel, or the path of the control socket if it is given.
func (p *proxyRun) socket() (string, error) {
	if path, ok := p.call.Value(optSocket); ok {
		return filepath.Abs(path)
	}
	return p.name, nil
}
