package serve

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

// A Server serves interfaces from one store.
type Server struct {
	store      store.Store
	lent       uint32 // seconds after which an interface returns a peer that it does not use
	log        *slog.Logger
	complaints complaints
	interfaces []*served
	records    records

	mu      sync.Mutex
	started time.Time
	lookups times
	failing time.Time // since when the store fails; zero: it works
	failure string
	failed  uint64 // look-ups
}

// New returns a Server of the interfaces with these names and daemons. An interface returns a
// peer that has had no session for the seconds of lent.
func New(s store.Store, lent uint32, log *slog.Logger, names []string, daemon func(name string) Daemon) *Server {
	server := &Server{store: s, lent: lent, log: log, started: time.Now(), complaints: complaints{log: log}}
	server.records.pending = map[key.Public]*store.Sighting{}
	for _, name := range names {
		server.interfaces = append(server.interfaces, newServed(server, name, daemon(name)))
	}
	return server
}

// Run serves until ctx ends. Then it records what it has.
func (s *Server) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, i := range s.interfaces {
		group.Go(func() { i.serve(ctx) })
	}
	group.Go(func() { s.watch(ctx) })
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
	s.changed(store.Changes{Lost: true}) // what was looked up before may be older
	for {
		for changes, err := range s.store.Watch(ctx, since) {
			if err != nil {
				s.storeFailed(fmt.Errorf("its changes cannot be read: %w", err))
				break
			}
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
	since := s.failing
	s.failing, s.failure = time.Time{}, ""
	s.mu.Unlock()
	if !since.IsZero() {
		s.log.Info(fmt.Sprintf("the store works again, after %v", time.Since(since).Round(time.Millisecond)))
	}
}

// storeFailed takes an error of the store.
func (s *Server) storeFailed(err error) {
	s.mu.Lock()
	if s.failing.IsZero() {
		s.failing = time.Now()
	}
	s.failure = err.Error()
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
