package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/proxy"
	"wgd/internal/proxyconf"
	"wgd/internal/sys/mark"
	"wgd/internal/sys/process"
	"wgd/internal/sys/unixsocket"
	"wgd/internal/tunnelfile"
)

// A proxyRun is one call of wgd proxy.
type proxyRun struct {
	call       *cli.Call
	path, name string
	typed      []proxyconf.Service // those of the command line
	readers    *unixsocket.Group   // of the control socket; nil: none

	log    *logger
	tunnel *stackTunnel
	health *health
	ended  chan *running // services that have ended by themselves

	reloads sync.Mutex        // one at a time
	known   *tunnelfile.Known // what the file said about the tunnel
	stopped bool

	carried carrying         // for other processes
	signals *process.Signals // nil unless a service has standard input; see receive

	ctx      context.Context // of the services
	mu       sync.Mutex      // guards what follows
	services map[proxyconf.Service]*running
}

func (p *proxyRun) run() error {
	config, err := loadProxy(p.call, p.path)
	if err != nil {
		return err
	}
	defer config.Erase()
	services := unique(append(p.typed, config.Services...))
	host, ping := p.call.Value(optPing)
	if len(services) == 0 && !ping && !p.call.Has(optReady) {
		return errNoService
	}
	stdio := count(services, proxyconf.Stdio)
	if stdio > 1 {
		return errors.New("two services want standard input and output: only one --stdio or [STDIOTunnel] is possible")
	}
	ctx, stop := p.receive(stdio == 1 && !ping)
	defer stop()
	p.warnOfOpen(services)
	p.log = openLog(p.call.Stderr, p.name)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.ctx, p.services, p.ended = ctx, map[proxyconf.Service]*running{}, make(chan *running)
	server, ended, err := p.begin(ctx, config, services)
	if server != nil {
		defer server.Close()
	}
	if ended || err != nil {
		return err
	}
	if p.tunnel, err = openStack(p.name, config, proxyStateDir(), p.log.Logger); err != nil {
		return err
	}
	defer p.tunnel.close()
	if err := p.configure(config); err != nil {
		return err
	}
	if ping {
		p.carried.finish() // before any can begin
		p.answer(server)
		return p.ping(ctx, host)
	}
	return p.serve(ctx, config, services, server)
}

// receive begins to receive signals. The context ends with SIGTERM, and with SIGINT unless
// there is a service on standard input.
func (p *proxyRun) receive(stdio bool) (context.Context, context.CancelFunc) {
	if !stdio {
		return process.UntilStopped()
	}
	ctx, cancel := process.UntilEnded()
	signals := process.Receive()
	signals.TakeInterrupt()
	p.signals = signals
	return ctx, func() {
		signals.Stop()
		cancel()
	}
}

// untilSignal returns a context that also SIGINT and SIGHUP end, if there is a service on
// standard input. What arrives after stop stays in the channels.
func (p *proxyRun) untilSignal(ctx context.Context) (until context.Context, stop func()) {
	if p.signals == nil {
		return ctx, func() {}
	}
	until, cancel := context.WithCancel(ctx)
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-p.signals.Interrupt:
			cancel()
		case <-p.signals.Reload:
			cancel()
		case <-stopped:
		}
	}()
	return until, func() {
		close(stopped)
		<-ended
	}
}

// begin opens the control socket. If the proxy that has it connects standard input and
// output, begin returns when that has ended.
func (p *proxyRun) begin(ctx context.Context, config *proxyconf.Config, services []proxyconf.Service) (server *control.Server, ended bool, err error) {
	ctx, stop := p.untilSignal(ctx)
	server, shared, err := p.openControl(ctx, config, services)
	if err == nil && shared != nil {
		err = proxy.Stdio(ctx, shared, p.call.Stdin, p.call.Stdout)
	}
	stop()
	if ctx.Err() != nil {
		return server, true, nil
	}
	return server, shared != nil, err
}

// answer begins to answer at the control socket, which may ask for a reload.
func (p *proxyRun) answer(server *control.Server) {
	if server != nil {
		go server.Serve(p.target())
	}
}

// configure applies the file to the new tunnel.
func (p *proxyRun) configure(config *proxyconf.Config) error {
	change := config.Tunnel.Change()
	if err := followNames(config.Tunnel, &change); err != nil {
		return fmt.Errorf("%s: %w", p.path, err)
	}
	p.dropMark(&change)
	if err := p.tunnel.tunnel.Apply(change); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.remember(config)
	return nil
}

// remember records what the file says, to see later what has changed in it.
func (p *proxyRun) remember(config *proxyconf.Config) {
	status := p.tunnel.tunnel.Status()
	defer status.Erase()
	p.known = tunnelfile.Remember(config.Tunnel, &status, p.known)
}

// dropMark removes the firewall mark from a change if this process may not set one.
func (p *proxyRun) dropMark(change *conf.Change) {
	if change.FirewallMark == nil || *change.FirewallMark == 0 {
		return
	}
	config := net.ListenConfig{Control: mark.Control(*change.FirewallMark)}
	conn, err := config.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err == nil {
		conn.Close()
		return
	}
	p.call.Warnf("%s: FwMark is ignored, because this user may not set firewall marks", p.path)
	change.FirewallMark = nil
}

