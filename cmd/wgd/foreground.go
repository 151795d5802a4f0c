package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/netsetup"
	"wgd/internal/sys/process"
	"wgd/internal/sys/unixsocket"
)

var optForeground = cli.Option{Long: "foreground", Short: 'f', Text: "stay in the foreground, with messages on standard error"}

// upForeground brings the interface up with a daemon in this process, stays until a signal
// or the end of the interface, and undoes everything. See
// docs/decisions/foreground.md.
func upForeground(c *cli.Call, path, name string) error {
	ctx, stop := process.UntilStopped()
	defer stop()
	signals := process.Receive()
	defer signals.Stop()
	manager, err := process.FindNotifySocket()
	if err != nil {
		return err
	}
	f := &foreground{call: c, path: path, name: name, manager: manager, daemon: &ownDaemon{stderr: c.Stderr}}
	f.say(manager.Status("bringing the tunnel up"))
	if err := up(ctx, c, path, name, f.daemon); err != nil {
		return errors.Join(err, f.daemon.stop())
	}
	f.say(manager.Ready("the tunnel is up"))
	f.attend(ctx, signals)
	// From now on, a second signal ends hooks. It must not end this process.
	again, stopAgain := process.UntilStopped()
	defer stopAgain()
	f.say(manager.Stopping())
	return errors.Join(f.takeDown(again), f.daemon.stop())
}

// A foreground is a wgd up that stays.
type foreground struct {
	call       *cli.Call
	path, name string
	manager    *process.NotifySocket
	daemon     *ownDaemon
}

// say prints why the service manager could not be told something. The tunnel continues.
func (f *foreground) say(err error) {
	if err != nil {
		f.call.Warnf("%s: %v", f.name, err)
	}
}

// attend returns when the interface must be taken down, or is gone. Nothing else in this
// process starts programs meanwhile, so orphans may be reaped here.
func (f *foreground) attend(ctx context.Context, signals *process.Signals) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.daemon.ended:
			return
		case <-signals.Orphan:
			process.Reap()
		case <-signals.Reload:
			f.reload(ctx)
		}
	}
}

// reload does what wgd reload does. If it fails, the tunnel stays as it was.
func (f *foreground) reload(ctx context.Context) {
	f.say(f.manager.Reloading())
	status := "the tunnel is up"
	if err := reload(ctx, f.call, f.path, f.name, false); err != nil {
		f.say(err)
		status = "the tunnel is up; the last reload failed: " + err.Error()
	}
	f.say(f.manager.Ready(status))
}

// turnTime is how long another command may take that works on the interface already.
const turnTime = 30 * time.Second

// takeDown undoes what up did, unless wgd down has.
func (f *foreground) takeDown(ctx context.Context) error {
	var s *session
	var err error
	control.WaitFor(turnTime, func() bool {
		s, err = begin(f.call, f.name)
		return !errors.Is(err, netsetup.ErrBusy)
	})
	if err != nil {
		return err
	}
	defer s.end()
	s.use(f.daemon)
	if s.setup.Record, err = s.setup.Store.Load(f.name); err != nil || s.setup.Record == nil {
		return err
	}
	return s.takeDown(ctx, s.hooks(f.path))
}

// An ownDaemon is the daemon of an interface, in this process.
type ownDaemon struct {
	stderr  io.Writer
	readers *unixsocket.Group
	cancel  context.CancelFunc // nil: it has not been started
	ended   chan struct{}      // is closed when it has ended
	err     error              // why; may be read after that
}

// start starts it, and returns when the interface exists.
func (d *ownDaemon) start(name string) error {
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.ended = cancel, make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(d.ended)
		d.err = runUntilEnd(ctx, name, d.readers, d.stderr, func() error { close(ready); return nil })
	}()
	select {
	case <-ready:
		return nil
	case <-d.ended:
		d.cancel = nil // its error is returned here, and by stop no more
		if d.err == nil {
			return fmt.Errorf("%s: the interface was deleted at once", name)
		}
		return d.err
	}
}

// stop ends it, and returns the error with which it has ended.
func (d *ownDaemon) stop() error {
	if d.cancel == nil {
		return nil
	}
	d.cancel()
	<-d.ended
	return d.err
}

// use makes d the daemon of the session's interface.
func (s *session) use(d *ownDaemon) {
	d.readers = s.readers
	s.kernel.Start = d.start
	s.setup.System = hosted{s.kernel, d}
}

// hosted is a Kernel with a daemon in this process.
type hosted struct {
	*netsetup.Kernel
	daemon *ownDaemon
}

// Delete ends the daemon, which removes the interface, and so does not take that for the
// work of others. What an earlier wgd up left may have another daemon.
func (h hosted) Delete(name string, index int) error {
	if h.daemon.cancel != nil {
		h.daemon.cancel()
		<-h.daemon.ended
	}
	return h.Kernel.Delete(name, index)
}
