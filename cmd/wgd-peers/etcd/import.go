package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	client "go.etcd.io/etcd/client/v3"

	"wgd/cmd/wgd-peers/store"
)

// etcd has no transaction for a million peers. An import writes each peer with the ID of the
// import, and the record that was valid before. As long as the key pending/ID exists, that
// one is valid: removing the key completes the import. The key importers/ID has a lease; it
// is gone if the process is. Then others remove what the import has left.

const (
	importLease = 30 // seconds
	batchPeers  = maxOps / 2
	batches     = 4 // how many batches are in flight
)

// An importer is an import in progress.
type importer struct {
	*Cluster
	id       string
	replace  bool
	lease    client.LeaseID
	revision int64 // of the keys pending/ID and importers/ID
	networks []netip.Prefix
	latest   map[netip.Prefix]netip.Addr // of a network: the address of the last peer

	busy     map[string]bool // keys that the batches in flight, or the next one, write
	batch    []*store.Peer   // the next one
	flight   []*flight
	replaced []string

	added   int
	skipped func(*store.Peer, error)
}

// A flight is a batch that is being written.
type flight struct {
	peers    []*store.Peer
	drafts   map[string]*draft // by the key of the peer
	refusals map[string]error
	done     chan error
}

// Import adds all peers, or none. An error of finish comes with the counts.
func (c *Cluster) Import(ctx context.Context, peers iter.Seq2[*store.Peer, error], replace bool, skipped func(*store.Peer, error)) (added, replaced int, err error) {
	if err := c.sweepAbandoned(ctx); err != nil {
		return 0, 0, err
	}
	i := &importer{Cluster: c, id: rand.Text(), replace: replace, skipped: skipped, busy: map[string]bool{}, latest: map[netip.Prefix]netip.Addr{}}
	alive, stop := context.WithCancel(ctx)
	defer stop()
	if err := i.begin(alive); err != nil {
		return 0, 0, err
	}
	if err = i.takeAll(ctx, peers); err == nil {
		err = i.complete(ctx)
	}
	if err != nil {
		return 0, 0, errors.Join(err, i.undo(context.WithoutCancel(ctx)))
	}
	if err = i.finish(ctx); err != nil {
		err = fmt.Errorf("the import is complete, but some of the %d replaced peers keep their old names and addresses too, until they are changed or deleted, and what the file has of where they were seen may be missing: %w", len(i.replaced), err)
	}
	return i.added, len(i.replaced), err
}

// begin makes the keys of the import. It keeps the lease alive until the context ends.
func (i *importer) begin(ctx context.Context) error {
	g, err := i.Gateway(ctx)
	if err != nil {
		return err
	}
	i.networks = g.Networks()
	err = i.do(ctx, attempt, func(ctx context.Context) error {
		response, err := i.client.Grant(ctx, importLease)
		if err == nil {
			i.lease = response.ID
		}
		return err
	})
	if err != nil {
		return err
	}
	answers, err := i.client.KeepAlive(ctx, i.lease)
	if err != nil {
		return i.explain(err)
	}
	go func() { // until the context ends, or the lease has expired
		for range answers {
		}
	}()
	return i.do(ctx, attempt, func(ctx context.Context) error {
		response, err := i.client.Txn(ctx).Then(client.OpPut(i.prefix+pendingKeys+i.id, ""),
			client.OpPut(i.prefix+importersKeys+i.id, "", client.WithLease(i.lease))).Commit()
		if err == nil {
			i.revision = response.Header.Revision
		}
		return err
	})
}

// guard makes a transaction depend on the lease of this import.
func (i *importer) guard(t *transaction) { t.expect(i.prefix+importersKeys+i.id, i.revision) }

// takeAll writes all peers. Several batches are in flight; of two peers that want the same
// key, the second waits until the first is written.
func (i *importer) takeAll(ctx context.Context, peers iter.Seq2[*store.Peer, error]) error {
	err := i.each(ctx, peers)
	for len(i.flight) > 0 { // also after an error: nothing of this import is written later
		err = errors.Join(err, i.land())
	}
	return err
}

func (i *importer) each(ctx context.Context, peers iter.Seq2[*store.Peer, error]) error {
	for p, err := range peers {
		if err != nil {
			return err
		}
		if err := p.Check(); err != nil {
			i.skipped(p, err)
			continue
		}
		keys := i.keysOf(p)
		for _, k := range keys {
			if i.busy[k] {
				if err := i.landAll(ctx); err != nil {
					return err
				}
				break
			}
		}
		for _, k := range keys {
			i.busy[k] = true
		}
		if i.batch = append(i.batch, p); len(i.batch) == batchPeers {
			if err := i.launch(ctx); err != nil {
				return err
			}
		}
	}
	return i.landAll(ctx)
}

