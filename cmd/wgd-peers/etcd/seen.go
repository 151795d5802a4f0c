package etcd

import (
	"context"
	"slices"

	"wgd/cmd/wgd-peers/store"
)

// sightingsAtOnce is how many sightings are written in one transaction: each of them takes
// up to three operations, of maxOps.
const sightingsAtOnce = 40

// Record writes what was seen of peers, of some after the others.
func (c *Cluster) Record(ctx context.Context, sightings []store.Sighting) (written int, err error) {
	for chunk := range slices.Chunk(sightings, sightingsAtOnce) {
		if err := c.recordChunk(ctx, chunk); err != nil {
			return written, err
		}
		written += len(chunk)
	}
	return written, nil
}

// recordChunk writes sightings in one transaction.
func (c *Cluster) recordChunk(ctx context.Context, sightings []store.Sighting) error {
	sums := map[string]*seenRecord{}
	var names []string
	for i := range sightings {
		s := &sightings[i]
		seen := seenOf(&store.Seen{Endpoint: s.Endpoint, At: s.At, Stamp: s.Stamp, RxBytes: s.RxBytes, TxBytes: s.TxBytes})
		if seen == nil {
			continue
		}
		name := encodeKey(s.PublicKey)
		if sums[name] == nil {
			names = append(names, name)
		}
		sums[name] = sums[name].merge(seen)
	}
	if len(names) == 0 {
		return nil
	}
	return c.record(ctx, names, sums)
}

// record adds what was seen of some peers to what the store has.
func (c *Cluster) record(ctx context.Context, names []string, sums map[string]*seenRecord) error {
	return c.change(ctx, func() (*transaction, error) {
		list, _, err := c.entries(ctx, names)
		if err != nil {
			return nil, err
		}
		t := &transaction{proof: c.prefix + "schema"} // if there is nothing to write
		for _, e := range list {
			if e.exists() {
				c.composeSum(t, e, e.seen.merge(sums[e.public]))
			}
		}
		return t, nil
	})
}

// composeSum adds to a transaction that so much was seen of a peer in all.
func (c *Cluster) composeSum(t *transaction, e *entry, sum *seenRecord) {
	peer, seen := c.prefix+peersKeys+e.public, c.prefix+seenKeys+e.public
	t.expect(peer, e.revision)
	t.expect(seen, e.seenRev)
	t.proof, t.proves = seen, encode(sum)
	t.put(seen, t.proves)
	before, now := c.seenAt(e.seen, e.public), c.seenAt(sum, e.public)
	if before == now {
		return
	}
	if before != "" {
		t.remove(before)
	}
	t.put(now, "")
}
