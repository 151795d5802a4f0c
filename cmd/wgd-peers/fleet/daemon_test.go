package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/internal/unknown"
	"wgd/internal/wire"
)

var errDown = errors.New("the daemon does not run")

// A socket is the control socket of a gateway, as one process of serve uses it.
type socket struct {
	g    *gateway
	gone chan struct{} // is closed when that process is killed
}

// running returns the run of the daemon, or nil if it does not run or the caller was killed.
func (s *socket) running() *run {
	select {
	case <-s.gone:
		return nil
	default:
		return s.g.run
	}
}

// A run is a daemon, from its start to its end.
type run struct {
	name    string
	ended   chan struct{}
	events  *eventLog
	unknown *unknown.Table
}

// lockedRun is running for callers that do not hold mu.
func (s *socket) lockedRun() *run {
	s.g.w.mu.Lock()
	defer s.g.w.mu.Unlock()
	return s.running()
}

func (s *socket) Wants(ctx context.Context) iter.Seq2[conf.Want, error] {
	return func(yield func(conf.Want, error) bool) {
		r := s.lockedRun()
		if r == nil {
			yield(conf.Want{}, errDown)
			return
		}
		subscriber := r.unknown.Subscribe()
		defer r.unknown.Unsubscribe(subscriber)
		for w, ok := (conf.Want{Kind: conf.WantsBegin}), true; ok; {
			read, err := transfer(func(b *bufio.Writer) error { return uapi.WriteWant(b, &w) }, (*uapi.Reader).Want)
			if !yield(read, err) || err != nil {
				return
			}
			w, ok = subscriber.Next(ctx)
		}
	}
}

// transfer writes what one side says, and reads it as the other side does.
func transfer[T any](write func(*bufio.Writer) error, read func(*uapi.Reader) (T, error)) (T, error) {
	var text bytes.Buffer
	b := bufio.NewWriter(&text)
	if err := errors.Join(write(b), b.Flush()); err != nil {
		var none T
		return none, err
	}
	return read(uapi.NewReader(&text))
}

func (s *socket) Events(ctx context.Context) iter.Seq2[conf.Event, error] {
	return func(yield func(conf.Event, error) bool) {
		r := s.lockedRun()
		if r == nil {
			yield(conf.Event{}, errDown)
			return
		}
		seq := r.events.latest()
		e := conf.Event{Kind: conf.EventsBegin, Seq: seq, Time: time.Now().Round(0), Run: r.name}
		for more := (chan struct{})(nil); ; {
			if more == nil {
				read, err := transfer(func(b *bufio.Writer) error { return uapi.WriteEvent(b, &e) }, (*uapi.Reader).Event)
				if !yield(read, err) || err != nil {
					return
				}
			} else {
				select {
				case <-more:
				case <-ctx.Done():
					return
				case <-r.ended:
					yield(conf.Event{}, errDown)
					return
				}
			}
			if e, more = r.events.after(seq); more == nil {
				seq = e.Seq
			}
		}
	}
}

// keptEvents is how many events an eventLog keeps.
const keptEvents = 1024

// An eventLog keeps the newest events of a run.
type eventLog struct {
	mu   sync.Mutex
	kept [keptEvents]conf.Event
	last uint64
	more chan struct{} // is closed at the next event
}

func newEventLog() *eventLog { return &eventLog{more: make(chan struct{})} }

func (l *eventLog) add(e conf.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e.Seq = l.last
	l.kept[l.last%keptEvents] = e
	close(l.more)
	l.more = make(chan struct{})
}

func (l *eventLog) latest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// after returns the event after a number, or a channel that is closed when there is one.
func (l *eventLog) after(seq uint64) (conf.Event, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case seq == l.last:
		return conf.Event{}, l.more
	case l.last-seq > keptEvents:
		return conf.Event{Kind: conf.EventsMissed, Seq: l.last - keptEvents, Missed: l.last - keptEvents - seq, Time: time.Now().Round(0)}, nil
	}
	return l.kept[(seq+1)%keptEvents], nil
}

// readTime is how long it takes to read all peers.
const readTime = 50 * time.Millisecond

func (s *socket) EachPeer(ctx context.Context, f func(*conf.PeerStatus)) error {
	w := s.g.w
	w.mu.Lock()
	if s.running() == nil {
		w.mu.Unlock()
		return errDown
	}
	w.catchUp()
	status := s.g.host.Machine.Status(s.g.host.Time())
	w.mu.Unlock()
	select {
	case <-time.After(readTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := transfer(func(b *bufio.Writer) error { return uapi.WriteStatus(b, &status) },
		func(r *uapi.Reader) (struct{}, error) { return struct{}{}, r.EachPeer(f) })
	return err
}

func (s *socket) Apply(ctx context.Context, c conf.Change) error {
	if !s.wait(ctx) {
		return errDown
	}
	request, err := s.request(func(b *bufio.Writer) error { return uapi.WriteChange(b, &c) })
	if err != nil {
		return err
	}
	defer request.Change.Erase()
	w := s.g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.running() == nil {
		return errDown
	}
	w.catchUp()
	defer w.ring()
	if floor := request.Change.StampFloor; floor != nil { // see link.skew
		*floor = shift(*floor, s.g.host.Wall)
	}
	if err := s.g.host.Lend(request.Change); err != nil {
		return &uapi.Error{Errno: uapi.EINVAL, Sentence: err.Error()}
	}
	if s.g.breaks > 0 && s.g.dice.Float64() < s.g.breaks {
		return errBroken
	}
	return nil
}

// shift returns the stamp that is d later, or earlier if that is negative.
func shift(stamp conf.Stamp, d time.Duration) conf.Stamp {
	const earlier = 10 // seconds, more than any clock is wrong
	binary.BigEndian.PutUint64(stamp[:], binary.BigEndian.Uint64(stamp[:])-earlier)
	return conf.Stamp(wire.TAI64N(stamp).Add(earlier*time.Second + d))
}

var errBroken = errors.New("broken pipe")

// wait is the time of a request.
func (s *socket) wait(ctx context.Context) bool {
	select {
	case <-time.After(time.Millisecond):
		return true
	case <-ctx.Done():
	case <-s.gone:
	}
	return false
}

// request writes a request, and reads it as the daemon does.
func (s *socket) request(write func(*bufio.Writer) error) (uapi.Request, error) {
	var text bytes.Buffer
	if err := write(bufio.NewWriter(&text)); err != nil {
		return uapi.Request{}, err
	}
	return uapi.NewDecoder(&text).Next()
}

func (s *socket) Refuse(ctx context.Context, r conf.Refusal) error {
	if !s.wait(ctx) {
		return errDown
	}
	request, err := s.request(func(b *bufio.Writer) error { return uapi.WriteRefusal(b, &r) })
	if err != nil {
		return err
	}
	w := s.g.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.running() == nil {
		return errDown
	}
	w.catchUp()
	s.g.host.Unknown.Refuse(s.g.host.Time().Mono, *request.Refuse)
	return nil
}