// keysOf are the keys that only one peer can have.
func (i *importer) keysOf(p *store.Peer) []string {
	public := encodeKey(p.PublicKey)
	keys := []string{public}
	for _, needed := range i.claims(recordOf(p), public) {
		keys = append(keys, needed.key)
	}
	return keys
}

// launch begins to write the next batch, when there is a place for it.
func (i *importer) launch(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	for len(i.flight) >= batches {
		if err := i.land(); err != nil {
			return err
		}
	}
	f := &flight{peers: i.batch, done: make(chan error, 1), drafts: map[string]*draft{}, refusals: map[string]error{}}
	i.batch = nil
	i.flight = append(i.flight, f)
	go func() { f.done <- i.write(ctx, f) }()
	return nil
}

// landAll writes the next batch, and waits for all.
func (i *importer) landAll(ctx context.Context) error {
	err := i.launch(ctx)
	for err == nil && len(i.flight) > 0 {
		err = i.land()
	}
	return err
}

// land waits for the oldest batch in flight.
func (i *importer) land() error {
	f := i.flight[0]
	i.flight = i.flight[1:]
	if err := <-f.done; err != nil {
		return err
	}
	for _, p := range f.peers {
		for _, k := range i.keysOf(p) {
			delete(i.busy, k)
		}
		public := encodeKey(p.PublicKey)
		d := f.drafts[public]
		switch {
		case f.refusals[public] != nil:
			i.skipped(p, f.refusals[public])
			continue
		case d.refusal != nil:
			i.skipped(p, d.refusal)
			continue
		case d.after.Before != nil:
			i.replaced = append(i.replaced, public)
		default:
			i.added++
		}
		i.noteAddresses(p)
	}
	return nil
}

// noteAddresses remembers the latest address of each network of the gateway.
func (i *importer) noteAddresses(p *store.Peer) {
	for _, network := range i.networks {
		for _, a := range p.AllowedIPs {
			if network.Contains(a.Addr()) && a.Bits() > network.Bits() {
				i.latest[network] = lastAddress(a)
			}
		}
	}
}

// write writes a batch.
func (i *importer) write(ctx context.Context, f *flight) error {
	byName := map[string]*store.Peer{}
	var names []string
	for _, p := range f.peers {
		name := encodeKey(p.PublicKey)
		byName[name], names = p, append(names, name)
	}
	tries := 0
	var lost error
	err := i.apply(ctx, names, i.guard, func(e *entry) *draft {
		if tries++; tries > len(names) && lost == nil { // others were faster, or the lease has expired
			lost = i.alive(ctx)
		}
		if lost != nil {
			return nil
		}
		return i.prepare(f, byName[e.public], e)
	})
	return errors.Join(lost, err)
}

// alive returns errLost if others may take the import for abandoned.
func (i *importer) alive(ctx context.Context) error {
	found, _, err := i.get(ctx, []string{i.prefix + importersKeys + i.id}, 0)
	if err == nil && found[i.prefix+importersKeys+i.id] == nil {
		return errLost
	}
	return err
}

// prepare returns how a peer is imported, or nil if it is refused.
func (i *importer) prepare(f *flight, p *store.Peer, e *entry) *draft {
	delete(f.refusals, e.public)
	switch {
	case e.running && e.written.Import == i.id:
		f.refusals[e.public] = store.Refusef("peer %s: an earlier peer of this import has the same public key", p.Label())
		return nil
	case e.running:
		f.refusals[e.public] = refuseRunning(p)
		return nil
	case e.exists() && (!i.replace || e.valid == nil):
		f.refusals[e.public] = store.Refusef("peer %s: the store has this public key already", e.label())
		return nil
	}
	r := newRecord(p)
	r.Import = i.id
	d := &draft{before: e, after: r, label: p.Label()}
	f.drafts[e.public] = d
	if e.exists() {
		before := *e.valid
		before.Import, before.Before, before.Seen = "", nil, nil
		r.Created, r.Before, r.Seen = before.Created, &before, seenOf(&p.Seen)
		return d
	}
	d.seen = seenOf(&p.Seen)
	return d
}

