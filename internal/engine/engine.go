package engine

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/index"
	"wgd/internal/lanes"
	"wgd/internal/resolve/follow"
	"wgd/internal/sys/link"
	"wgd/internal/sys/pages"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/key"
)

var (
	// ErrClosed is returned by every call on a closed engine.
	ErrClosed = errors.New("the interface is closed")
	// ErrInterfaceGone is the reason an engine ends when another program
	// deletes its interface (A62).
	ErrInterfaceGone = errors.New("the interface was deleted")
)

// Memory is what the previous process knew about initiation timestamps (A20,
// A21).
type Memory struct {
	Ceiling  wire.TAI64N
	Received map[key.Public]wire.TAI64N
}

// An Engine is one running interface. Its methods are safe for concurrent use.
type Engine struct {
	world      World
	name       string // of the interface when the engine started
	shared     *dataplane.Shared
	drops      *dataplane.Drops
	counted    *dataplane.Counters
	inbox      *inbox
	workers    *workers
	stamps     *stampWriter
	lanes      *lanes.Runner
	handshakes *handshakeLog
	outcomes   outcomes
	started    time.Time
	routes     *routes
	names      *follow.Follower
	unknown    *unknown.Table
	found      atomic.Bool // names has endpoints for the machine

	mu      sync.Mutex // guards machine, up and fault
	machine *core.Machine
	up      bool
	fault   string // why the interface does not work although it is up

	admissionMu sync.Mutex // guards admission
	admission   driver.Admission

	unread unread

	// applying is held while the configuration or the state of the interface
	// changes, so that a change to both machine and sockets is one step.
	// Readers do not wait for it. It is locked before mu.
	applying sync.Mutex
	sockets  socketsInUse // changed under applying only

	// Used by coreLoop only.
	sender     *sender
	flusher    *dataplane.Encapsulator
	dropReport dropReport
	flushing   *dataplane.SealJob
	outputs    []core.Output

	running sync.WaitGroup
	closing chan struct{}
	closed  atomic.Bool
	done    chan struct{}
	err     error // set before done is closed
}

