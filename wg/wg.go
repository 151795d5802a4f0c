// Package wg runs WireGuard tunnels in a Go program.
//
// A tunnel is an Interface. Open makes it, Apply changes its configuration,
// Status returns its state, Events reports changes of its state, and Close ends
// it.
//
//	w, err := wg.Open(wg.Options{Name: "wg0"})
//	if err != nil { … }
//	defer w.Close()
//	err = w.Apply(conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{…}})
//
// Without a Device, Open makes a network interface of the kernel, which needs
// root or CAP_NET_ADMIN. The interface is down at first and has no addresses.
// Set its addresses and its MTU, and bring it up, with ip(8) or wg-ifconfig(8):
// the tunnel follows.
//
// With a Device, for example the TCP/IP stack of package netstack, the tunnel
// needs no privileges and is up at once.
package wg

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/engine"
	"wgd/internal/lanes"
	"wgd/internal/state"
	"wgd/internal/sys/clock"
	"wgd/internal/sys/cpu"
	"wgd/internal/sys/link"
	"wgd/internal/sys/udp"
	"wgd/key"
)

// DefaultMTU is the default MTU in bytes. With the headers of the tunnel, 80
// bytes over IPv6, a packet of this size fits into 1,500 bytes.
const DefaultMTU = 1420

// Options are the options of Open.
type Options struct {
	// Name is the name of the interface: up to 15 letters, digits and _=+.-
	// (see conf.ValidInterfaceName). If a persistent TUN interface of this name
	// exists and no process has it open, Open takes it over. With a Device,
	// Name is used in errors and for the file in StateDir only.
	Name string
	// Device replaces the kernel's interface; nil means an interface of the
	// kernel. The Device belongs to Open, which closes it if it fails, and then
	// to the Interface, which closes it when it ends.
	Device Device
	// Transport replaces the UDP sockets; nil means UDP. It has no firewall mark.
	// It may be used by several Interfaces if its Open allows that.
	Transport Transport
	// TUN is an open TUN interface to use; nil means to make one. The file
	// belongs to Open, unless it is not a TUN interface.
	TUN *os.File
	// MTU is the MTU in bytes of the kernel's interface; 0 means DefaultMTU, or
	// the MTU that a persistent interface was given before. It is ignored with
	// a Device or a TUN.
	MTU int
	// StateDir is the directory for the timestamps of handshakes, which must
	// survive a restart. "" means /var/lib/wgd, or $XDG_STATE_HOME/wgd without
	// root; with a Device it means that they are not stored.
	StateDir string
	// Log receives warnings and errors, and with level debug also each
	// handshake; nil means none.
	Log *slog.Logger
	// Processors is called with true when the tunnel needs all of Go's
	// processors (see runtime.GOMAXPROCS), and with false when one is enough,
	// which costs less CPU time. nil means not to call it. It is for programs
	// that do nothing but run one Interface. Such a program begins with all
	// processors: one more than the cores that it may use. While all are needed
	// the call is repeated every 10 seconds, because a limit on the cores may
	// have changed: see runtime.SetDefaultGOMAXPROCS.
	Processors func(all bool)
}

// An Interface is one running tunnel. Its methods may be called from any
// goroutine.
type Interface struct {
	engine *engine.Engine
	log    *slog.Logger

	events events

	stopOnce sync.Once
	watch    link.Watcher      // nil with a Device
	routes   link.RouteWatcher // nil with a Device
	watchers sync.WaitGroup

	stopClock   func()              // ends the calls of resumed
	onMTUChange func(mtu int) error // nil if the kernel makes no super-packets
}

// ErrInterfaceGone is returned by Err if the kernel's interface was deleted, or
// the Device closed, by anything but Close.
var ErrInterfaceGone = engine.ErrInterfaceGone

// ErrClosed is returned by Apply when the interface has ended, because of Close or
// because it was deleted.
var ErrClosed = engine.ErrClosed

