package etcd

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
	"wgd/key"
)

// watching collects the keys that a watch reports.
type watching struct {
	mutex sync.Mutex
	keys  map[key.Public]bool
	lost  int
}

func watch(t *testing.T, s store.Store) *watching {
	t.Helper()
	since, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{keys: map[key.Public]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c, err := range s.Watch(ctx, since) {
			if err != nil {
				t.Error(err)
				return
			}
			w.mutex.Lock()
			for _, public := range c.Keys {
				w.keys[public] = true
			}
			if c.Lost {
				w.lost++
			}
			w.mutex.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return w
}

// within waits until the peers were reported, and returns how long that took.
func (w *watching) within(t *testing.T, limit time.Duration, numbers ...int) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		w.mutex.Lock()
		missing := 0
		for _, n := range numbers {
			if !w.keys[storetest.Numbered(n).PublicKey] {
				missing++
			}
		}
		w.mutex.Unlock()
		if missing == 0 {
			return time.Since(begin)
		}
		if time.Since(begin) > limit {
			t.Fatalf("after %v, the watch has not reported %d of %d peers", limit, missing, len(numbers))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// While the leader is killed, and then comes back, no write is lost and none is made twice,
// and those who watch see all of them.
func TestLeaderIsKilled(t *testing.T) {
	c := newCluster(t, plain)
	address := c.address()
	writer, reader := c.open(t, address), c.open(t, address)
	if err := writer.SetGateway(t.Context(), &store.Gateway{Addresses: storetest.Prefixes("10.0.0.1/16")}); err != nil {
		t.Fatal(err)
	}
	w := watch(t, reader)
	const rounds, each = 2, 40
	n := 0
	var slowest time.Duration
	for range rounds {
		leader := c.leader()
		killed := make(chan struct{})
		for i := range each {
			if i == each/4 {
				go func() { defer close(killed); c.stop(leader) }()
			}
			p := storetest.Numbered(n)
			p.AllowedIPs = nil
			begin := time.Now()
			if err := writer.Add(t.Context(), p, storetest.Prefixes("10.0.0.0/16")); err != nil {
				t.Fatalf("peer %d: %v", n, err)
			}
			slowest = max(slowest, time.Since(begin))
			sighting := store.Sighting{PublicKey: p.PublicKey, Endpoint: storetest.EndpointOf(n), At: time.Now(), RxBytes: 100}
			if _, err := writer.Record(t.Context(), []store.Sighting{sighting}); err != nil {
				t.Fatalf("peer %d: %v", n, err)
			}
			n++
		}
		<-killed
		c.start(leader)
	}
	var all []int
	for i := range n {
		all = append(all, i)
	}
	w.within(t, 10*time.Second, all...)
	if w.lost > 0 {
		t.Errorf("the watch lost changes %d times", w.lost)
	}
	addresses, count := map[netip.Prefix]bool{}, 0
	for p, err := range reader.All(t.Context()) {
		if err != nil || p.Problem != "" || p.Seen.RxBytes != 100 || len(p.AllowedIPs) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		addresses[p.AllowedIPs[0]] = true
		count++
	}
	if count != n || len(addresses) != n {
		t.Errorf("%d peers with %d addresses, want %d", count, len(addresses), n)
	}
	t.Logf("the slowest of %d writes took %v", n, slowest.Round(time.Millisecond))
}

// Without etcd, every call returns within some seconds, with an error that names the
// members. When it is back, the store works again, and so does a watch.
func TestWithoutCluster(t *testing.T) {
	c := newCluster(t, plain)
	s := c.open(t, c.address())
	storetest.Add(t, s, storetest.Numbered(0))
	w := watch(t, s)
	c.stop(0, 1, 2)
	var wg sync.WaitGroup
	for name, call := range calls(s) {
		wg.Go(func() {
			begin := time.Now()
			err := call(t.Context())
			took := time.Since(begin)
			if took > 9*time.Second || err == nil || !strings.Contains(err.Error(), c.endpoints()[0]) || !strings.Contains(err.Error(), "there was no answer within 6s") {
				t.Errorf("%s: after %v: %v", name, took, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	begin := time.Now()
	if _, err := s.Revision(ctx); !errors.Is(err, context.Canceled) || time.Since(begin) > time.Second {
		t.Errorf("interrupted: %v after %v", err, time.Since(begin))
	}
	wg.Wait()
	c.start(0, 1, 2)
	begin = time.Now()
	for s.Add(t.Context(), storetest.Numbered(1), nil) != nil {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("20 s after the members are back, the store does not work")
		}
	}
	w.within(t, 10*time.Second, 1)
	t.Logf("writes and the watch work again after %v", time.Since(begin).Round(time.Millisecond))
}

// calls are all methods of a store.
func calls(s store.Store) map[string]func(ctx context.Context) error {
	p := storetest.Numbered(0)
	return map[string]func(ctx context.Context) error{
		"ByKey":      func(ctx context.Context) error { _, err := s.ByKey(ctx, p.PublicKey); return err },
		"ByName":     func(ctx context.Context) error { _, err := s.ByName(ctx, p.Name); return err },
		"ByAddress":  func(ctx context.Context) error { _, err := s.ByAddress(ctx, p.AllowedIPs[1].Addr()); return err },
		"ByEndpoint": func(ctx context.Context) error { _, err := s.ByEndpoint(ctx, p.Seen.Endpoint); return err },
		"All": func(ctx context.Context) (err error) {
			for _, err = range s.All(ctx) {
			}
			return err
		},
		"Add": func(ctx context.Context) error {
			return s.Add(ctx, storetest.Numbered(5), storetest.Prefixes("10.5.0.0/16"))
		},
		"Update": func(ctx context.Context) error {
			return s.Update(ctx, p.PublicKey, func(*store.Peer) error { return nil })
		},
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, p.PublicKey) },
		"Import": func(ctx context.Context) error {
			_, _, err := s.Import(ctx, storetest.NumberedPeers(10), true, func(*store.Peer, error) {})
			return err
		},
		"Revision": func(ctx context.Context) error { _, err := s.Revision(ctx); return err },
		"Record": func(ctx context.Context) error {
			_, err := s.Record(ctx, []store.Sighting{{PublicKey: p.PublicKey, RxBytes: 1}})
			return err
		},
		"Gateway":    func(ctx context.Context) error { _, err := s.Gateway(ctx); return err },
		"SetGateway": func(ctx context.Context) error { return s.SetGateway(ctx, new(store.Gateway)) },
	}
}

// A pipe passes a connection on to a member. When it is frozen, nothing passes any more, as
// from a computer that was switched off.
type pipe struct {
	address string
	gate    sync.RWMutex // locked: frozen

	withhold string       // when this was sent to the member, answers are withheld for a while
	answers  sync.RWMutex // locked: they are

	awaited []byte // what answers of the member are searched for
	found   int    // in how many of them it was

	mutex       sync.Mutex
	connections []net.Conn
}

// cut ends all connections.
func (p *pipe) cut() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, c := range p.connections {
		c.Close()
	}
	p.connections = nil
}

func newPipe(t *testing.T, to string) *pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{address: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			p.mutex.Lock()
			p.connections = append(p.connections, in, out)
			p.mutex.Unlock()
			go p.copy(out, in, new(sync.RWMutex), false)
			go p.copy(in, out, &p.answers, true)
		}
	}()
	return p
}

func (p *pipe) copy(to io.WriteCloser, from io.ReadCloser, gate *sync.RWMutex, isAnswer bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mutex.Lock()
		if p.withhold != "" && bytes.Contains(buffer[:n], []byte(p.withhold)) {
			p.withhold = ""
			p.answers.Lock()
			time.AfterFunc(2500*time.Millisecond, p.answers.Unlock)
		}
		if isAnswer && len(p.awaited) > 0 && bytes.Contains(buffer[:n], p.awaited) {
			p.found++
		}
		p.mutex.Unlock()
		p.gate.RLock() // which waits as long as the pipe is frozen
		gate.RLock()
		_, err = to.Write(buffer[:n])
		gate.RUnlock()
		p.gate.RUnlock()
		if err != nil {
			return
		}
	}
}

// until waits for a condition, which is called with the mutex.
func (p *pipe) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		p.mutex.Lock()
		ok := condition()
		p.mutex.Unlock()
		if ok {
			return
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("after 30 s, %s", what)
		}
	}
}

