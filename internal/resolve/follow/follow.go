// Package follow looks up the names of endpoints for a daemon, again and again,
// without making anything wait: it runs a names.Machine with a dns.Client.
//
// One goroutine watches the time. Each lookup has a goroutine of its own, and the
// machine limits how many there are. No method waits for a lookup (A63).
package follow

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"wgd/internal/clock"
	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/names"
	"wgd/key"
)

// Options say how to follow names.
type Options struct {
	Now    func() clock.Time
	Random io.Reader
	Files  dns.Files // where the computer's configuration is; none: dns.System

	// Changed is called when NextUse or NextReport has something to return. It is called without
	// locks, by goroutines of the Follower, and must not wait.
	Changed func()
}

// A Follower follows the names of all peers of an interface. Any goroutine may call
// its methods.
type Follower struct {
	options Options
	client  *dns.Client
	wake    chan struct{} // has room for one
	end     context.CancelFunc
	running sync.WaitGroup // run, and lookups

	mu      sync.Mutex
	machine *names.Machine
	all     context.Context // of everything
	now     context.Context // of lookups on the network as it is now
	cancel  context.CancelFunc
}

// Start returns a Follower, which runs until Close.
func Start(o Options) *Follower {
	if o.Files == (dns.Files{}) {
		o.Files = dns.System
	}
	f := &Follower{options: o, client: dns.New(o.Files), wake: make(chan struct{}, 1), machine: names.New(o.Random)}
	f.all, f.end = context.WithCancel(context.Background())
	f.now, f.cancel = context.WithCancel(f.all)
	f.running.Go(f.run)
	return f
}

// Close ends all lookups and waits for that.
func (f *Follower) Close() {
	f.end()
	f.running.Wait()
}

// SetMark sets the firewall mark of all questions to come (A53).
func (f *Follower) SetMark(mark uint32) { f.client.SetMark(mark) }

// Set makes a peer follow a name: see names.Machine.
func (f *Follower) Set(id key.Public, name string, port uint16, current netip.AddrPort) {
	f.with(func(m *names.Machine, now clock.Time) { m.Set(now, id, name, port, current) })
}

// Remove makes a peer follow no name.
func (f *Follower) Remove(id key.Public) {
	f.with(func(m *names.Machine, _ clock.Time) { m.Remove(id) })
}

// Silent says that nothing has come back from a peer for 10 s.
func (f *Follower) Silent(id key.Public) {
	f.with(func(m *names.Machine, now clock.Time) { m.Silent(now, id) })
}

// Unanswered says that a handshake got no answer. It returns the endpoint for the
// next one, if that is another one.
func (f *Follower) Unanswered(id key.Public) (to netip.AddrPort, ok bool) {
	f.with(func(m *names.Machine, now clock.Time) { to, ok = m.Unanswered(now, id) })
	return to, ok
}

// Refused says that nothing can be sent to a peer's endpoint. It returns the endpoint
// to try at once.
func (f *Follower) Refused(id key.Public) (to netip.AddrPort, ok bool) {
	f.with(func(m *names.Machine, now clock.Time) { to, ok = m.Refused(now, id) })
	return to, ok
}

// Heard says where a peer was heard from.
func (f *Follower) Heard(id key.Public, from netip.AddrPort) {
	f.with(func(m *names.Machine, _ clock.Time) { m.Heard(id, from) })
}

// NetworkChanged says that addresses, routes or name servers have changed, or that
// the computer was asleep. It ends lookups that may be waiting for a server of the
// network before.
func (f *Follower) NetworkChanged() {
	f.with(func(m *names.Machine, now clock.Time) {
		m.NetworkChanged(now)
		f.cancel()
		f.now, f.cancel = context.WithCancel(f.all)
	})
}

// Pause says that the interface is down: each name is looked up once, and then not until
// Resume.
func (f *Follower) Pause() {
	f.with(func(m *names.Machine, _ clock.Time) { m.Pause() })
}

// Resume says that the interface is up.
func (f *Follower) Resume() {
	f.with(func(m *names.Machine, now clock.Time) { m.Resume(now) })
}

// NextUse returns a peer that has another endpoint, once for each. If its caller
// holds a lock that calls of Unanswered and Refused hold as well, what they return is
// in order.
func (f *Follower) NextUse() (names.Use, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machine.NextUse()
}

// NextReport returns whether lookups fail, once for each change.
func (f *Follower) NextReport() (names.Report, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machine.NextReport()
}

// Status returns what is known about the name of a peer, if it follows one.
func (f *Follower) Status(id key.Public) (names.Status, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machine.Status(id)
}

// with calls a function of the machine, and lets run see to what follows from it.
func (f *Follower) with(call func(*names.Machine, clock.Time)) {
	f.mu.Lock()
	call(f.machine, f.options.Now())
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// run begins lookups when they are due.
func (f *Follower) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-f.all.Done():
			return
		case <-f.wake:
		case <-timer.C:
		}
		wait, changed := f.step()
		if changed {
			f.options.Changed()
		}
		timer.Reset(wait)
	}
}

// step begins the lookups that are due. It returns how long until the next, and
// whether there is something for the user.
func (f *Follower) step() (wait time.Duration, changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.options.Now()
	for name, ok := f.machine.NextAsk(now); ok; name, ok = f.machine.NextAsk(now) {
		ctx := f.now
		f.running.Go(func() { f.lookUp(ctx, name) })
	}
	// A timer does not run while the computer sleeps: NetworkChanged follows then.
	return min(f.machine.NextTimeout().Sub(now), time.Hour), f.machine.HasNews()
}

// lookUp looks up one name.
func (f *Follower) lookUp(ctx context.Context, name string) {
	answer, err := f.client.Lookup(ctx, name)
	if f.all.Err() != nil {
		return
	}
	f.with(func(m *names.Machine, now clock.Time) {
		if err == nil {
			m.Answered(now, name, names.Answer(answer))
			return
		}
		var failure *dns.Error
		errors.As(err, &failure) // Lookup returns no other errors
		m.Failed(now, name, failure.TTL, failure.Error())
	})
}