// Open makes an interface, or uses Options.Device or Options.TUN, and runs a
// tunnel on it until Close. Its errors are sentences, which can be shown to a
// user.
func Open(o Options) (*Interface, error) {
	o.defaults()
	if err := key.Permitted(); err != nil {
		o.closeTaken()
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	if o.Device != nil {
		return openDevice(o)
	}
	return openKernel(o)
}

func (o *Options) defaults() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// closeTaken closes what Open has taken over.
func (o *Options) closeTaken() {
	if o.Device != nil {
		o.Device.Close()
	}
	if o.TUN != nil {
		if device, err := takeOver(o.TUN); err == nil {
			device.Close()
		}
	}
}

func newInterface(o Options, world engine.World, memory engine.Memory) *Interface {
	world.Clock, world.Rand, world.Log = clock.Now, rand.Reader, o.Log
	world.Lanes = lanes.Options{Usage: cpu.Read, Processors: o.Processors}
	world.Listen = func(port uint16, mark uint32) (engine.Sockets, error) {
		if o.Transport != nil {
			return openTransport(o.Transport, port, mark)
		}
		pair, err := udp.Listen(port, udp.Options{Mark: mark})
		if err != nil {
			return nil, err
		}
		logSmallBuffers(o.Log, pair)
		return pair, nil
	}
	w := &Interface{log: o.Log, stopClock: func() {}}
	world.Events = w.events.peerEvent
	w.engine = engine.Open(world, memory)
	stop, err := clock.WatchResume(w.resumed)
	if err != nil {
		o.Log.Debug("cannot notice at once when the computer was suspended", "err", err)
		return w
	}
	w.stopClock = stop
	return w
}

// resumed is called after the computer was suspended for a time.
func (w *Interface) resumed(slept time.Duration) {
	w.log.Debug("the computer was suspended", "time", slept.Round(time.Second))
	w.engine.Resumed(slept)
}

// logSmallBuffers logs the sizes of the sockets' buffers if the kernel granted
// less than was requested, which it does without CAP_NET_ADMIN.
func logSmallBuffers(log *slog.Logger, pair *udp.Pair) {
	for _, c := range pair.Groups() {
		caps := c.Caps()
		if !caps.OneSocket && (caps.RecvBuffer < udp.BufferSize || caps.SendBuffer < udp.BufferSize) {
			log.Info("the socket's buffers are smaller than requested: raise net.core.rmem_max and wmem_max, or run as root",
				"requested", udp.BufferSize, "receive", caps.RecvBuffer, "send", caps.SendBuffer)
		}
	}
}

// openDevice runs a tunnel on a Device. A Device cannot be down, so the tunnel
// is up at once.
func openDevice(o Options) (*Interface, error) {
	world := engine.World{TUN: device{o.Device}}
	var memory engine.Memory
	if o.StateDir != "" {
		var err error
		if memory, err = openState(o, &world, o.Name); err != nil {
			o.Device.Close()
			return nil, err
		}
	}
	w := newInterface(o, world, memory)
	if err := w.engine.Up(); err != nil {
		w.Close()
		return nil, err
	}
	w.events.emit(Event{Kind: WentUp})
	w.stopAtEnd()
	return w, nil
}

// stopAtEnd calls stop when the engine has ended.
func (w *Interface) stopAtEnd() {
	go func() {
		<-w.engine.Done()
		w.stop()
	}()
}

// openState opens the file with the timestamps of handshakes (A20, A21). If it
// is damaged, openState logs a warning and returns no error.
func openState(o Options, world *engine.World, name string) (engine.Memory, error) {
	dir := o.StateDir
	if dir == "" {
		dir = state.DefaultDir()
	}
	stamps, saved, err := state.Open(dir, name)
	if err != nil {
		return engine.Memory{}, err
	}
	if saved.Warning != "" {
		o.Log.Warn(saved.Warning)
	}
	world.Stamps = stamps
	return engine.Memory{Ceiling: saved.Ceiling, Received: saved.Received}, nil
}

// Apply makes all changes in c or, if it returns an error, none. It clones the
// keys in c, which the caller may erase afterwards. If the interface has a fault
// because its port is taken, a change to a free port clears the fault.
//
// Its errors are sentences for a user. Those about a change that is wrong in itself
// match conf.ErrInvalid (errors.Is). When the interface has ended, it returns
// ErrClosed.
func (w *Interface) Apply(c conf.Change) error {
	if err := key.Permitted(); err != nil { // Open may have been called without enforcement
		return err
	}
	faulty := w.engine.Fault() != ""
	if err := w.engine.Apply(c); err != nil {
		return err
	}
	if faulty && w.engine.Fault() == "" && w.engine.IsUp() {
		w.events.emit(Event{Kind: WentUp})
	}
	w.warnLowOrder(c.Peers)
	return nil
}

// ApplyBy is Apply on behalf of another process: other readers of the events learn
// from ConfigurationChanged what has changed, and by whom.
func (w *Interface) ApplyBy(by conf.Caller, c conf.Change) error {
	if err := w.Apply(c); err != nil {
		return err
	}
	if what := describe(&c); what != "" {
		w.events.emit(Event{Kind: ConfigurationChanged, Reason: what, By: by})
	}
	return nil
}

// warnLowOrder logs which new peers can never complete a handshake (A11).
func (w *Interface) warnLowOrder(peers []conf.PeerChange) {
	for i := range peers {
		if p := &peers[i]; !p.Remove && !p.UpdateOnly && p.PublicKey.LowOrder() {
			var name string
			if p.Name != nil {
				name = *p.Name
			}
			w.log.Warn("no handshake with this peer can succeed, because its public key is all zeros or of low order: give the public key of the other side",
				engine.LogPeer(name, p.PublicKey), "public key", p.PublicKey)
		}
	}
}

// Status returns the state of the interface at this moment. It contains clones
// of the keys: call its method Erase after use. When the interface has ended, it is
// the last state, without secret keys.
func (w *Interface) Status() conf.Status { return w.engine.Status() }

// Summary returns what the interface has done. It takes a tenth of the time of Status, if
// there are many peers.
func (w *Interface) Summary() conf.Summary { return w.engine.Summary() }

// Done returns a channel that is closed when the interface has ended, because
// of Close or because it was deleted.
func (w *Interface) Done() <-chan struct{} { return w.engine.Done() }

// Err waits until the interface has ended, and returns the reason: nil after
// Close, ErrInterfaceGone if it was deleted, or the error that ended it.
func (w *Interface) Err() error { return w.engine.Err() }

// Close ends the tunnel. It erases the keys, closes the sockets, and closes the
// Device or the TUN interface; the kernel deletes an interface that is not
// persistent. Close may be called several times, and returns nil.
func (w *Interface) Close() error {
	w.engine.Close()
	w.stop()
	return nil
}

// stop ends the goroutines that follow the kernel, and the iterations over
// events.
func (w *Interface) stop() {
	w.stopOnce.Do(func() {
		w.stopClock()
		if w.watch != nil {
			w.watch.Close()
		}
		w.watchers.Wait()
		if w.routes != nil {
			w.routes.Close() // after the goroutines that use it
		}
		w.events.end()
	})
}
