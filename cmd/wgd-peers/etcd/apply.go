package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"wgd/cmd/wgd-peers/store"
)

// apply changes several peers, each together with its claims. prepare returns what is to be
// done to a peer, or nil; it is called again if others were faster. Every transaction also
// has the conditions that guard adds.
func (c *Cluster) apply(ctx context.Context, names []string, guard func(*transaction), prepare func(*entry) *draft) error {
	for try := range maxConflicts {
		list, _, err := c.entries(ctx, names)
		if err != nil {
			return err
		}
		var drafts []*draft
		for _, e := range list {
			if d := prepare(e); d != nil {
				drafts = append(drafts, d)
			}
		}
		if drafts, err = c.draft(ctx, drafts); err != nil {
			return err
		}
		if names, err = c.writeAll(ctx, drafts, guard, try == 0); err != nil || len(names) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
	}
	return fmt.Errorf("etcd at %s: others change the same keys all the time: try again later", c.endpoints)
}

// writeAll carries out drafts that are not refused, several in one transaction if together
// is true. It returns the peers for which others were faster. A draft that is too large for a
// transaction of its own is refused.
func (c *Cluster) writeAll(ctx context.Context, drafts []*draft, guard func(*transaction), together bool) (again []string, err error) {
	var t *transaction
	var in []*draft // of the transaction
	flush := func() error {
		if t == nil {
			return nil
		}
		ok, err := c.write(ctx, t)
		var refusal store.Refusal
		if len(in) == 1 && errors.As(err, &refusal) {
			in[0].refusal = store.Refusef("peer %s: %v", in[0].label, refusal)
			ok, err = true, nil
		}
		for _, d := range in {
			if !ok {
				again = append(again, d.before.public)
			}
		}
		t, in = nil, nil
		return err
	}
	for _, d := range drafts {
		if d.refusal != nil {
			continue
		}
		if t != nil && (!together || !t.fits(d.transaction)) {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		if t == nil {
			t = new(transaction)
			guard(t)
		}
		t.add(d.transaction)
		in = append(in, d)
	}
	return again, flush()
}