// complete makes all that was imported valid.
func (i *importer) complete(ctx context.Context) error {
	t := new(transaction)
	i.guard(t)
	t.expect(i.prefix+pendingKeys+i.id, i.revision)
	t.remove(i.prefix + pendingKeys + i.id)
	t.remove(i.prefix + importersKeys + i.id)
	for network, a := range i.latest {
		t.put(i.prefix+latestKeys+network.String(), a.String())
	}
	t.proof, t.proves = i.prefix+importedKey, i.id
	t.put(t.proof, t.proves)
	ok, err := i.Cluster.write(ctx, t)
	if err == nil && !ok {
		err = errLost
	}
	if err == nil {
		i.revoke(ctx)
	}
	return err
}

// revoke ends the lease. If it does not, the lease expires.
func (i *importer) revoke(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	_, _ = i.client.Revoke(ctx, i.lease)
}

// undo removes what the import has written.
func (i *importer) undo(ctx context.Context) error {
	i.revoke(ctx)
	if err := i.do(ctx, attempt, func(ctx context.Context) error {
		_, err := i.client.Delete(ctx, i.prefix+importersKeys+i.id)
		return err
	}); err != nil {
		return err
	}
	return i.sweep(ctx, i.id)
}

// finish removes what replaced peers had before, and writes what was seen of them. They are
// valid without it.
func (i *importer) finish(ctx context.Context) error {
	i.setSettled(i.id)
	for names := i.replaced; len(names) > 0; {
		n := min(len(names), batchPeers)
		err := i.apply(ctx, names[:n], func(*transaction) {}, func(e *entry) *draft {
			if e.written == nil || e.written.Import != i.id {
				return nil
			}
			r := *e.written
			r.Import, r.Before, r.Seen = "", nil, nil
			d := &draft{before: e, after: &r, label: e.label(), settled: true}
			if e.written.Seen != nil {
				d.sum = new(seenRecord)
				if e.seen != nil {
					*d.sum = *e.seen
					d.sum.RxBytes, d.sum.TxBytes = 0, 0
				}
				d.sum = d.sum.merge(e.written.Seen)
			}
			return d
		})
		if err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// sweepAbandoned removes what imports have left whose processes were killed.
func (c *Cluster) sweepAbandoned(ctx context.Context) error {
	var ids []string
	err := c.read(ctx, func(ctx context.Context) error {
		response, err := c.client.Txn(ctx).Then(client.OpGet(c.prefix+pendingKeys, client.WithPrefix(), client.WithKeysOnly()),
			client.OpGet(c.prefix+importersKeys, client.WithPrefix(), client.WithKeysOnly())).Commit()
		if err != nil {
			return err
		}
		runs := map[string]bool{}
		for _, kv := range response.Responses[1].GetResponseRange().Kvs {
			runs[last(string(kv.Key))] = true
		}
		ids = nil
		for _, kv := range response.Responses[0].GetResponseRange().Kvs {
			if id := last(string(kv.Key)); !runs[id] {
				ids = append(ids, id)
			}
		}
		return nil
	})
	for _, id := range ids {
		err = errors.Join(err, c.sweep(ctx, id))
	}
	return err
}

// sweep removes what an import has left that is not complete and does not run any more.
func (c *Cluster) sweep(ctx context.Context, id string) error {
	for list, err := range c.pages(ctx) {
		if err != nil {
			return err
		}
		var names []string
		for _, e := range list.entries {
			if e.written != nil && e.written.Import == id {
				names = append(names, e.public)
			}
		}
		for len(names) > 0 {
			n := min(len(names), batchPeers)
			if err := c.restore(ctx, names[:n], id); err != nil {
				return err
			}
			names = names[n:]
		}
	}
	return c.do(ctx, attempt, func(ctx context.Context) error {
		_, err := c.client.Delete(ctx, c.prefix+pendingKeys+id)
		return err
	})
}

// restore gives peers what was valid before an import.
func (c *Cluster) restore(ctx context.Context, names []string, id string) error {
	drafts := map[string]*draft{} // by the key of the peer: the latest one
	err := c.apply(ctx, names, func(*transaction) {}, func(e *entry) *draft {
		delete(drafts, e.public)
		if e.written == nil || e.written.Import != id {
			return nil
		}
		d := &draft{before: e, after: e.written.Before, label: e.label(), settled: true}
		drafts[e.public] = d
		return d
	})
	for _, d := range drafts { // none that is not restored may become valid
		err = errors.Join(err, d.refusal)
	}
	return err
}
