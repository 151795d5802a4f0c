package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/key"
)

// Where a peer was seen is written to the store, at most once a second, however many events
// there are. While the store fails it waits, and the end of the program writes what is left.
func TestRecord(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q := b.add(1), b.add(2)
		b.lend(p)
		b.lend(q)
		moved := func(n uint16, kind conf.EventKind) {
			b.daemon.current().events <- conf.Event{Kind: kind, Peer: p.PublicKey, Endpoint: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), n), Time: time.Now()}
		}
		seenAt := func() uint16 {
			now, err := b.store.Store.ByKey(t.Context(), p.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			return now.Seen.Endpoint.Port()
		}
		moved(1, conf.HandshakeDone)
		if took := b.until("it is recorded", func() bool { return seenAt() == 1 }); took > 2*recordPause {
			t.Errorf("it was recorded after %v", took)
		}
		before := b.store.records
		for n := range 1000 {
			moved(uint16(n+2), conf.EndpointMoved)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := b.store.records - before; n > 12 || seenAt() != 1001 {
			t.Errorf("%d writes in 10 seconds; the endpoint is %d", n, seenAt())
		}

		b.store.fail(errors.New("gone"))
		moved(2000, conf.EndpointMoved)
		time.Sleep(time.Minute)
		moved(2001, conf.EndpointMoved)
		time.Sleep(time.Minute)
		b.store.fail(nil)
		b.until("it is recorded", func() bool { return seenAt() == 2001 })

		moved(3000, conf.EndpointMoved)
		time.Sleep(time.Millisecond)
		b.stop()
		if seenAt() != 3000 {
			t.Errorf("at the end, the endpoint is %d", seenAt())
		}
		other, err := b.store.Store.ByKey(t.Context(), q.PublicKey)
		if err != nil || other.Seen.Endpoint.IsValid() {
			t.Errorf("another peer was seen: %+v, %v", other.Seen, err)
		}
	})
}

// Byte counts that the daemon gives are recorded once, also when it is read again, and
// when events were missed.
func TestRecordBytes(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		total := func() uint64 {
			now, err := b.store.Store.ByKey(t.Context(), p.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			return now.Seen.RxBytes
		}
		transfer := func(n uint64) {
			b.daemon.mu.Lock()
			defer b.daemon.mu.Unlock()
			s := b.daemon.peers[p.PublicKey]
			s.RxBytes, s.LastHandshake, s.Endpoint = n, time.Now(), netip.MustParseAddrPort("192.0.2.7:7")
			b.daemon.peers[p.PublicKey] = s
		}
		for _, n := range []uint64{1000, 1500} {
			transfer(n)
			b.daemon.current().events <- conf.Event{Kind: conf.EventsMissed}
			b.daemon.current().events <- conf.Event{Kind: conf.EventsMissed}
			time.Sleep(3 * rereadPause)
			if total() != n {
				t.Errorf("%d bytes are recorded, want %d", total(), n)
			}
		}
		b.daemon.stop()
		b.daemon.start()
		time.Sleep(time.Minute)
		b.lend(p)
		transfer(2000) // another daemon counts from 0
		b.daemon.current().events <- conf.Event{Kind: conf.EventsMissed}
		time.Sleep(3 * rereadPause)
		if total() != 3500 {
			t.Errorf("%d bytes are recorded, want 3500", total())
		}
	})
}

// A partialStore writes the first sightings of each list, and then fails.
type partialStore struct {
	store.Store
	limit int
	bytes map[key.Public]uint64
}

func (p *partialStore) Record(_ context.Context, list []store.Sighting) (written int, err error) {
	for _, s := range list[:min(p.limit, len(list))] {
		p.bytes[s.PublicKey] += s.RxBytes
	}
	if len(list) > p.limit {
		return p.limit, errors.New("gone")
	}
	return len(list), nil
}

// What a store has written before it failed is not written again.
func TestRecordPartly(t *testing.T) {
	const peers, limit = 10, 4
	p := &partialStore{limit: limit, bytes: map[key.Public]uint64{}}
	s := New(p, Options{Lent: 300}, slog.New(slog.DiscardHandler), nil, nil)
	for n := range peers {
		s.records.add(store.Sighting{PublicKey: key.Public{1, byte(n)}, RxBytes: 7})
	}
	for _, left := range []int{peers - limit, peers - 2*limit, 0} {
		s.write(t.Context(), time.Minute)
		if n := len(s.records.pending); n != left {
			t.Errorf("%d sightings wait, want %d", n, left)
		}
	}
	for public, n := range p.bytes {
		if n != 7 {
			t.Errorf("peer %v has %d bytes, want 7", public, n)
		}
	}
}

// What there is no room for is counted, and the report says how often.
func TestNoRoomForRecords(t *testing.T) {
	server := New(nil, Options{Lent: 300}, nil, []string{"wg0"}, func(string) Daemon { return newFakeDaemon() })
	for n := range maxUnrecorded + 3 {
		server.records.add(store.Sighting{PublicKey: key.Public{byte(n), byte(n >> 8), byte(n >> 16), 1}})
	}
	if r := server.reports()[0]; r.Unrecorded != maxUnrecorded || r.Lost != 3 {
		t.Errorf("%d wait, %d are lost", r.Unrecorded, r.Lost)
	}
}
