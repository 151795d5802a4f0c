package engine

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/index"
	"wgd/internal/wire"
	"wgd/key"
)

var (
	// ErrClosed answers every call on an engine that was closed.
	ErrClosed = errors.New("the interface is closed")
	// ErrInterfaceGone is why an engine ended whose interface was deleted by
	// somebody else (A62).
	ErrInterfaceGone = errors.New("the interface was deleted")
)

// Memory is what the last process knew of initiation timestamps (A20, A21).
type Memory struct {
	Ceiling  wire.TAI64N
	Received map[key.Public]wire.TAI64N
}

// Engine is one running interface. Its methods may be called from anywhere.
type Engine struct {
	world   World
	shared  *dataplane.Shared
	drops   *dataplane.Drops
	outlet  *outlet
	inbox   *inbox
	workers *workers
	stamps  *stampWriter

	mu      sync.Mutex // guards machine
	machine *core.Machine

	gateMu sync.Mutex // guards gate
	gate   *cookie.Gate

	// applying is held while the configuration or the state of the interface
	// changes, so that what needs both machine and sockets is one step.
	applying sync.Mutex
	up       bool
	sockets  Sockets // nil while down, or when they could not be opened
	fault    string  // why they could not

	// coreLoop's own.
	flusher *dataplane.Encapsulator
	outputs []core.Output

	running sync.WaitGroup
	closing chan struct{}
	closed  atomic.Bool
	done    chan struct{}
	err     error // set before done is closed
}

// Open starts an engine on world. The interface is down: call Up.
func Open(world World, memory Memory) *Engine {
	if world.Log == nil {
		world.Log = slog.New(slog.DiscardHandler)
	}
	idx := index.New()
	machine := core.New(core.Options{
		Rand:     world.Rand,
		Index:    idx,
		Ceiling:  memory.Ceiling,
		Received: memory.Received,
	})
	e := &Engine{
		world:   world,
		machine: machine,
		outlet:  &outlet{},
		inbox:   newInbox(),
		drops:   &dataplane.Drops{},
		gate:    cookie.NewGate(key.Public{}, world.Rand),
		stamps:  newStampWriter(world.Stamps),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	e.shared = &dataplane.Shared{
		TUN:      world.TUN,
		UDP:      e.outlet,
		Offloads: world.Offloads,
		Routes:   machine.Routes(),
		Index:    idx,
		Drops:    e.drops,
	}
	e.flusher = dataplane.NewEncapsulator(e.shared, e.inbox)
	e.workers = startWorkers(&e.running, e.inbox.putFinished)
	e.running.Add(3)
	go e.coreLoop()
	go e.tunReader()
	go func() {
		defer e.running.Done()
		e.stamps.run(world.Clock, e.complain, e.closing)
	}()
	return e
}

func (e *Engine) complain(err error) {
	e.world.Log.Warn("handshake timestamps are not saved; after a crash, peers may refuse us until the clock has caught up", "err", err)
}

// Up opens the sockets and lets the machine speak (A61). When the port cannot
// be had, the interface is up and does not work: the fault says why, and the
// next listen port, or down and up, tries again.
func (e *Engine) Up() error {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.closed.Load() {
		return ErrClosed
	}
	if e.up {
		return nil
	}
	e.up = true
	st := e.settings()
	sockets, err := e.world.Listen(st.port, st.mark)
	if err != nil {
		e.fault = err.Error()
		return err
	}
	e.adopt(sockets)
	return nil
}

// Down stops timers, erases keys, purges what is staged, closes the sockets
// (A61).
func (e *Engine) Down() {
	e.applying.Lock()
	defer e.applying.Unlock()
	if !e.up {
		return
	}
	e.up = false
	e.fault = ""
	e.withMachine(func(now clock.Now) { e.machine.Down(now) })
	e.abandon()
}

// SetMTU follows the interface's MTU, in bytes.
func (e *Engine) SetMTU(mtu int) { e.shared.MTU.Store(int32(mtu)) }

// Close ends the engine: keys are erased, the sockets and the interface closed.
// It returns when nothing of it runs any more.
func (e *Engine) Close() {
	e.end(nil)
	<-e.done
}

// InterfaceGone ends the engine, without waiting for the end, because somebody
// deleted the interface (A62).
func (e *Engine) InterfaceGone() { go e.end(ErrInterfaceGone) }

// Done is closed when the engine has ended; Err says why then.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err is nil after Close, and otherwise the reason for the end.
func (e *Engine) Err() error {
	<-e.done
	return e.err
}

// end does Close's work once; whoever comes first gives the reason.
func (e *Engine) end(reason error) {
	if !e.closed.CompareAndSwap(false, true) {
		return
	}
	e.Down()
	close(e.closing)
	e.workers.close()
	e.world.TUN.Close()
	e.inbox.ring()
	e.running.Wait()
	e.mu.Lock()
	e.machine.Close()
	last := e.machine.LastStamp()
	e.mu.Unlock()
	if err := e.stamps.stamps.Close(last); err != nil {
		e.complain(err)
	}
	e.err = reason
	close(e.done)
}

// withMachine runs f under the machine's lock, and has coreLoop carry out what
// follows from it.
func (e *Engine) withMachine(f func(now clock.Now)) {
	e.mu.Lock()
	f(e.world.Clock())
	e.mu.Unlock()
	e.inbox.ring()
}

// adopt makes s the sockets of the interface, starts to read them, and lets the
// machine speak if it did not yet.
func (e *Engine) adopt(s Sockets) {
	old := e.sockets
	e.sockets, e.fault = s, ""
	e.outlet.set(s)
	e.shared.Port.Store(uint32(s.Port()))
	for _, c := range s.Conns() {
		e.running.Add(1)
		go e.socketReader(c)
	}
	e.withMachine(func(now clock.Now) {
		e.machine.SetListenPort(s.Port())
		e.machine.Up(now)
	})
	if old != nil {
		old.Close()
	}
}

func (e *Engine) abandon() {
	e.outlet.set(nil)
	if e.sockets != nil {
		e.sockets.Close()
		e.sockets = nil
	}
}

// passGate asks the gate about an initiation or response, and sends the cookie
// reply where that is the answer (A6).
func (e *Engine) passGate(from wire.Endpoint, msg []byte) bool {
	var reply [wire.CookieReplySize]byte
	waiting := e.inbox.waiting()
	now := e.world.Clock().Mono
	e.gateMu.Lock()
	verdict, answer := e.gate.Admit(now, from.Remote, msg, waiting, queueCapacity)
	n := copy(reply[:], answer)
	e.gateMu.Unlock()
	switch verdict {
	case cookie.Admit:
		return true
	case cookie.Reply:
		e.sendHandshake(from, reply[:n])
	case cookie.DropRate:
		e.drops.Add(dataplane.DropRate, 1)
	case cookie.DropFull:
		e.drops.Add(dataplane.DropQueueFull, 1)
	default:
		e.drops.Add(dataplane.DropMAC1, 1)
	}
	return false
}
