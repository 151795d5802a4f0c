package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	client "go.etcd.io/etcd/client/v3"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
	"wgd/key"
)

// A transaction writes if nothing has changed that it depends on.
type transaction struct {
	conditions []client.Cmp
	operations []client.Op

	// After it, this key has this value; "": there is no such key. If no answer came, that
	// shows whether it was carried out.
	proof, proves string
}

// expect makes the transaction depend on the revision of a key; 0: it does not exist.
func (t *transaction) expect(k string, revision int64) {
	t.conditions = append(t.conditions, client.Compare(client.ModRevision(k), "=", revision))
}

func (t *transaction) put(k, value string) {
	t.operations = append(t.operations, client.OpPut(k, value))
}

func (t *transaction) remove(k string) {
	t.operations = append(t.operations, client.OpDelete(k))
}

// add appends another transaction, which is carried out together with this one.
func (t *transaction) add(more *transaction) {
	t.conditions = append(t.conditions, more.conditions...)
	t.operations = append(t.operations, more.operations...)
	t.proof, t.proves = more.proof, more.proves
}

// fits reports whether another transaction can be added.
func (t *transaction) fits(more *transaction) bool {
	return max(len(t.conditions)+len(more.conditions), len(t.operations)+len(more.operations)) <= maxOps
}

// write carries out a transaction. It reports false if something had changed.
func (c *Cluster) write(ctx context.Context, t *transaction) (ok bool, err error) {
	uncertain := false
	err = c.do(ctx, attempt, func(ctx context.Context) error {
		response, err := c.client.Txn(ctx).If(t.conditions...).Then(t.operations...).Else(client.OpGet(t.proof)).Commit()
		if err != nil {
			uncertain = uncertain || transient(err)
			return err
		}
		ok = response.Succeeded
		if !ok && uncertain { // the answer to an earlier attempt may be lost
			kvs := response.Responses[0].GetResponseRange().Kvs
			ok = len(kvs) == 0 && t.proves == "" || len(kvs) == 1 && string(kvs[0].Value) == t.proves
		}
		return nil
	})
	return ok && err == nil, err
}

// maxConflicts is how often a change is prepared again because others were faster.
const maxConflicts = 100

