// Package wg opens WireGuard tunnels in a Go program.
//
// A tunnel is an Interface: Open makes it, Apply changes its configuration,
// Status says what it is, Events tells what becomes of it, Close ends it.
//
//	w, err := wg.Open(wg.Options{Name: "wg0"})
//	if err != nil { … }
//	defer w.Close()
//	err = w.Apply(conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{…}})
//
// With a Name it is an interface of this machine, which needs root or
// CAP_NET_ADMIN; its addresses, MTU and whether it is up are the kernel's (ip(8),
// wg-ifconfig(8)), and the tunnel follows. With a Device, for example package
// netstack's TCP/IP stack, it needs no privilege and is up at once.
package wg

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"

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

// DefaultMTU leaves room for the tunnel's headers, 80 bytes over IPv6, in 1,500
// (A46).
const DefaultMTU = 1420

// Options of Open.
type Options struct {
	// Name of the interface: up to 15 letters, digits and _=+.- (see
	// conf.ValidInterfaceName). A persistent TUN interface of that name which
	// nobody has open is taken over. For a Device only a label.
	Name string
	// Device in place of an interface of the kernel; nil: the kernel's. Open
	// takes it over: it is closed with the Interface, and when Open fails.
	Device Device
	// TUN is the descriptor of an interface that exists already; nil: make one.
	// Open takes it over, unless it is no TUN.
	TUN *os.File
	// MTU in bytes of an interface that Open makes; 0: DefaultMTU, or what
	// somebody has given the interface that is taken over.
	MTU int
	// StateDir has what must outlive a restart; "": /var/lib/wgd, or
	// without root $XDG_STATE_HOME/wgd. A Device without it remembers nothing.
	StateDir string
	// Log gets warnings, and with level debug more; nil: silence.
	Log *slog.Logger
	// Processors, if it is not nil, is told whenever all of Go's processors are
	// needed, and when one suffices again: less is spent with one. It is for
	// programs that do nothing else, which may call runtime.GOMAXPROCS, and for
	// one Interface in a process. All are needed at the beginning, and there is
	// one more than the process may use cores. That they are needed is said again
	// every 10 seconds, for a limit on the cores may have changed meanwhile: see
	// runtime.SetDefaultGOMAXPROCS.
	Processors func(all bool)
}

// Event is something that became of an interface.
type Event struct {
	Kind  EventKind
	Fault string // for Faulted: a sentence
}

// EventKind is what happened.
type EventKind int

// The kinds of Event.
const (
	WentUp   EventKind = iota + 1 // packets can flow
	WentDown                      // keys are erased, sockets closed
	Faulted                       // it is up but does not work, see Status.Fault
)

// String is a word for people and logs.
func (k EventKind) String() string {
	switch k {
	case WentUp:
		return "up"
	case WentDown:
		return "down"
	case Faulted:
		return "fault"
	}
	return "unknown"
}

// Interface is one running tunnel. Its methods may be called from anywhere.
type Interface struct {
	engine *engine.Engine
	log    *slog.Logger

	mu           sync.Mutex // guards events against its closing
	events       chan Event
	eventsClosed bool // events is closed

	stopOnce sync.Once
	watch    link.Watcher      // nil with a Device
	routes   link.RouteWatcher // nil with a Device
	watchers sync.WaitGroup

	onMTUChange func(mtu int) error // where there are super-packets; else nil
}

// ErrInterfaceGone is what Err returns when somebody else deleted the interface.
var ErrInterfaceGone = engine.ErrInterfaceGone

// Open makes an interface, or takes the Device, and runs a tunnel on it until
// Close. Errors are sentences.
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
		pair, err := udp.Listen(port, udp.Options{Mark: mark})
		if err != nil {
			return nil, err
		}
		logSmallBuffers(o.Log, pair)
		return pair, nil
	}
	return &Interface{
		engine: engine.Open(world, memory),
		log:    o.Log,
		events: make(chan Event, 16),
	}
}

// logSmallBuffers says what the kernel granted where that is less than was asked,
// as it is without CAP_NET_ADMIN.
func logSmallBuffers(log *slog.Logger, pair *udp.Pair) {
	for _, c := range pair.Groups() {
		caps := c.Caps()
		if caps.RecvBuffer < udp.BufferSize || caps.SendBuffer < udp.BufferSize {
			log.Info("the socket's buffers are smaller than asked: raise net.core.rmem_max and wmem_max, or run as root",
				"asked", udp.BufferSize, "receive", caps.RecvBuffer, "send", caps.SendBuffer)
		}
	}
}

// openDevice runs a tunnel on something that is not the kernel's: it has no
// state of its own, so it is up.
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
	w.emit(Event{Kind: WentUp})
	w.stopAtEnd()
	return w, nil
}

// stopAtEnd ends what runs beside the engine when that ends by itself.
func (w *Interface) stopAtEnd() {
	go func() {
		<-w.engine.Done()
		w.stop()
	}()
}

// openState opens the file of stamps (A20, A21). One that is damaged is a
// warning, not an error.
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

// Apply makes the whole change or, on an error, nothing of it. It also cures a
// fault: with a listen port that is free the interface begins to work.
func (w *Interface) Apply(c conf.Change) error {
	if err := key.Permitted(); err != nil { // though it was, where Open was called
		return err
	}
	faulty := w.engine.Fault() != ""
	if err := w.engine.Apply(c); err != nil {
		return err
	}
	if faulty && w.engine.Fault() == "" && w.engine.IsUp() {
		w.emit(Event{Kind: WentUp})
	}
	w.warnLowOrder(c.Peers)
	return nil
}

// warnLowOrder says which of the new peers can never be reached (A11).
func (w *Interface) warnLowOrder(peers []conf.PeerChange) {
	for i := range peers {
		if p := &peers[i]; !p.Remove && !p.UpdateOnly && p.PublicKey.LowOrder() {
			var name string
			if p.Name != nil {
				name = *p.Name
			}
			w.log.Warn("no handshake with this peer can succeed: its public key is of low order, or all zeros: give it the key of the other side",
				engine.LogPeer(name, p.PublicKey), "public key", p.PublicKey)
		}
	}
}

// Status is the interface at this moment.
func (w *Interface) Status() conf.Status { return w.engine.Status() }

// Events gives what becomes of the interface, and is closed when it has ended.
// Who does not read in time misses the older ones.
func (w *Interface) Events() <-chan Event { return w.events }

// Done is closed when the interface has ended, by Close or by its deletion.
func (w *Interface) Done() <-chan struct{} { return w.engine.Done() }

// Err waits for the end and says why: nil after Close.
func (w *Interface) Err() error { return w.engine.Err() }

// Close ends the tunnel: keys are erased, sockets closed, and an interface that
// Open made is removed.
func (w *Interface) Close() error {
	w.engine.Close()
	w.stop()
	return nil
}

// stop ends what runs beside the engine.
func (w *Interface) stop() {
	w.stopOnce.Do(func() {
		if w.watch != nil {
			w.watch.Close()
		}
		w.watchers.Wait()
		if w.routes != nil {
			w.routes.Close() // nobody asks it any more
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.eventsClosed = true
		close(w.events)
	})
}

// emit keeps the newest events: a reader that sleeps blocks nobody.
func (w *Interface) emit(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.eventsClosed {
		return
	}
	select {
	case w.events <- e:
		return
	default:
	}
	select {
	case <-w.events:
	default:
	}
	w.events <- e // nobody else sends
}
