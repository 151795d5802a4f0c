package serve

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// A Server serves interfaces from one store.
type Server struct {
	store      store.Store
	options    Options
	clock      stampClock
	log        *slog.Logger
	complaints complaints
	interfaces []*served
	records    records

	mu      sync.Mutex
	started time.Time
	lookups times
	failing time.Time // since when the store fails; zero: it works
	last    time.Time // when it failed last
	told    time.Time // when it was logged last that it works again
	failure string
	failed  uint64        // look-ups
	behind  time.Duration // the clock of this computer, behind that of another gateway
}

// Options say how a Server serves.
type Options struct {
	Lent      uint32 // seconds without a session after which an interface returns a peer
	LentLimit uint32 // how many peers an interface has at most; 0: any number
	Routes    Routes // where the allowed IPs of the peers of interfaces are announced; nil: nowhere
}

// New returns a Server of the interfaces with these names and daemons.
func New(s store.Store, o Options, log *slog.Logger, names []string, daemon func(name string) Daemon) *Server {
	server := &Server{store: s, options: o, clock: stampClock{now: time.Now}, log: log, started: time.Now(), complaints: complaints{log: log}}
	server.records.pending = map[key.Public]*store.Sighting{}
	for _, name := range names {
		server.interfaces = append(server.interfaces, newServed(server, name, daemon(name)))
	}
	return server
}

// garbage is how much memory that is used no more the process may keep, in percent of what is
// used. Go's 100 would take a third more memory with 100,000 peers; collecting more often takes
// little time, because peers change seldom.
const garbage = 40

// Run serves until ctx ends. Then it records what it has.
func (s *Server) Run(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	var group sync.WaitGroup
	for _, i := range s.interfaces {
		group.Go(func() { i.serve(ctx) })
	}
	group.Go(func() { s.watch(ctx) })
	group.Go(func() { s.keepCeiling(ctx) })
	group.Go(func() { s.probe(ctx) })
	recorded := make(chan struct{})
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(recorded)
		s.recordAll(recording)
	}()
	group.Wait()
	stop()
	<-recorded
}

// watchPause is the time between two attempts to watch the store.
const watchPause = time.Second

// probePause is how long a store that fails is not used before it is probed.
const probePause = 3 * time.Second

// watch has the changes of the store applied to the interfaces. What changes while the
// store cannot be watched is reported afterwards: the watch begins where it ended.
func (s *Server) watch(ctx context.Context) {
	since, err := s.store.Revision(ctx)
	for err != nil {
		s.storeFailed(err)
		if !sleep(ctx, watchPause) {
			return
		}
		since, err = s.store.Revision(ctx)
	}
	s.storeWorks()
	s.changed(store.Changes{Lost: true}) // what was looked up before may be older
	for {
		for changes, err := range s.store.Watch(ctx, since) {
			if err != nil {
				s.storeFailed(fmt.Errorf("its changes cannot be read: %w", err))
				break
			}
			s.storeWorks()
			since = changes.Revision
			s.changed(changes)
		}
		if !sleep(ctx, watchPause) {
			return
		}
	}
}

func (s *Server) changed(c store.Changes) {
	for _, i := range s.interfaces {
		i.changed(c.Keys, c.Lost)
	}
}

// lookedUp takes how a look-up has gone.
func (s *Server) lookedUp(took time.Duration, reason refusalReason, err error) {
	if reason == storeFails {
		s.mu.Lock()
		s.failed++
		s.mu.Unlock()
		s.storeFailed(err)
		return
	}
	s.mu.Lock()
	s.lookups.add(took)
	s.mu.Unlock()
	s.storeWorks()
}

// storeWorks takes a use of the store that did not fail.
func (s *Server) storeWorks() {
	s.mu.Lock()
	since := s.failing
	s.failing, s.failure = time.Time{}, ""
	tell := !since.IsZero() && time.Since(s.told) >= complaintPause // it may work in part
	if tell {
		s.told = time.Now()
	}
	s.mu.Unlock()
	if tell {
		s.log.Info(fmt.Sprintf("the store works again, after %v", time.Since(since).Round(time.Millisecond)))
	}
}

// probe uses a store that has failed and is not used any more, until ctx ends, because nobody
// else finds out that it works.
func (s *Server) probe(ctx context.Context) {
	for sleep(ctx, probePause) {
		s.mu.Lock()
		due := !s.failing.IsZero() && time.Since(s.last) >= probePause
		s.mu.Unlock()
		if !due {
			continue
		}
		if _, err := s.store.Revision(ctx); err == nil {
			s.storeWorks()
		}
	}
}

// storeFailed takes an error of the store.
func (s *Server) storeFailed(err error) {
	s.mu.Lock()
	if s.failing.IsZero() {
		s.failing = time.Now()
	}
	s.failure, s.last = err.Error(), time.Now()
	s.mu.Unlock()
	s.complaints.add("store", "the store fails: peers that are in an interface go on, and others are refused until it works: "+err.Error())
}

// complaintPause is the time between two complaints of one kind.
const complaintPause = 10 * time.Second

// complaints are messages of which there may be many, of each kind one in some seconds.
type complaints struct {
	log  *slog.Logger
	mu   sync.Mutex
	kind map[string]*complaint
}

type complaint struct {
	last  time.Time
	quiet int // how many were not logged since
}

func (c *complaints) add(kind, sentence string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == nil {
		c.kind = map[string]*complaint{}
	}
	k := c.kind[kind]
	if k == nil {
		k = &complaint{}
		c.kind[kind] = k
	}
	if now := time.Now(); now.Sub(k.last) >= complaintPause {
		if k.quiet > 0 {
			sentence += fmt.Sprintf(" (and %d more like this since the last message)", k.quiet)
		}
		k.last, k.quiet = now, 0
		c.log.Warn(sentence)
		return
	}
	k.quiet++
}
