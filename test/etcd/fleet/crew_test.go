package fleet

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store"
	"wgd/key"
	"wgd/test/lab"
	"wgd/test/load"
)

const members = 3

// A job is what a worker on a host has to do.
type job struct {
	Member int           // the number of a member of etcd
	Dir    string        // of its data
	Store  string        // the address of a store
	Keys   []string      // of peers to revoke, in hexadecimal digits
	Every  time.Duration // the pause between two revocations
}

// An answer is what a worker has done.
type answer struct {
	PID     int
	Leads   bool
	Times   []int64       // of the monotonic clock: when a revocation was in the store
	Longest time.Duration // that a revocation took
}

// crew has the roles that need etcd.
var crew = lab.Crew[job, answer]{"member": member, "revoke": revoke}

func managementAddress(member int) string { return fmt.Sprintf("10.8.0.%d", member+1) }

func memberURL(member, port int) url.URL {
	return url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", managementAddress(member), port)}
}

// member is a member of etcd.
func member(j job) (func() (answer, error), error) {
	const clientPort, peerPort = 2379, 2380
	c := embed.NewConfig()
	c.Name, c.Dir = fmt.Sprintf("m%d", j.Member), j.Dir
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	c.UnsafeNoFsync = true // a process that is killed loses nothing by that
	client, peer := memberURL(j.Member, clientPort), memberURL(j.Member, peerPort)
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	var all []string
	for i := range members {
		u := memberURL(i, peerPort)
		all = append(all, fmt.Sprintf("m%d=%s", i, u.String()))
	}
	c.InitialCluster = strings.Join(all, ",")
	s, err := embed.StartEtcd(c)
	if err != nil {
		return nil, err
	}
	return func() (answer, error) {
		return answer{PID: os.Getpid(), Leads: s.Server.Leader() == s.Server.MemberID()}, nil
	}, nil
}

// revoke revokes peers, from the first request on, and says when each was in the store.
func revoke(j job) (func() (answer, error), error) {
	o, err := etcd.ParseAddress(strings.TrimPrefix(j.Store, "etcd:"))
	if err != nil {
		return nil, err
	}
	s, err := etcd.Open(context.Background(), o, false)
	if err != nil {
		return nil, err
	}
	var (
		mu     sync.Mutex
		done   answer
		failed error
		begin  sync.Once
	)
	run := func() {
		for _, text := range j.Keys {
			public, err := key.ParsePublicHex(text)
			began := time.Now()
			if err == nil {
				err = s.Update(context.Background(), public, func(p *store.Peer) error {
					p.Revoked = time.Now()
					return nil
				})
			}
			mu.Lock()
			done.Times, done.Longest = append(done.Times, load.Now()), max(done.Longest, time.Since(began))
			failed = err
			mu.Unlock()
			if err != nil {
				return
			}
			time.Sleep(j.Every)
		}
	}
	return func() (answer, error) {
		begin.Do(func() { go run() })
		mu.Lock()
		defer mu.Unlock()
		return done, failed
	}, nil
}

// A cluster is three members of etcd, each a process on a host.
type cluster struct {
	t       *testing.T
	hosts   [members]*lab.Host
	dirs    [members]string
	workers [members]*lab.Worker[answer] // nil: killed
}

func newCluster(t *testing.T, sw *lab.Host) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for i := range members {
		c.hosts[i], c.dirs[i] = lab.NewHost(t, fmt.Sprintf("e%d", i+1)), t.TempDir()
		c.hosts[i].Plug(sw, "eth0", managementAddress(i)+"/24")
	}
	c.startAll()
	return c
}

// startAll starts all members, and waits until one of them leads.
func (c *cluster) startAll() {
	c.t.Helper()
	for i := range members {
		c.start(i)
	}
	c.leader()
}

func (c *cluster) start(i int) {
	c.t.Helper()
	c.workers[i] = crew.Start(c.hosts[i], "member", job{Member: i, Dir: c.dirs[i]})
}

// kill kills a member as kill -9 does.
func (c *cluster) kill(i int) {
	c.t.Helper()
	w := c.workers[i]
	if w == nil {
		return
	}
	pid := w.Ask().PID
	c.workers[i] = nil
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Errorf("member %d: %v", i, err)
	}
	w.Stop()
}

// leader returns the member that leads.
func (c *cluster) leader() (leader int) {
	c.t.Helper()
	lab.Until(c.t, time.Minute, "etcd has a leader", func() (bool, string) {
		for i, w := range c.workers {
			if w != nil && w.Ask().Leads {
				leader = i
				return true, ""
			}
		}
		return false, "none"
	})
	return leader
}

// address returns the address of the store.
func (c *cluster) address() string {
	var list []string
	for i := range members {
		list = append(list, managementAddress(i))
	}
	return "etcd://" + strings.Join(list, ",") + "/wgd"
}
