// Package etcd tests the store in etcd with three real members, in this process.
package etcd

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store"
)

const members = 3

// A cluster is three members of etcd on the loopback interface.
type cluster struct {
	t       *testing.T
	configs [members]*embed.Config
	servers [members]*embed.Etcd // nil: stopped
}

// newCluster starts a cluster. configure may change the configuration of each member.
func newCluster(t *testing.T, configure func(*embed.Config)) *cluster {
	t.Helper()
	c := newClusterIn(t, t.TempDir(), configure)
	t.Cleanup(func() { c.stop(0, 1, 2) })
	return c
}

func newClusterIn(t *testing.T, dir string, configure func(*embed.Config)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	scheme := "http"
	ports := freePorts(t, 2*members)
	address := func(n int, scheme string) url.URL {
		return url.URL{Scheme: scheme, Host: fmt.Sprintf("127.0.0.1:%d", ports[n])}
	}
	var initial []string
	for i := range members {
		peer := address(members+i, "http")
		initial = append(initial, fmt.Sprintf("m%d=%s", i, peer.String()))
	}
	for i := range members {
		config := embed.NewConfig()
		config.Name, config.Dir = fmt.Sprintf("m%d", i), filepath.Join(dir, fmt.Sprint(i))
		config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		config.UnsafeNoFsync = !*syncDisk // members that are stopped lose nothing by that
		configure(config)
		if !config.ClientTLSInfo.Empty() {
			scheme = "https"
		}
		config.ListenClientUrls = []url.URL{address(i, scheme)}
		config.AdvertiseClientUrls = config.ListenClientUrls
		config.ListenPeerUrls = []url.URL{address(members+i, "http")}
		config.AdvertisePeerUrls = config.ListenPeerUrls
		config.InitialCluster = strings.Join(initial, ",")
		c.configs[i] = config
	}
	c.start(0, 1, 2)
	return c
}

// The ports of members are below those that the kernel gives to connections, which would take
// the port of a member that is stopped. No two clusters of a process have the same ports.
const firstPort, numPorts = 20000, 12000

var portsTaken = rand.N(numPorts)

// freePorts returns TCP ports that nobody uses.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range numPorts {
		portsTaken++
		port := firstPort + portsTaken%numPorts
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("all ports are taken")
	return nil
}

// start starts members, and waits until they are ready.
func (c *cluster) start(numbers ...int) {
	c.t.Helper()
	for _, i := range numbers {
		s, err := embed.StartEtcd(c.configs[i])
		if err != nil {
			c.t.Fatal(err)
		}
		c.servers[i] = s
	}
	for _, i := range numbers {
		select {
		case <-c.servers[i].Server.ReadyNotify():
		case err := <-c.servers[i].Err():
			c.t.Fatal(err)
		case <-time.After(time.Minute):
			c.t.Fatalf("member %d is not ready after a minute", i)
		}
	}
}

// stop stops members at once, as if they were killed: they tell nobody.
func (c *cluster) stop(numbers ...int) {
	for _, i := range numbers {
		if s := c.servers[i]; s != nil {
			c.servers[i] = nil
			s.Server.HardStop()
			s.Close()
		}
	}
}

// leader returns the number of the member that leads.
func (c *cluster) leader() int {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for i, s := range c.servers {
			if s != nil && s.Server.Leader() == s.Server.MemberID() {
				return i
			}
		}
	}
	c.t.Fatal("there is no leader after a minute")
	return 0
}

// endpoints returns where clients reach the members.
func (c *cluster) endpoints() (list []string) {
	for _, config := range c.configs {
		list = append(list, config.ListenClientUrls[0].Host)
	}
	return list
}

// stores counts the stores that were made, so that each has a prefix of its own.
var stores atomic.Int64

// address returns the address of a new store.
func (c *cluster) address() string {
	return fmt.Sprintf("//%s/test%d", strings.Join(c.endpoints(), ","), stores.Add(1))
}

// open opens the store at an address.
func (c *cluster) open(t *testing.T, address string) store.Store {
	t.Helper()
	return c.openWith(t, address, func(*etcd.Options) {})
}

func (c *cluster) openWith(t *testing.T, address string, configure func(*etcd.Options)) store.Store {
	t.Helper()
	o, err := etcd.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	configure(o)
	s, err := etcd.Open(t.Context(), o, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// foreign returns a client as another program has it.
func (c *cluster) foreign(t *testing.T) *client.Client {
	t.Helper()
	k, err := client.New(client.Config{Endpoints: c.endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// put writes a key as another program does.
func put(t *testing.T, k *client.Client, key, value string) {
	t.Helper()
	if _, err := k.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// prefixOf returns the prefix of the keys of the store at an address.
func prefixOf(address string) string { return address[strings.LastIndexByte(address, '/'):] + "/" }

// keysBelow returns all keys with a prefix.
func keysBelow(t *testing.T, k *client.Client, prefix string) (keys []string) {
	t.Helper()
	response, err := k.Get(t.Context(), prefix, client.WithPrefix(), client.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range response.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// shared is the cluster of the tests that stop no member.
var shared *cluster

// sharedCluster returns it. The first test that needs it starts it.
func sharedCluster(t *testing.T) *cluster {
	t.Helper()
	if shared == nil {
		shared = newClusterIn(t, sharedDir, plain)
	}
	shared.t = t
	return shared
}

var sharedDir string

func TestMain(m *testing.M) {
	var err error
	if sharedDir, err = os.MkdirTemp("", "wgd-etcd-"); err != nil {
		panic(err)
	}
	status := m.Run()
	if shared != nil {
		shared.stop(0, 1, 2)
	}
	os.RemoveAll(sharedDir)
	os.Exit(status)
}