// serve runs the services until ctx is done or all have ended.
func (p *proxyRun) serve(ctx context.Context, config *proxyconf.Config, services []proxyconf.Service, server *control.Server) error {
	signals, stdio := p.signals, p.signals != nil
	if !stdio {
		signals = process.Receive()
		defer signals.Stop()
	}
	defer p.stopAll()
	p.health = newHealth(p.tunnel, config.Check)
	go p.health.run(ctx)
	var ready <-chan error
	if text, ok := p.call.Value(optReady); ok {
		failed, stop, err := p.health.serve(text)
		if err != nil {
			return fmt.Errorf("--%s %w", optReady, err)
		}
		defer stop()
		ready = failed
	}
	for i := range services {
		if err := p.start(&services[i]); err != nil {
			return err
		}
	}
	p.answer(server)
	p.log.Debug("the services run", "services", len(services))
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ready:
			return err
		case <-p.tunnel.tunnel.Done():
			return p.tunnel.tunnel.Err()
		case r := <-p.ended:
			done := p.forget(r)
			switch {
			case r.err != nil && !stdio:
				return r.err
			case r.err != nil, done:
				return p.linger(ctx, signals, r.err)
			}
		case <-signals.Interrupt:
			return p.linger(ctx, signals, nil)
		case <-signals.Reload:
			if stdio { // that of ssh, which ends its ProxyCommand with it
				return p.linger(ctx, signals, nil)
			}
			if err := p.Reload(); err != nil {
				p.log.Error("the file was not read again", "err", err)
			}
		}
	}
}

// start starts a service.
func (p *proxyRun) start(s *proxyconf.Service) error {
	r, err := startService(p.ctx, p.tunnel, s, p.call.Stdin, p.call.Stdout, p.log.Logger)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.services[*s] = r
	p.mu.Unlock()
	go func() {
		select {
		case <-r.ended:
		case <-p.ctx.Done():
			return
		}
		select {
		case p.ended <- r:
		case <-p.ctx.Done():
		}
	}()
	return nil
}

// forget removes a service that has ended, and reports whether it was the last one.
func (p *proxyRun) forget(r *running) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s, other := range p.services {
		if other == r {
			delete(p.services, s)
			return len(p.services) == 0 && !p.call.Has(optReady)
		}
	}
	return false // Reload has stopped it
}

// stopAll stops the services, after which no reload starts others.
func (p *proxyRun) stopAll() {
	p.reloads.Lock()
	defer p.reloads.Unlock()
	p.stopped = true
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.services {
		r.stop()
	}
}

// Reload reads the file again. Services and peers that stay the same are left alone. Those
// that have left the file stop before new ones start, which may use the same ports.
func (p *proxyRun) Reload() error {
	p.reloads.Lock()
	defer p.reloads.Unlock()
	if p.stopped {
		return fmt.Errorf("%s: wgd proxy is about to end", p.name)
	}
	config, err := loadProxy(p.call, p.path)
	if err != nil {
		return err
	}
	defer config.Erase()
	if err := p.reloadTunnel(config); err != nil {
		return err
	}
	wanted := unique(append(p.typed, config.Services...))
	if p.call.Has(optPing) { // which starts none
		wanted = nil
	}
	keep := map[proxyconf.Service]bool{}
	for _, s := range wanted {
		keep[s] = true
	}
	p.mu.Lock()
	for s, r := range p.services {
		if !keep[s] {
			delete(p.services, s)
			r.stop()
			p.log.Info("stopped", "service", s.String())
		}
	}
	have := map[proxyconf.Service]bool{}
	for s := range p.services {
		have[s] = true
	}
	p.mu.Unlock()
	var all error
	for i := range wanted {
		if !have[wanted[i]] && wanted[i].Kind != proxyconf.Stdio {
			all = errors.Join(all, p.start(&wanted[i]))
		}
	}
	if keys := p.tunnel.needsRestart(config); len(keys) > 0 {
		all = errors.Join(all, fmt.Errorf("%s: the file has changed what a reload does not: %s: start wgd proxy anew for that; the rest was reloaded", p.name, strings.Join(keys, ", ")))
	}
	return all
}

// reloadTunnel changes the tunnel as far as the file has changed.
func (p *proxyRun) reloadTunnel(config *proxyconf.Config) error {
	status := p.tunnel.tunnel.Status()
	defer status.Erase()
	difference := tunnelfile.Compare(config.Tunnel, p.known, &status)
	for _, n := range difference.Names {
		named, err := n.Endpoint.Named()
		if err != nil {
			return err
		}
		difference.Change.Peers[n.Peer].EndpointName = &named
	}
	if !difference.Empty() {
		if err := p.tunnel.tunnel.Apply(difference.Change); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, line := range difference.Lines {
			p.log.Info(line)
		}
	}
	p.remember(config)
	return nil
}

// A stackTarget is the tunnel behind the control socket.
type stackTarget struct {
	target
	run *proxyRun
}

func (p *proxyRun) target() stackTarget {
	return stackTarget{target{p.tunnel.tunnel, p.log, &p.tunnel.memory}, p}
}

// Status says also that no interface of the kernel belongs to the tunnel.
func (t stackTarget) Status() conf.Status {
	s := t.target.Status()
	s.InProcess = true
	return s
}

// Reload implements control.Reloader.
func (t stackTarget) Reload() error { return t.run.Reload() }

// listenControl opens the control socket: at the given path, or where this user has
// sockets. A user who has no place for them gets a warning, and no socket.
func (p *proxyRun) listenControl() (*control.Server, error) {
	if p.call.Has(optSocket) {
		path, err := p.socket()
		if err != nil {
			return nil, err
		}
		return control.ListenAt(path, p.name, p.readers)
	}
	server, err := control.Listen(p.name, p.readers)
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.call.Warnf("%s: there is no control socket: %v: or give its path with --socket", p.name, err)
		return nil, nil
	case errors.Is(err, errors.ErrUnsupported):
		p.call.Warnf("there is no control socket, so wgconfig and wgd reload cannot be used: %v", err)
		return nil, nil
	}
	return server, err
}

// pingPause is the time between two echo requests.
const pingPause = time.Second