// untilKnown waits until who watches through the pipe was told twice that it has seen
// everything up to a revision; so it has taken the first answer.
func (p *pipe) untilKnown(t *testing.T, revision store.Revision) {
	t.Helper()
	p.mutex.Lock()
	// In the header of an answer, between the tags of revision and raft_term.
	p.awaited, p.found = append(binary.AppendUvarint([]byte{3 << 3}, uint64(revision)), 4<<3), 0
	p.mutex.Unlock()
	p.until(t, fmt.Sprintf("the watch does not know revision %d", revision), func() bool { return p.found >= 2 })
}

// A member that does not answer any more, although its connections stay, stops neither
// look-ups nor a watch for longer than some seconds.
func TestMemberIsSilent(t *testing.T) {
	c := newCluster(t, plain)
	var pipes []*pipe
	var addresses []string
	for _, to := range c.endpoints() {
		p := newPipe(t, to)
		pipes, addresses = append(pipes, p), append(addresses, p.address)
	}
	address := c.address()
	direct := c.open(t, address)
	s := c.open(t, "//"+strings.Join(addresses, ",")+strings.TrimSuffix(prefixOf(address), "/"))
	w := watch(t, s)
	storetest.Add(t, direct, storetest.Numbered(0))
	w.within(t, 5*time.Second, 0)
	for i, p := range pipes {
		p.gate.Lock()
		storetest.Add(t, direct, storetest.Numbered(i+1))
		took := w.within(t, 10*time.Second, i+1)
		begin := time.Now()
		for range 5 {
			if _, err := s.ByKey(t.Context(), storetest.Numbered(0).PublicKey); err != nil {
				t.Errorf("member %d is silent: %v", i, err)
			}
		}
		t.Logf("member %d is silent: a change was seen after %v; 5 look-ups took %v", i, took.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
		p.gate.Unlock()
	}
}

// A write whose answer was lost is sent again. It is not made twice, and is no conflict.
func TestAnswersAreLost(t *testing.T) {
	c := sharedCluster(t)
	p := newPipe(t, c.endpoints()[0])
	s := c.open(t, "//"+p.address+strings.TrimSuffix(prefixOf(c.address()), "/"))
	for what, call := range map[string]func() error{
		`"name":"peer0"`: func() error { return s.Add(t.Context(), storetest.Numbered(0), nil) },
		`"rx_bytes":7`: func() error {
			_, err := s.Record(t.Context(), []store.Sighting{{PublicKey: storetest.Numbered(1).PublicKey, RxBytes: 7}})
			return err
		},
	} {
		if what != `"name":"peer0"` {
			storetest.Add(t, s, storetest.Numbered(1))
		}
		p.mutex.Lock()
		p.withhold = what
		p.mutex.Unlock()
		begin := time.Now()
		if err := call(); err != nil || time.Since(begin) < 2*time.Second {
			t.Errorf("%s: %v after %v", what, err, time.Since(begin))
		}
	}
	if got, err := s.ByKey(t.Context(), storetest.Numbered(1).PublicKey); err != nil || got.Seen.RxBytes != 7 {
		t.Errorf("%+v, %v, want 7 bytes", got, err)
	}
}

// A watch from a revision that was compacted is told that changes are lost, and goes on from
// there. One that has seen everything does not notice a compaction, even if it is connected
// again later.
func TestCompaction(t *testing.T) {
	c := newCluster(t, plain)
	p := newPipe(t, c.endpoints()[0])
	address := c.address()
	s, indirect := c.open(t, address), c.open(t, "//"+p.address+strings.TrimSuffix(prefixOf(address), "/"))
	old, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, indirect)
	storetest.Add(t, s, storetest.Numbered(0), storetest.Numbered(1))
	w.within(t, 5*time.Second, 0, 1)
	k := c.foreign(t)
	for i := range 20 { // of others, so that the revision of the last change is compacted
		put(t, k, "/others", fmt.Sprint(i))
	}
	current, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Compact(t.Context(), int64(current)); err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(s.Watch(t.Context(), old))
	defer stop()
	if changes, err, _ := next(); err != nil || !changes.Lost || changes.Revision != current {
		t.Errorf("from a revision that was compacted: %+v, %v; the revision is %d", changes, err, current)
	}
	storetest.Add(t, s, storetest.Numbered(2))
	if changes, err, _ := next(); err != nil || !slices.Equal(changes.Keys, []key.Public{storetest.Numbered(2).PublicKey}) {
		t.Errorf("after that: %+v, %v", changes, err)
	}
	w.within(t, 5*time.Second, 2)
	for i := range 20 {
		put(t, k, "/others", fmt.Sprint(i))
	}
	if current, err = s.Revision(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.untilKnown(t, current)
	if _, err := k.Compact(t.Context(), int64(current)); err != nil {
		t.Fatal(err)
	}
	p.cut()
	storetest.Add(t, s, storetest.Numbered(3))
	w.within(t, 10*time.Second, 3)
	for i := range 20 {
		put(t, k, "/others", fmt.Sprint(i))
	}
	if current, err = s.Revision(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.untilKnown(t, current)
	if _, err := k.Compact(t.Context(), int64(current)); err != nil {
		t.Fatal(err)
	}
	p.gate.Lock()
	known := 0
	p.until(t, "the watch has not given the silent connection up", func() bool {
		if known == 0 {
			known = len(p.connections)
		}
		return len(p.connections) > known
	})
	p.gate.Unlock()
	storetest.Add(t, s, storetest.Numbered(4))
	w.within(t, 10*time.Second, 4)
	if w.lost > 0 {
		t.Errorf("the watch that has seen everything lost changes %d times", w.lost)
	}
}

// Many changes at once arrive in a few reports.
func TestChangesAreBatched(t *testing.T) {
	c := sharedCluster(t)
	s := c.open(t, c.address())
	since, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	for i := range n {
		storetest.Add(t, s, &store.Peer{PublicKey: storetest.Numbered(i).PublicKey})
	}
	reports, keys := 0, 0
	for changes, err := range s.Watch(t.Context(), since) {
		if err != nil || changes.Lost {
			t.Fatal(changes, err)
		}
		reports++
		if keys += len(changes.Keys); keys == n {
			break
		}
	}
	if reports > n/10 {
		t.Errorf("%d changes arrived in %d reports", n, reports)
	}
}