// Open starts an engine in world. The interface is down until Up is called.
func Open(world World, memory Memory) *Engine {
	if world.Log == nil {
		world.Log = slog.New(slog.DiscardHandler)
	}
	idx := index.New()
	e := &Engine{
		world:      world,
		name:       world.TUN.Name(),
		started:    world.Clock().Wall,
		inbox:      newInbox(),
		handshakes: &handshakeLog{log: world.Log},
		drops:      &dataplane.Drops{},
		counted:    &dataplane.Counters{},
		admission: driver.Admission{
			Gate: cookie.NewGate(key.Public{}, world.Rand), Index: idx, Capacity: driver.Capacity,
		},
		unknown: unknown.New(),
		stamps:  startStamps(world.Stamps, world.Clock, world.Log),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	e.unknown.CountDrops = func(n int) { e.drops.Add(dataplane.DropNoPeer, n) }
	e.names = follow.Start(follow.Options{
		Now: func() clock.Time { return world.Clock().Mono }, Random: world.Rand, Files: world.Names, Changed: e.namesChanged,
	})
	e.names.Pause() // until the interface is up
	e.machine = core.New(core.Options{
		Rand:     world.Rand,
		Index:    idx,
		Ceiling:  memory.Ceiling,
		Received: memory.Received,
		Unknown:  e.unknown,
		Resolver: e.names,
	})
	e.lanes = lanes.New(world.Lanes, world.Clock, world.Log, &e.running)
	e.shared = &dataplane.Shared{
		Notes:    (*notes)(e),
		Offloads: world.TUN.Offloads,
		Routes:   e.machine.Routes(),
		Index:    idx,
		Drops:    e.drops,
		Counters: e.counted,
		Buffer:   pages.For[dataplane.SealJob],
		Unknown:  e.unknown,
	}
	e.routes = newRoutes(world.Routes, e.machine.Common(), world.Clock, &e.shared.Port)
	e.routes.sweep.inUse, e.routes.sweep.changed = e.peersInUse, e.rerouted
	if mtu, err := world.TUN.MTU(); err == nil {
		e.SetMTU(mtu)
	}
	e.sender = e.newSender()
	e.flusher = dataplane.NewEncapsulator(e.shared, world.TUN.NewWriter(), e.sender)
	e.flushing = e.flusher.NewJob()
	e.workers = startWorkers(&e.running, e.inbox.putFinished)
	e.running.Go(func() { e.lanes.Govern(e.closing) })
	e.running.Go(e.coreLoop)
	e.running.Go(func() { e.routes.run(e.closing) })
	e.running.Go(e.tunReader)
	return e
}

// Up opens the sockets and lets the machine send (A61). If the port is not
// available, the interface is up but does not work: Fault says why. Setting a
// listen port, or Down and Up, tries again.
func (e *Engine) Up() error {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.closed.Load() {
		return ErrClosed
	}
	if e.IsUp() {
		return nil
	}
	st := e.settings()
	sockets, err := e.world.Listen(st.port, st.mark)
	if err != nil {
		e.setState(true, err.Error())
		return err
	}
	e.useSockets(sockets)
	return nil
}

// Down stops the timers, erases the keys, drops staged packets and closes the
// sockets (A61).
func (e *Engine) Down() {
	e.applying.Lock()
	defer e.applying.Unlock()
	if !e.IsUp() {
		return
	}
	e.mu.Lock()
	e.machine.Down(e.world.Clock())
	e.up, e.fault = false, ""
	staged := driver.Quench((*effects)(e), e.machine)
	e.mu.Unlock()
	e.closeSockets() // first: closing a socket ends a send that waits for buffer space
	e.purge(staged)
}

// IsUp reports whether the interface is up, with or without a fault.
func (e *Engine) IsUp() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.up
}

func (e *Engine) setState(up bool, fault string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.up, e.fault = up, fault
}

// Fault returns why the interface does not work although it is up, or "".
func (e *Engine) Fault() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fault
}

// SetMTU records the MTU of the interface, in bytes.
func (e *Engine) SetMTU(mtu int) { e.shared.MTU.Store(int32(mtu)) }

// Close ends the engine: it erases the keys and closes the sockets and the
// interface. It returns when all goroutines of the engine have ended.
func (e *Engine) Close() {
	e.end(nil)
	<-e.done
}

// InterfaceGone ends the engine because another program deleted the interface
// (A62). It does not wait for the end.
func (e *Engine) InterfaceGone() { go e.end(ErrInterfaceGone) }

// Done returns a channel that is closed when the engine has ended; Err then
// says why.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err waits for the end of the engine. It returns nil after Close, and
// otherwise the reason for the end.
func (e *Engine) Err() error {
	<-e.done
	return e.err
}

// withMachine runs f under the machine's lock, then wakes coreLoop for the
// outputs.
func (e *Engine) withMachine(f func(now clock.Now)) {
	e.mu.Lock()
	f(e.world.Clock())
	e.mu.Unlock()
	e.inbox.ring()
}

// useSockets makes s the sockets of the interface, starts reading them, and lets
// the machine send if it did not yet.
func (e *Engine) useSockets(s Sockets) {
	old := e.sockets.set(s)
	if port := uint32(s.Port()); e.shared.Port.Swap(port) != port {
		e.routes.changed(link.AllIPv4, link.AllIPv6) // rules may name the port
	}
	for _, g := range s.Groups() {
		e.running.Go(func() { e.socketReader(g) })
	}
	e.withMachine(func(now clock.Now) {
		e.up, e.fault = true, ""
		e.machine.SetListenPort(s.Port())
		e.machine.Up(now)
	})
	if old != nil {
		old.Close()
	}
}

func (e *Engine) closeSockets() {
	if s := e.sockets.set(nil); s != nil {
		s.Close()
	}
}
