package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	client "go.etcd.io/etcd/client/v3"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
	"wgd/key"
)

// parallel is how many requests of one call are in flight.
const parallel = 4

// get returns the values of keys, all at one revision: the latest one if that is 0.
func (c *Cluster) get(ctx context.Context, keys []string, revision int64) (map[string]*mvccpb.KeyValue, int64, error) {
	found := make(map[string]*mvccpb.KeyValue, len(keys))
	some := func(keys []string) ([]*mvccpb.KeyValue, error) {
		ops := make([]client.Op, len(keys))
		for i, k := range keys {
			ops[i] = client.OpGet(k, client.WithRev(revision))
		}
		var kvs []*mvccpb.KeyValue
		err := c.read(ctx, func(ctx context.Context) error {
			response, err := c.client.Txn(ctx).Then(ops...).Commit()
			if err != nil {
				return err
			}
			if revision == 0 {
				revision = response.Header.Revision
			}
			kvs = nil
			for _, r := range response.Responses {
				kvs = append(kvs, r.GetResponseRange().Kvs...)
			}
			return nil
		})
		return kvs, err
	}
	first := keys[:min(len(keys), maxOps)]
	kvs, err := some(first) // which decides the revision
	if err != nil {
		return nil, 0, err
	}
	var mutex sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, parallel)
	for chunk := range slices.Chunk(keys[len(first):], maxOps) {
		places <- struct{}{}
		wg.Go(func() {
			more, e := some(chunk)
			mutex.Lock()
			defer mutex.Unlock()
			kvs, err = append(kvs, more...), errors.Join(err, e)
			<-places
		})
	}
	wg.Wait()
	for _, kv := range kvs {
		found[string(kv.Key)] = kv
	}
	return found, revision, err
}

// An entry is all that etcd has of a peer.
type entry struct {
	public   string // as in keys
	revision int64  // of the key below peers/; 0: there is none
	written  *record
	seen     *seenRecord
	seenRev  int64 // of the key below seen/
	problem  string

	valid   *record // what is valid of it now, or nil
	running bool    // it belongs to an import that runs
}

// exists reports whether there is such a peer now.
func (e *entry) exists() bool { return e.valid != nil || e.revision != 0 && e.written == nil }

// public key of the entry; the zero key if the key below peers/ has none.
func (e *entry) publicKey() key.Public {
	public, _ := decodeKey(e.public)
	return public
}

// entries reads peers, all at one revision. Some may not exist.
func (c *Cluster) entries(ctx context.Context, names []string) ([]*entry, int64, error) {
	if len(names) == 0 {
		return nil, 0, nil
	}
	var keys []string
	for _, name := range names {
		keys = append(keys, c.prefix+peersKeys+name, c.prefix+seenKeys+name)
	}
	found, revision, err := c.get(ctx, keys, 0)
	if err != nil {
		return nil, 0, err
	}
	list := make([]*entry, len(names))
	for i, name := range names {
		list[i] = newEntry(name, found[keys[2*i]], found[keys[2*i+1]])
	}
	err = c.settle(ctx, list, revision)
	if errors.Is(err, rpctypes.ErrCompacted) { // in this moment
		return c.entries(ctx, names)
	}
	return list, revision, err
}

// newEntry parses what etcd has of a peer.
func newEntry(name string, peer, seen *mvccpb.KeyValue) *entry {
	e := &entry{public: name}
	var err error
	if peer != nil {
		e.revision = peer.ModRevision
		if e.written, err = decode[record](peer.Value); err != nil {
			e.problem = errNotOurs.Error()
		}
	}
	if seen != nil {
		e.seenRev = seen.ModRevision
		if e.seen, err = decode[seenRecord](seen.Value); err != nil && e.problem == "" {
			e.problem = "what was seen of it: " + errNotOurs.Error()
		}
	}
	if _, ok := decodeKey(name); !ok {
		e.problem = fmt.Sprintf("the key %s%s does not end with a public key, in base64 with - and _, without =", peersKeys, quote.Name(name))
	}
	return e
}

