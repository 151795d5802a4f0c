package serve

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

const (
	recordPause   = time.Second // between two batches of what was seen
	maxRecords    = 5000        // peers in a batch
	maxUnrecorded = 1 << 18     // peers whose sightings wait while the store fails
	recordTime    = 10 * time.Second
	lastRecording = 5 * time.Second // at the end
)

// records are what was seen of peers, and is not in the store yet.
type records struct {
	mu      sync.Mutex
	pending map[key.Public]*store.Sighting
	lost    uint64 // sightings for which there was no room
}

// add merges a sighting with what is known of its peer.
func (r *records) add(s store.Sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pending[s.PublicKey]
	switch {
	case p == nil && len(r.pending) >= maxUnrecorded:
		r.lost++
	case p == nil:
		r.pending[s.PublicKey] = &s
	default:
		merge(p, &s)
	}
}

// merge adds a sighting to one of the same peer.
func merge(to, s *store.Sighting) {
	if s.Endpoint.IsValid() && (!to.Endpoint.IsValid() || !s.At.Before(to.At)) {
		to.Endpoint = s.Endpoint
	}
	if s.At.After(to.At) {
		to.At = s.At
	}
	if bytes.Compare(s.Stamp[:], to.Stamp[:]) > 0 {
		to.Stamp = s.Stamp
	}
	to.RxBytes += s.RxBytes
	to.TxBytes += s.TxBytes
}

// take returns up to n sightings, which are pending no more.
func (r *records) take(n int) (list []store.Sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, s := range r.pending {
		if len(list) == n {
			return list
		}
		list = append(list, *s)
		delete(r.pending, k)
	}
	r.pending = map[key.Public]*store.Sighting{} // a map keeps the size that it had
	return list
}

// recordAll writes what was seen, at most once a second, until ctx ends; then what is left.
func (s *Server) recordAll(ctx context.Context) {
	for sleep(ctx, recordPause) {
		s.write(ctx, recordTime)
	}
	s.write(context.WithoutCancel(ctx), lastRecording)
}

// write writes what is pending. What cannot be written stays pending.
func (s *Server) write(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for list := s.records.take(maxRecords); len(list) > 0; list = s.records.take(maxRecords) {
		written, err := s.store.Record(ctx, list)
		if err == nil {
			s.storeWorks()
			continue
		}
		list = list[written:]
		s.storeFailed(err)
		for i := range list {
			s.records.add(list[i])
		}
		s.complaints.add("record", fmt.Sprintf("what was seen of %d peers cannot be written, and waits: %v", len(list), err))
		return
	}
}