// change prepares a transaction and writes it, again and again while others are faster, or
// prepare returns errAgain.
func (c *Cluster) change(ctx context.Context, prepare func() (*transaction, error)) error {
	for range maxConflicts {
		t, err := prepare()
		ok := false
		if err == nil {
			ok, err = c.write(ctx, t)
		}
		if ok || err != nil && !errors.Is(err, errAgain) {
			return err
		}
		select { // so that not all try again at the same time
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
	return fmt.Errorf("etcd at %s: others change the same keys all the time: try again later", c.endpoints)
}

// Add adds a peer, with free addresses of the networks.
func (c *Cluster) Add(ctx context.Context, p *store.Peer, networks []netip.Prefix) error {
	given := p.AllowedIPs
	return c.change(ctx, func() (*transaction, error) {
		t := new(transaction)
		chosen := map[string]bool{}
		p.AllowedIPs = slices.Clone(given)
		for _, network := range networks {
			address, err := c.freeAddress(ctx, network)
			if err != nil {
				return nil, err
			}
			prefix := netip.PrefixFrom(address, address.BitLen())
			p.AllowedIPs = append(p.AllowedIPs, prefix)
			chosen[c.prefix+addressesKeys+prefix.String()] = true
			t.put(c.prefix+latestKeys+network.Masked().String(), address.String())
		}
		if err := p.Check(); err != nil {
			return nil, err
		}
		list, _, err := c.entries(ctx, []string{encodeKey(p.PublicKey)})
		if err != nil {
			return nil, err
		}
		e, r := list[0], newRecord(p)
		switch {
		case e.running:
			return nil, refuseRunning(p)
		case e.exists():
			return nil, c.refuseKey(p, e)
		}
		d := &draft{before: e, after: r, seen: seenOf(&p.Seen), label: p.Label()}
		more, err := c.single(ctx, d)
		if d.refusal != nil && chosen[d.contested] { // somebody has just taken it
			return nil, errAgain
		} else if err != nil {
			return nil, err
		}
		t.add(more)
		return t, nil
	})
}

// newRecord returns the record of a peer that is new.
func newRecord(p *store.Peer) *record {
	r := recordOf(p)
	r.Changed = time.Now().Unix()
	if r.Created == 0 {
		r.Created = r.Changed
	}
	return r
}

// refuseKey says that the store has a public key already.
func (c *Cluster) refuseKey(p *store.Peer, e *entry) error {
	return store.Refusef("peer %s: the store has this public key already, as peer %s: change that peer with wgd-peers set", quote.Name(p.Label()), e.label())
}

// label names the peer of an entry.
func (e *entry) label() string {
	p := store.Peer{PublicKey: e.publicKey()}
	if e.valid != nil {
		p.Name = e.valid.Name
	} else if e.written != nil {
		p.Name = e.written.Name
	}
	return quote.Name(p.Label())
}

// refuseRunning says that an import has the peer.
func refuseRunning(p *store.Peer) error {
	return store.Refusef("peer %s: an import that is not complete has this public key: try again when it is done", quote.Name(p.Label()))
}

// Update changes a peer.
func (c *Cluster) Update(ctx context.Context, public key.Public, change func(*store.Peer) error) error {
	return c.change(ctx, func() (*transaction, error) {
		list, _, err := c.entries(ctx, []string{encodeKey(public)})
		if err != nil {
			return nil, err
		}
		e := list[0]
		switch {
		case !e.exists():
			return nil, store.ErrNotFound
		case e.valid == nil:
			return nil, store.Refusef("peer %s: the value of the key %s: %v", e.label(), c.prefix+peersKeys+e.public, errNotOurs)
		}
		p := e.valid.peer(public, e.seen, new(store.Problems))
		if e.running {
			return nil, refuseRunning(p)
		}
		if err := change(p); err != nil {
			return nil, err
		}
		if err := p.Check(); err != nil {
			return nil, err
		}
		r := recordOf(p)
		r.Created, r.Changed = e.valid.Created, time.Now().Unix()
		d := &draft{before: e, after: r, label: p.Label()}
		if p.PublicKey == public {
			return c.single(ctx, d)
		}
		return c.rekey(ctx, p, d)
	})
}

// single returns the transaction of one draft.
func (c *Cluster) single(ctx context.Context, d *draft) (*transaction, error) {
	if _, err := c.draft(ctx, []*draft{d}); err != nil {
		return nil, err
	}
	return d.transaction, d.refusal
}

// rekey returns the transaction that gives a peer another public key.
func (c *Cluster) rekey(ctx context.Context, p *store.Peer, d *draft) (*transaction, error) {
	list, _, err := c.entries(ctx, []string{encodeKey(p.PublicKey)})
	if err != nil {
		return nil, err
	}
	if list[0].revision != 0 {
		return nil, c.refuseKey(p, list[0])
	}
	removal, err := c.single(ctx, &draft{before: d.before})
	if err != nil {
		return nil, err
	}
	d.before, d.seen, d.successor = list[0], d.before.seen, d.before
	t, err := c.single(ctx, d)
	if err != nil {
		return nil, err
	}
	put := map[string]bool{} // a transaction may name a key once only
	for _, o := range t.operations {
		put[string(o.KeyBytes())] = true
	}
	removal.operations = slices.DeleteFunc(removal.operations, func(o client.Op) bool { return put[string(o.KeyBytes())] })
	removal.add(t)
	return removal, nil
}

// Delete removes a peer, and all that belongs to it.
func (c *Cluster) Delete(ctx context.Context, public key.Public) error {
	return c.change(ctx, func() (*transaction, error) {
		list, _, err := c.entries(ctx, []string{encodeKey(public)})
		if err != nil {
			return nil, err
		}
		switch e := list[0]; {
		case !e.exists():
			return nil, store.ErrNotFound
		case e.running:
			return nil, refuseRunning(&store.Peer{PublicKey: public, Name: e.valid.Name})
		default:
			return c.single(ctx, &draft{before: e})
		}
	})
}

// SetGateway stores what clients must know about the gateways.
func (c *Cluster) SetGateway(ctx context.Context, g *store.Gateway) error {
	return c.do(ctx, attempt, func(ctx context.Context) error {
		_, err := c.client.Put(ctx, c.prefix+gatewayKey, encode(g))
		return err
	})
}

// errLost means that an import was interrupted for so long that others took it for abandoned.
var errLost = errors.New("etcd could not be reached for so long that the import was given up: nothing was changed: try again")