// settle finds out which records were valid at the revision at which they were read: those of
// a complete import. Later, an import that was given up is not pending any more either.
func (c *Cluster) settle(ctx context.Context, list []*entry, revision int64) error {
	open := map[string]bool{}
	for _, e := range list {
		if e.written != nil && e.written.Import != "" && !c.isSettled(e.written.Import) {
			open[e.written.Import] = false
		}
	}
	var keys []string
	for id := range open {
		keys = append(keys, c.prefix+pendingKeys+id, c.prefix+importersKeys+id)
	}
	var found map[string]*mvccpb.KeyValue
	if len(keys) > 0 {
		var err error
		if found, _, err = c.get(ctx, keys, revision); err != nil {
			return err
		}
	}
	for _, e := range list {
		e.valid = e.written
		if e.written == nil || e.written.Import == "" {
			continue
		}
		id := e.written.Import
		if _, asked := open[id]; asked && found[c.prefix+pendingKeys+id] != nil {
			e.valid, e.running = e.written.Before, found[c.prefix+importersKeys+id] != nil
		} else {
			c.setSettled(id)
		}
	}
	return nil
}

// isSettled reports whether an import is known to be complete, which it stays.
func (c *Cluster) isSettled(id string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.settled[id]
}

func (c *Cluster) setSettled(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.settled[id] = true
}

// peers returns the peers of those entries that exist, with what is wrong with their claims
// at a revision.
func (c *Cluster) peers(ctx context.Context, list []*entry, revision int64) (peers []*store.Peer, err error) {
	var keys []string
	for _, e := range list {
		for _, needed := range c.claims(e.valid, e.public) {
			keys = append(keys, needed.key)
		}
	}
	var found map[string]*mvccpb.KeyValue
	if len(keys) > 0 {
		if found, _, err = c.get(ctx, keys, revision); err != nil {
			return nil, err
		}
	}
	for _, e := range list {
		if !e.exists() {
			continue
		}
		r := e.valid
		if r == nil {
			r = new(record)
		}
		p := r.peer(e.publicKey(), e.seen, &store.Problems{First: e.problem})
		if p.Problem == "" { // so what it claims has the right form
			p.Problem = c.wrongClaim(e, found)
		}
		peers = append(peers, p)
	}
	return peers, nil
}

// wrongClaim says which claim of a peer is missing, or leads to another one.
func (c *Cluster) wrongClaim(e *entry, found map[string]*mvccpb.KeyValue) string {
	for _, needed := range c.claims(e.valid, e.public) {
		switch kv := found[needed.key]; {
		case kv == nil:
			return fmt.Sprintf("%s: there is no key %s, so it is not found: wgd-peers set writes it", needed.what, needed.key)
		case string(kv.Value) != needed.value:
			return fmt.Sprintf("%s: the key %s leads to another peer: give one of them another", needed.what, needed.key)
		}
	}
	return ""
}

