package metrics

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/control"
)

const (
	// An answer of the daemons is used again for this long at least, and for
	// restFactor times as long as it took, up to maxAge. So scrapes take a small part
	// of the daemons' time, however often they come.
	minAge     = time.Second
	maxAge     = 10 * time.Second
	restFactor = 20

	// readTimeout is how long an interface may take to answer.
	readTimeout = 5 * time.Second
)

// A cache keeps the last value that was read.
type cache[T any] struct {
	mu         sync.Mutex // held while the value is read, so that it is read once for all who wait
	value      T
	validUntil time.Time
}

// get returns the value, which read reads if the last one is too old.
func (c *cache[T]) get(read func() T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := time.Now()
	if begun.Before(c.validUntil) {
		return c.value
	}
	c.value = read()
	ended := time.Now()
	c.validUntil = ended.Add(min(max(minAge, restFactor*ended.Sub(begun)), maxAge))
	return c.value
}

// A reading is what was read of one interface.
type reading[T any] struct {
	name  string
	value T
	err   error
}

// A figure is what is told of one peer.
type figure struct {
	iface, name    string
	public         string
	rx, tx         uint64
	handshake      time.Time
	recentlyActive bool
}

// A source reads all interfaces.
type source struct {
	report  func(string)
	timeout time.Duration // readTimeout, except in tests
	summary cache[[]reading[conf.Summary]]
	figures cache[[]reading[[]figure]]

	mu       sync.Mutex
	reported map[subject]string // the last error
}

// A subject is what is read of an interface. Old daemons answer one and refuse the other,
// so an error of one does not end when the other can be read.
type subject struct {
	iface string
	what  string // "summary" or "peers"
}

func newSource(report func(string)) *source {
	return &source{report: report, timeout: readTimeout, reported: map[subject]string{}}
}

// summaries returns the summary of each interface.
func (s *source) summaries() []reading[conf.Summary] {
	return s.summary.get(func() []reading[conf.Summary] {
		return readAll(s, "summary", func(c *control.Client) (conf.Summary, error) { return c.Summary() })
	})
}

// readAll reads all interfaces that are running, all at the same time.
func readAll[T any](s *source, what string, read func(*control.Client) (T, error)) []reading[T] {
	names, err := control.Names()
	if err != nil {
		s.note(subject{"", what}, err)
		return nil
	}
	list := make([]reading[T], len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { list[i] = readOne(name, s.timeout, read) })
	}
	group.Wait()
	list = slices.DeleteFunc(list, func(r reading[T]) bool { return errors.Is(r.err, control.ErrNotRunning) }) // it has ended meanwhile
	for _, r := range list {
		s.note(subject{r.name, what}, r.err)
	}
	return list
}

// readOne reads an interface, and waits no longer than limit.
func readOne[T any](name string, limit time.Duration, read func(*control.Client) (T, error)) reading[T] {
	result := make(chan reading[T], 1)
	stop := make(chan struct{})
	go func() {
		r := reading[T]{name: name}
		client, err := control.Dial(name)
		if err != nil {
			r.err = err
			result <- r
			return
		}
		done := make(chan struct{})
		go func() {
			select {
			case <-stop:
			case <-done:
			}
			client.Close()
		}()
		r.value, r.err = read(client)
		close(done)
		result <- r
	}()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case r := <-result:
		return r
	case <-timeout.C:
		close(stop)
		return reading[T]{name: name, err: fmt.Errorf("%s: the daemon does not answer within %v: see its log", name, limit)}
	}
}

// note reports an error if it is another one than the last. The sentence begins with the
// interface, which that of a daemon does not name.
func (s *source) note(about subject, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.reported, about)
		return
	}
	text := err.Error()
	if s.reported[about] == text {
		return
	}
	s.reported[about] = text
	if prefix := about.iface + ": "; about.iface != "" && !strings.HasPrefix(text, prefix) {
		text = prefix + text
	}
	s.report(text)
}

// named returns those readings that are of the interface that a query names, or all.
func named[T any](list []reading[T], q query) ([]reading[T], error) {
	if q.name == "" {
		return list, nil
	}
	for i := range list {
		if list[i].name == q.name {
			return list[i : i+1], nil
		}
	}
	return nil, fmt.Errorf("%s: no such interface is running: wgd status shows which are", q.name)
}

// peers returns the figures that a query asks for, and the interfaces that were read.
func (s *source) peers(q query) (list []figure, from []reading[[]figure], err error) {
	if from, err = named(s.allFigures(), q); err != nil {
		return nil, nil, err
	}
	for _, r := range from {
		if q.name != "" && r.err != nil {
			return nil, nil, r.err
		}
		for _, f := range r.value {
			if q.peer == "" || f.name == q.peer || f.public == q.peer {
				list = append(list, f)
			}
		}
	}
	if q.top == 0 {
		if len(list) == 0 {
			err = errors.New("no interface that can be read has such a peer: wgd status shows their names")
		}
		return list, from, err
	}
	slices.SortFunc(list, func(a, b figure) int {
		return cmp.Or(cmp.Compare(b.rx+b.tx, a.rx+a.tx), cmp.Compare(a.iface, b.iface), cmp.Compare(a.name, b.name))
	})
	return list[:min(q.top, len(list))], from, nil
}

// allFigures returns the figures of all peers. Keys are erased as soon as they are read.
func (s *source) allFigures() []reading[[]figure] {
	return s.figures.get(func() []reading[[]figure] {
		return readAll(s, "peers", func(c *control.Client) ([]figure, error) {
			status, err := c.Status()
			if err != nil {
				return nil, err
			}
			defer status.Erase()
			return figures(&status, time.Now()), nil
		})
	})
}

// sessionTime is how long a session lasts after its handshake (A36).
const sessionTime = 180 * time.Second

func figures(status *conf.Status, now time.Time) []figure {
	list := make([]figure, len(status.Peers))
	for i, name := range show.Names(status.Peers) {
		p := &status.Peers[i]
		list[i] = figure{
			iface: status.Name, name: name, public: p.PublicKey.Base64(), rx: p.RxBytes, tx: p.TxBytes, handshake: p.LastHandshake,
			recentlyActive: !p.LastHandshake.IsZero() && now.Sub(p.LastHandshake) < sessionTime,
		}
	}
	return list
}
