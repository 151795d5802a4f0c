package etcd

import (
	"flag"
	"testing"

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