// one returns the peer with a name below peers/, and whether it has a claim.
func (c *Cluster) one(ctx context.Context, name, claimed string) (*store.Peer, error) {
	list, revision, err := c.entries(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	if !list[0].exists() || claimed != "" && !c.has(list[0].valid, name, claimed) {
		return nil, store.ErrNotFound
	}
	peers, err := c.peers(ctx, list, revision)
	if errors.Is(err, rpctypes.ErrCompacted) { // in this moment
		return c.one(ctx, name, claimed)
	} else if err != nil {
		return nil, err
	}
	return peers[0], nil
}

// ByKey returns the peer with a public key.
func (c *Cluster) ByKey(ctx context.Context, public key.Public) (*store.Peer, error) {
	return c.one(ctx, encodeKey(public), "")
}

// ByName returns the peer with a name.
func (c *Cluster) ByName(ctx context.Context, name string) (*store.Peer, error) {
	return c.byClaim(ctx, []string{c.prefix + namesKeys + name})
}

// byClaim returns the peer that has the first of the claims which any peer has.
func (c *Cluster) byClaim(ctx context.Context, claims []string) (*store.Peer, error) {
	found, _, err := c.get(ctx, claims, 0)
	if err != nil {
		return nil, err
	}
	for _, claimed := range claims {
		kv := found[claimed]
		if kv == nil {
			continue
		}
		p, err := c.one(ctx, string(kv.Value), claimed)
		if !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
	}
	return nil, store.ErrNotFound
}

// ByAddress returns the peer whose allowed IPs have the longest prefix of the address: it
// asks for all prefixes of it at once.
func (c *Cluster) ByAddress(ctx context.Context, address netip.Addr) (*store.Peer, error) {
	return c.byClaim(ctx, c.around(address.WithZone(""), 0))
}

// around returns the claims of all prefixes of an address that have a length or a greater
// one, the longest first.
func (c *Cluster) around(address netip.Addr, bits int) (claims []string) {
	for length := address.BitLen(); length >= bits; length-- {
		if p, err := address.Prefix(length); err == nil {
			claims = append(claims, c.prefix+addressesKeys+p.String())
		}
	}
	return claims
}

// maxAtEndpoint is how many peers ByEndpoint compares that were seen at one endpoint.
const maxAtEndpoint = 1000

// ByEndpoint returns the peer that was seen last at an endpoint, or is configured to be
// there.
func (c *Cluster) ByEndpoint(ctx context.Context, endpoint netip.AddrPort) (*store.Peer, error) {
	text := endpointText(endpoint)
	var names [2][]string // seen and configured
	err := c.read(ctx, func(ctx context.Context) error {
		var ops []client.Op
		for _, kind := range []string{endpointsKeys, configuredKeys} {
			ops = append(ops, client.OpGet(c.prefix+kind+text+"/", client.WithPrefix(), client.WithKeysOnly(), client.WithLimit(maxAtEndpoint)))
		}
		response, err := c.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for i, r := range response.Responses {
			names[i] = nil
			for _, kv := range r.GetResponseRange().Kvs {
				names[i] = append(names[i], last(string(kv.Key)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list, revision, err := c.entries(ctx, names[0])
	if err != nil {
		return nil, err
	}
	var latest *entry
	for _, e := range list {
		if e.exists() && e.seen != nil && e.seen.Endpoint == text && (latest == nil || e.seen.At > latest.seen.At) {
			latest = e
		}
	}
	if latest != nil {
		peers, err := c.peers(ctx, []*entry{latest}, revision)
		if errors.Is(err, rpctypes.ErrCompacted) { // in this moment
			return c.one(ctx, latest.public, "")
		} else if err != nil {
			return nil, err
		}
		return peers[0], nil
	}
	for _, name := range names[1] {
		p, err := c.one(ctx, name, c.prefix+configuredKeys+text+"/"+name)
		if !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
	}
	return nil, store.ErrNotFound
}

// All returns all peers, in the order of their keys.
func (c *Cluster) All(ctx context.Context) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		for list, err := range c.pages(ctx) {
			var peers []*store.Peer
			if err == nil {
				peers, err = c.peers(ctx, list.entries, list.revision)
			}
			if errors.Is(err, rpctypes.ErrCompacted) { // in this moment
				peers, err = c.peers(ctx, list.entries, 0)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, p := range peers {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

// Gateway returns what clients must know about the gateways.
func (c *Cluster) Gateway(ctx context.Context) (*store.Gateway, error) {
	found, _, err := c.get(ctx, []string{c.prefix + gatewayKey}, 0)
	if err != nil {
		return nil, err
	}
	kv := found[c.prefix+gatewayKey]
	if kv == nil {
		return new(store.Gateway), nil
	}
	g, err := decode[store.Gateway](kv.Value)
	if err != nil {
		return nil, fmt.Errorf("etcd at %s: the key %s has no such object as wgd-peers gateway writes: %w", c.endpoints, kv.Key, err)
	}
	return g, nil
}

// Revision returns the latest revision of etcd.
func (c *Cluster) Revision(ctx context.Context) (store.Revision, error) {
	_, revision, err := c.get(ctx, []string{c.prefix + "schema"}, 0)
	return store.Revision(revision), err
}

// trim removes the prefix and the kind from a key.
func (c *Cluster) trim(k []byte, kind string) string {
	return strings.TrimPrefix(string(k), c.prefix+kind)
}
