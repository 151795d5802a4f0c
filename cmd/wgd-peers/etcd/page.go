package etcd

import (
	"context"
	"errors"
	"iter"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	client "go.etcd.io/etcd/client/v3"
)

// pageSize is how many peers one request returns, at most.
const pageSize = 1000

// A page is some successive peers, at one revision.
type page struct {
	entries  []*entry
	revision int64
}

// pages reads all peers. With each page, etcd counts all keys up to the end of the range
// (for the field Count of its answer), so that reading one range by pages takes a
// time that is quadratic in their number. Public keys are as good as random: the range is
// divided into parts of which each is expected to have half a page.
func (c *Cluster) pages(ctx context.Context) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		begin, end := c.prefix+peersKeys, client.GetPrefixRangeEnd(c.prefix+peersKeys)
		var parts []string
		for from, to := begin, end; ; {
			got, total, more, err := c.page(ctx, from, to)
			if err == nil {
				err = c.settle(ctx, got.entries, got.revision)
			}
			if errors.Is(err, rpctypes.ErrCompacted) { // in this moment
				continue
			}
			if err != nil || !yield(got, nil) {
				if err != nil {
					yield(page{}, err)
				}
				return
			}
			switch {
			case more && parts == nil:
				parts = divide(begin, end, total)
				fallthrough
			case more:
				from = begin + got.entries[len(got.entries)-1].public + "\x00"
			case to == end:
				return
			default:
				from = to
			}
			to = after(parts, from, end)
		}
	}
}

// after returns the first boundary after a key.
func after(parts []string, from, end string) string {
	for _, p := range parts {
		if p > from {
			return p
		}
	}
	return end
}

// alphabet has the digits of encodeKey in the order in which etcd sorts them.
const alphabet = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

// divide returns boundaries that divide the range of the peers into parts of about half a
// page.
func divide(begin, end string, total int64) (parts []string) {
	const digits = len(alphabet) * len(alphabet) * len(alphabet)
	step := max(1, int(int64(digits)*(pageSize/2)/max(total, 1)))
	for n := step; n < digits; n += step {
		var b strings.Builder
		b.WriteString(begin)
		for _, place := range []int{len(alphabet) * len(alphabet), len(alphabet), 1} {
			b.WriteByte(alphabet[n/place%len(alphabet)])
		}
		parts = append(parts, b.String())
	}
	return append(parts, end)
}

// page reads the first peers of a range. It also returns how many there are, and whether
// there are more than it has read.
func (c *Cluster) page(ctx context.Context, from, to string) (got page, total int64, more bool, err error) {
	var peers, seen []*mvccpb.KeyValue
	err = c.read(ctx, func(ctx context.Context) error {
		response, err := c.client.Get(ctx, from, client.WithRange(to), client.WithLimit(pageSize))
		if err != nil {
			return err
		}
		peers, total, more, got.revision = response.Kvs, response.Count, response.More, response.Header.Revision
		if len(peers) == 0 {
			return nil
		}
		first, end := c.trim(peers[0].Key, peersKeys), c.trim(peers[len(peers)-1].Key, peersKeys)+"\x00"
		response, err = c.client.Get(ctx, c.prefix+seenKeys+first, client.WithRange(c.prefix+seenKeys+end), client.WithRev(got.revision))
		switch {
		case errors.Is(err, rpctypes.ErrCompacted): // in this moment
			return errAgain
		case err != nil:
			return err
		}
		seen = response.Kvs
		return nil
	})
	if err != nil {
		return page{}, 0, false, err
	}
	for _, kv := range peers {
		name := c.trim(kv.Key, peersKeys)
		for len(seen) > 0 && c.trim(seen[0].Key, seenKeys) < name { // of a peer that was deleted with etcdctl
			seen = seen[1:]
		}
		var its *mvccpb.KeyValue
		if len(seen) > 0 && c.trim(seen[0].Key, seenKeys) == name {
			its = seen[0]
		}
		got.entries = append(got.entries, newEntry(name, kv, its))
	}
	return got, total, more, nil
}
