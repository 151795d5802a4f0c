package follow_test

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/clock"
	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/dns/dnstest"
	"wgd/internal/resolve/follow"
	"wgd/key"
)

// A user applies what a Follower wants, as an engine does.
type user struct {
	*follow.Follower
	mu        sync.Mutex
	endpoints map[key.Public]netip.AddrPort
}

func start(t *testing.T, files dns.Files) *user {
	u := &user{endpoints: map[key.Public]netip.AddrPort{}}
	began := time.Now()
	changed := make(chan struct{}, 1)
	u.Follower = follow.Start(follow.Options{
		Now:    func() clock.Time { return clock.Time(time.Hour + time.Since(began)) },
		Random: rand.Reader,
		Files:  files,
		Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	})
	end := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-changed:
			}
			u.mu.Lock()
			for use, ok := u.NextUse(); ok; use, ok = u.NextUse() {
				u.endpoints[use.Peer] = use.Endpoint
			}
			u.mu.Unlock()
		}
	})
	t.Cleanup(func() { u.Close(); close(end); wait.Wait() })
	return u
}

func (u *user) endpoint(id key.Public) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if e := u.endpoints[id]; e.IsValid() {
		return e.String()
	}
	return ""
}

func (u *user) expect(t *testing.T, id key.Public, want string) {
	t.Helper()
	asynctest.Eventually(t, "endpoint "+want, func() bool { return u.endpoint(id) == want })
}

// A changed record is in use after its TTL; a name that fails, or ends to exist,
// changes nothing until it is back.
func TestRecordChanges(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("a.example", 1, "192.0.2.1", "2001:db8::1")
	u := start(t, s.Files(t))
	a := key.Public{1}
	u.Set(a, "a.example", 7, netip.AddrPort{})
	u.expect(t, a, "[2001:db8::1]:7")
	if to, ok := u.Refused(a); !ok || to.String() != "192.0.2.1:7" {
		t.Errorf("Refused returns %v, %v", to, ok)
	}
	u.Heard(a, netip.MustParseAddrPort("192.0.2.1:7"))
	s.SetAddrs("a.example", 1, "192.0.2.2")
	u.expect(t, a, "192.0.2.2:7")
	s.Set("a.example", dnstest.Entry{RCode: 2}) // SERVFAIL
	asynctest.Eventually(t, "the status has the failure", func() bool {
		st, ok := u.Status(a)
		return ok && strings.Contains(st.Failure, "SERVFAIL") && st.Since > 0 && len(st.Addresses) == 1
	})
	if got := u.endpoint(a); got != "192.0.2.2:7" {
		t.Errorf("while the name fails, the endpoint is %s", got)
	}
	s.SetAddrs("a.example", 1, "192.0.2.3")
	u.expect(t, a, "192.0.2.3:7")
	u.Remove(a)
	if st, ok := u.Status(a); ok {
		t.Errorf("a removed peer has the status %+v", st)
	}
}

// A name server that answers nothing delays nobody: no method waits, other names are
// looked up meanwhile, and Close ends at once. A63, B63
func TestDeadServerDelaysNobody(t *testing.T) {
	s := dnstest.Start(t)
	files := s.Files(t, "nameserver 127.0.0.1", "options timeout:30 attempts:5")
	u := start(t, files)
	dead, alive := key.Public{1}, key.Public{2}
	s.Set("dead.example", dnstest.Entry{Silent: true})
	s.SetAddrs("alive.example", 60, "192.0.2.1")
	asynctest.Within(t, asynctest.Timeout, "calls while a name server does not answer", func() {
		u.Set(dead, "dead.example", 7, netip.MustParseAddrPort("192.0.2.9:7"))
		asynctest.Eventually(t, "the dead name is being looked up", func() bool { return s.Asked("dead.example") > 0 })
		for range 1000 {
			u.Unanswered(dead)
			u.Silent(dead)
			u.Refused(dead)
			u.Heard(dead, netip.MustParseAddrPort("192.0.2.9:7"))
			u.Status(dead)
		}
		u.Set(alive, "alive.example", 7, netip.AddrPort{})
		u.expect(t, alive, "192.0.2.1:7")
		u.Close()
	})
	if got := u.endpoint(dead); got != "" {
		t.Errorf("the dead name has the endpoint %s", got)
	}
}

// Close leaves no goroutine and no socket behind.
func TestClose(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("a.example", dnstest.Entry{Silent: true})
	files := s.Files(t, "nameserver 127.0.0.1", "options timeout:30")
	checkLeaks := asynctest.CheckLeaks(t)
	for range 20 {
		f := follow.Start(follow.Options{
			Now: func() clock.Time { return 1 }, Random: rand.Reader, Files: files, Changed: func() {}})
		f.SetMark(0)
		f.Set(key.Public{1}, "a.example", 7, netip.AddrPort{})
		f.NetworkChanged()
		f.Close()
	}
	checkLeaks()
}

// A change of the network ends lookups that wait for a name server of the network
// before, and reads the new name servers.
func TestNetworkChanges(t *testing.T) {
	s := dnstest.Start(t)
	next := dnstest.StartAt(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), s.Addr.Port()))
	s.Set("a.example", dnstest.Entry{Silent: true})
	next.SetAddrs("a.example", 3600, "192.0.2.2")
	files := s.Files(t, "nameserver 127.0.0.1", "options timeout:30")
	u := start(t, files)
	a := key.Public{1}
	u.Set(a, "a.example", 7, netip.AddrPort{})
	asynctest.Eventually(t, "the name is being looked up", func() bool { return s.Asked("a.example") > 1 })
	dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.2")
	began := time.Now()
	u.NetworkChanged()
	u.expect(t, a, "192.0.2.2:7")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if st, _ := u.Status(a); st.Failure != "" {
		t.Errorf("the ended lookup counts as a failure: %s", st.Failure)
	}
}

// Many peers with few names ask as often as there are names; many names do not run
// more lookups at a time than the limit.
func TestManyPeers(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("shared.example", 3600, "192.0.2.1")
	const peers = 300
	for n := range peers {
		s.Set(fmt.Sprintf("n%d.example", n), dnstest.Entry{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}, TTL: 3600})
	}
	u := start(t, s.Files(t))
	for n := range peers {
		u.Set(key.Public{1, byte(n), byte(n >> 8)}, "shared.example", 7, netip.AddrPort{})
		u.Set(key.Public{2, byte(n), byte(n >> 8)}, fmt.Sprintf("n%d.example", n), 7, netip.AddrPort{})
	}
	for n := range peers {
		u.expect(t, key.Public{1, byte(n), byte(n >> 8)}, "192.0.2.1:7")
		u.expect(t, key.Public{2, byte(n), byte(n >> 8)}, "192.0.2.2:7")
	}
	if n := s.Asked("shared.example"); n != 2 {
		t.Errorf("%d questions about the shared name, want 2", n)
	}
}
