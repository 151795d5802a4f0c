package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"wgd/internal/quote"
)

// RaiseCeiling returns the ceiling. It writes only if the ceiling is to rise.
func (c *Cluster) RaiseCeiling(ctx context.Context, needed, to time.Time) (time.Time, error) {
	where := c.prefix + ceilingKey
	for { // each time that another is faster, the ceiling has risen
		found, _, err := c.get(ctx, []string{where}, 0)
		if err != nil {
			return time.Time{}, err
		}
		var ceiling time.Time
		t := &transaction{proof: where, proves: strconv.FormatInt(to.Unix(), 10)}
		if kv := found[where]; kv != nil {
			at, err := strconv.ParseInt(string(kv.Value), 10, 64)
			if err != nil {
				return time.Time{}, fmt.Errorf("etcd at %s: the key %s has the value %s: write the seconds since 1970, or delete it", c.endpoints, where, quote.Text(string(kv.Value)))
			}
			ceiling = fromUnix(at)
			t.expect(where, kv.ModRevision)
		} else {
			t.expect(where, 0)
		}
		if !ceiling.Before(needed) {
			return ceiling, nil
		}
		t.put(where, t.proves)
		if ok, err := c.write(ctx, t); ok || err != nil {
			return time.Unix(to.Unix(), 0), c.oneKey(err, where)
		}
	}
}

// oneKey names the one key that the user may not write: a gateway should not be allowed more.
func (c *Cluster) oneKey(err error, where string) error {
	if errors.As(err, new(denied)) {
		return fmt.Errorf("etcd at %s: the user may not write the key %s: allow it with etcdctl role grant-permission ROLE write %s", c.endpoints, where, where)
	}
	return err
}
