package etcd

import (
	"flag"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

var syncDisk = flag.Bool("sync", false, "members wait for the disk, as they do outside of tests")

func plain(*embed.Config) {}

// A store in etcd does what every store must do.
func TestStore(t *testing.T) {
	c := sharedCluster(t)
	storetest.Run(t, func(t *testing.T) store.Store { return c.open(t, c.address()) })
}

// What was written before an error is known, and is not counted twice.
func TestRecordFails(t *testing.T) {
	c := sharedCluster(t)
	s := c.open(t, c.address())
	const n, broken = 100, 50
	if _, _, err := s.Import(t.Context(), storetest.NumberedPeers(n), false, func(_ *store.Peer, err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	var list []store.Sighting
	for i := range n {
		list = append(list, store.Sighting{PublicKey: storetest.Numbered(i).PublicKey, At: time.Now(), RxBytes: 1})
	}
	// A request with this zone is larger than etcd takes.
	list[broken].Endpoint = netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone(strings.Repeat("x", 1<<20)), 7)
	written, err := s.Record(t.Context(), list)
	if err == nil || written == 0 || written > broken {
		t.Fatalf("%d were written: %.200v", written, err)
	}
	list[broken].Endpoint = netip.AddrPort{}
	if more, err := s.Record(t.Context(), list[written:]); err != nil || more != n-written {
		t.Fatalf("%d more were written: %v", more, err)
	}
	for i := range n {
		if p, err := s.ByKey(t.Context(), list[i].PublicKey); err != nil || p.Seen.RxBytes != 1 {
			t.Errorf("peer %d: %+v, %v, want 1 byte", i, p.Seen, err)
		}
	}
}
