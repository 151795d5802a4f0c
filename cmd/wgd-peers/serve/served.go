package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/key"
)

const (
	// redialPause is the time between two attempts to reach a daemon.
	redialPause = time.Second
	// rereadPause is the least time between two readings of all peers.
	rereadPause = 10 * time.Second
)

// served is an interface that is served. It stays when its daemon ends, and goes on with
// the next one.
type served struct {
	server *Server
	name   string
	daemon Daemon
	reread chan struct{} // has an element if all peers are to be read

	mu        sync.Mutex
	tasks     tasks
	held      map[key.Public]*held
	byHand    map[key.Public]bool // peers that were not lent, as far as known: they are not changed
	gone      map[key.Public]bool // peers that were returned while all are read
	pass      uint32
	run       string // of the daemon
	connected time.Time
	calls     calls
	changes   changes
	announced *announced // nil: no routes are announced
	refused   recentRefusals
	figures   figures
}

func newServed(s *Server, name string, d Daemon) *served {
	i := &served{server: s, name: name, daemon: d, reread: make(chan struct{}, 1), held: map[key.Public]*held{}, calls: newCalls(), figures: newFigures()}
	i.tasks = newTasks(&i.mu)
	if s.options.Routes != nil {
		i.announced = &announced{peers: map[route]uint16{}, changed: map[route]struct{}{}, failed: map[route]struct{}{}, wake: make(chan struct{}, 1)}
	}
	return i
}

// serve serves the interface until ctx ends.
func (s *served) serve(ctx context.Context) {
	var group sync.WaitGroup
	for range lookUps {
		group.Go(func() { s.lookUpAll(ctx) })
	}
	group.Go(func() { s.answerAll(ctx) })
	if s.announced != nil {
		group.Go(func() { s.announceAll(ctx) })
	}
	for known := ""; ; {
		err := s.follow(ctx)
		s.mu.Lock()
		s.connected = time.Time{}
		s.mu.Unlock()
		if ctx.Err() != nil {
			break
		}
		if text := strings.TrimPrefix(fmt.Sprint(err), s.name+": "); text != known {
			s.server.log.Warn(fmt.Sprintf("%s: %s: waiting until it works", s.name, text))
			known = text
		}
		if !sleep(ctx, redialPause) {
			break
		}
	}
	group.Wait()
}

// sleep waits, and returns false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow serves one run of the daemon, and returns why it has ended.
func (s *served) follow(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer end(nil)
	for e, err := range s.daemon.Events(ctx) {
		switch {
		case err != nil && context.Cause(ctx) != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case e.Kind == conf.EventsBegin:
			s.begin(e.Run)
			group.Go(func() { s.readAll(ctx, end) })
			group.Go(func() { end(s.wants(ctx)) })
		case e.Kind == conf.EventsMissed:
			s.requestRead()
			s.announced.compareAll() // it may be down and up again since
		case e.Kind == conf.ConfigurationChanged && e.By.PID != os.Getpid():
			s.requestRead()
		case e.Kind == conf.WentUp: // without routes
			s.announced.compareAll()
		default:
			s.event(&e)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return errEnded
}

var errEnded = fmt.Errorf("the daemon has ended")

// wants takes the wants of the interface until the daemon ends.
func (s *served) wants(ctx context.Context) error {
	for w, err := range s.daemon.Wants(ctx) {
		if err != nil {
			return err
		}
		s.want(&w)
	}
	return errEnded
}

func (s *served) requestRead() {
	select {
	case s.reread <- struct{}{}:
	default:
	}
}

// readAll reads all peers now, and again when something was missed.
func (s *served) readAll(ctx context.Context, end context.CancelCauseFunc) {
	for first := true; ; first = false {
		var err error
		if first {
			err = s.limit(ctx)
		}
		if err == nil {
			err = s.read(ctx, first)
		}
		if err != nil {
			end(err)
			return
		}
		if first {
			s.mu.Lock()
			s.connected = time.Now()
			lent, others := len(s.held), len(s.byHand)
			s.mu.Unlock()
			s.announced.compareAll()
			s.server.log.Info(fmt.Sprintf("%s: the daemon works: it has %d peers that this program manages, and %d others", s.name, lent, others))
		}
		if !sleep(ctx, rereadPause) {
			return
		}
		select {
		case <-s.reread:
		case <-ctx.Done():
			return
		}
	}
}

// limit tells the daemon how many peers it may be lent.
func (s *served) limit(ctx context.Context) error {
	err := s.daemon.Apply(ctx, conf.Change{LentLimit: &s.server.options.LentLimit})
	var refused *uapi.Error
	if errors.As(err, &refused) { // an older daemon
		s.server.complaints.add("limit", fmt.Sprintf("%s: the daemon does not limit how many peers it has: %v", s.name, err))
		return nil
	}
	return err
}

// changed looks up again those of some peers that the interface has or asks for. all means
// every peer, also those that were refused just before.
func (s *served) changed(keys []key.Public, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.add(keys, all)
	if all {
		keys = make([]key.Public, 0, len(s.held))
		for k := range s.held {
			keys = append(keys, k)
		}
		s.refused.age(time.Now())
		for _, refused := range []map[key.Public]struct{}{s.refused.keys, s.refused.older} {
			keys = slices.AppendSeq(keys, maps.Keys(refused))
		}
		for subject, t := range s.tasks.all {
			if !subject.key.IsZero() {
				t.again = true
			}
		}
		s.tasks.compare(keys)
		return
	}
	for _, k := range keys {
		if about := (subject{key: k}); s.held[k] != nil || s.tasks.all[about] != nil || s.refused.has(k) {
			s.tasks.renew(about)
		}
	}
}
