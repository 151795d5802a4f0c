package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"wgd/cmd/wgd-peers/store"
)

// A draft is a change of one peer, before it is a transaction.
type draft struct {
	before *entry      // as it is
	after  *record     // nil: remove it
	seen   *seenRecord // of a peer that is new
	sum    *seenRecord // what replaces the record of what was seen of a peer that exists, or nil
	label  string      // of the peer, for messages

	successor *entry // of this entry, which the same transaction removes; or nil
	settled   bool   // the record is valid in any case, also if others have what it claims

	transaction *transaction
	refusal     error  // why another peer has what this one would need
	contested   string // the key of that
}

// draft prepares transactions that change peers and their claims together. It reads the
// claims of all drafts at once.
func (c *Cluster) draft(ctx context.Context, drafts []*draft) ([]*draft, error) {
	var keys []string
	for _, d := range drafts {
		for _, old := range c.oldClaims(d) {
			keys = append(keys, old.key)
		}
		for _, needed := range c.claims(d.after, d.before.public) {
			keys = append(keys, needed.key)
		}
	}
	found := map[string]*mvccpb.KeyValue{}
	if len(keys) > 0 {
		var err error
		if found, _, err = c.get(ctx, keys, 0); err != nil {
			return nil, err
		}
	}
	holders, err := c.holders(ctx, drafts, found)
	if err != nil {
		return nil, err
	}
	for _, d := range drafts {
		c.compose(d, found, holders)
	}
	return drafts, nil
}

// oldClaims are the claims that the peer of a draft may have now.
func (c *Cluster) oldClaims(d *draft) []claim {
	if d.before.written == nil {
		return nil
	}
	return append(c.claims(d.before.written, d.before.public), c.claims(d.before.written.Before, d.before.public)...)
}

// holders reads the other peers to which claims lead that the drafts need.
func (c *Cluster) holders(ctx context.Context, drafts []*draft, found map[string]*mvccpb.KeyValue) (map[string]*entry, error) {
	holders := map[string]*entry{}
	var names []string
	for _, d := range drafts {
		for _, needed := range c.claims(d.after, d.before.public) {
			if kv := found[needed.key]; kv != nil && string(kv.Value) != needed.value && holders[string(kv.Value)] == nil {
				holders[string(kv.Value)] = new(entry)
				names = append(names, string(kv.Value))
			}
		}
	}
	list, _, err := c.entries(ctx, names)
	for _, e := range list {
		holders[e.public] = e
	}
	return holders, err
}

// compose makes the transaction of a draft, or its refusal.
func (c *Cluster) compose(d *draft, found map[string]*mvccpb.KeyValue, holders map[string]*entry) {
	t := new(transaction)
	d.transaction, d.refusal = t, nil
	public := d.before.public
	peer := c.prefix + peersKeys + public
	t.expect(peer, d.before.revision)
	needs := map[string]bool{}
	for _, needed := range c.claims(d.after, public) {
		needs[needed.key] = true
		kv := found[needed.key]
		switch {
		case kv == nil:
			t.expect(needed.key, 0)
			t.put(needed.key, needed.value)
		case string(kv.Value) == needed.value: // it has this claim already
		default:
			holder := holders[string(kv.Value)]
			if d.successor == nil || holder.public != d.successor.public {
				if d.settled {
					continue
				}
				if d.refusal = c.refuseClaim(d, needed, holder); d.refusal != nil {
					d.contested = needed.key
					return
				}
				t.expect(c.prefix+peersKeys+holder.public, holder.revision)
			}
			t.expect(needed.key, kv.ModRevision)
			t.put(needed.key, needed.value)
		}
	}
	removed := map[string]bool{}
	for _, old := range c.oldClaims(d) {
		// An import that is not complete leaves what is valid until then.
		keep := needs[old.key] || removed[old.key] || d.after != nil && c.has(d.after.Before, public, old.key)
		if kv := found[old.key]; !keep && kv != nil && string(kv.Value) == old.value {
			removed[old.key] = true
			t.remove(old.key)
		}
	}
	c.composeSeen(d)
	t.proof, t.proves = peer, ""
	if d.after == nil {
		t.remove(peer)
		return
	}
	t.proves = encode(d.after)
	t.put(peer, t.proves)
}

// composeSeen adds what was seen of a peer that is new, and removes that of one that is
// removed, or was removed with etcdctl.
func (c *Cluster) composeSeen(d *draft) {
	if d.after != nil && d.before.exists() {
		if d.sum != nil {
			c.composeSum(d.transaction, d.before, d.sum)
		}
		return
	}
	t, public := d.transaction, d.before.public
	at := c.seenAt(d.seen, public)
	if old := c.seenAt(d.before.seen, public); old != "" && old != at {
		t.remove(old)
	}
	switch {
	case d.seen != nil:
		t.put(c.prefix+seenKeys+public, encode(d.seen))
		if at != "" {
			t.put(at, "")
		}
	case d.before.seenRev != 0:
		t.remove(c.prefix + seenKeys + public)
	}
}

// refuseClaim returns a Refusal if the holder of a claim has a right to it. If not, it was
// removed with etcdctl, or by an import that was given up.
func (c *Cluster) refuseClaim(d *draft, needed claim, holder *entry) error {
	abandoned := holder.written != nil && holder.written.Import != "" && !holder.running && holder.valid != holder.written
	switch {
	case holder.revision == 0:
		return nil
	case holder.written == nil: // nobody knows what it has
	case c.has(holder.valid, holder.public, needed.key):
	case c.has(holder.written, holder.public, needed.key) && !abandoned:
		if holder.running && holder.written.Import != d.after.Import {
			return store.Refusef("peer %s: %s: an import that is not complete has it: try again when it is done", d.label, needed.what)
		}
	default:
		return nil
	}
	if needed.key == c.prefix+namesKeys+d.after.Name {
		return store.Refusef("peer %s: the store has another peer with this name: choose another name", d.label)
	}
	return store.Refusef("peer %s: %s: peer %s has it: give one that is free", d.label, needed.what, holder.label())
}
