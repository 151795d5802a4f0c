package fleet

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// removals are when gateways have removed peers.
type removals struct {
	mu sync.Mutex
	at [gateways]map[string]int64 // by public key, in hexadecimal digits: of the monotonic clock
}

// watchRemovals follows the events of all daemons.
func (f *fleet) watchRemovals() *removals {
	f.t.Helper()
	r := &removals{}
	for i, g := range f.gateways {
		r.at[i] = map[string]int64{}
		conn, err := net.Dial("unix", g.Path("/run/wireguard/wg0.sock"))
		if err != nil {
			f.t.Fatal(err)
		}
		done := make(chan struct{})
		f.t.Cleanup(func() { conn.Close(); <-done })
		fmt.Fprint(conn, "events=18446744073709551615\n\n")
		lines := bufio.NewScanner(conn)
		for lines.Scan() && lines.Text() != "" { // the first block: events that happen from now on follow
		}
		go func() {
			defer close(done)
			r.follow(i, lines)
		}()
	}
	return r
}

func (r *removals) follow(gateway int, lines *bufio.Scanner) {
	event := map[string]string{}
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			event[name] = value
			continue
		}
		if event["kind"] == "session-ended" && event["cause"] == "removed" {
			r.mu.Lock()
			r.at[gateway][event["public_key"]] = load.Now()
			r.mu.Unlock()
		}
		clear(event)
	}
}

// everywhere returns when the last gateway has removed a peer, and whether all have.
func (r *removals) everywhere(public string) (last int64, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.at {
		t, ok := at[public]
		if !ok {
			return 0, false
		}
		last = max(last, t)
	}
	return last, true
}

// All three gateways have sessions with the peers, which have data. While etcd has a leader,
// each that is revoked is out everywhere within a second after that is in the store, or what
// -promptly says; the leader is killed meanwhile, and the others notice nothing.
func TestRevocations(t *testing.T) {
	const others = 20 // peers that are not revoked
	n := *revocations
	f := newFleet(t, n+others)
	for _, g := range []int{0, 1, 2} {
		f.spread(g)
		if f.traffic == nil {
			f.startTraffic(probes, 0)
		}
		lab.Until(t, 40*time.Second, fmt.Sprintf("gateway %d has all peers", g+1), func() (bool, string) {
			held := len(f.held(g))
			return held == n+others, fmt.Sprint("it has ", held)
		})
		f.awaitTraffic()
	}
	f.spread(0, 1, 2)
	f.awaitTraffic()
	r := f.watchRemovals()
	f.traffic.Ask()
	w := crew.Start(f.etcd.hosts[0], "revoke", job{Store: f.etcd.address(), Keys: f.publics[:n], Every: 10 * time.Millisecond})
	f.killLeaderWhile(w, n)
	a := w.Ask()
	if len(a.Times) != n {
		t.Fatalf("%d of %d peers were revoked", len(a.Times), n)
	}
	var took []time.Duration
	lab.Until(t, 20*time.Second, "all peers are out and have lost their sessions", func() (bool, string) {
		left := 0
		for i := range gateways {
			left += len(f.held(i)) - others
		}
		took = nil
		for i, written := range a.Times {
			if last, all := r.everywhere(f.publics[i]); all {
				took = append(took, time.Duration(max(last-written, 0)))
			}
		}
		return left <= 0 && len(took) == n, fmt.Sprintf("%d are there; %d have lost the sessions at all gateways", left, len(took))
	})
	t.Logf("from the store until the last gateway: %s; the longest write took %v", distribution(took), a.Longest)
	// Some are written just before the leader dies, and looked up when there is another one.
	const election = 3
	if late := countOver(took, *promptly); late > max(n/100, election) {
		t.Errorf("%d of %d peers were out later than %v", late, n, *promptly)
	}
	f.traffic.Ask()
	time.Sleep(2 * time.Second)
	silences := f.traffic.Ask().Silences
	if late := silentAt(silences[n:], load.Now()-int64(2*time.Second)); late > 0 {
		t.Errorf("%d peers that are not revoked have no answers", late)
	}
	if silent := silentAt(silences[:n], load.Now()-int64(2*time.Second)); silent != n {
		t.Errorf("%d of %d peers that are revoked have answers", n-silent, n)
	}
}

// killLeaderWhile waits until all is done, and kills the leader in the middle.
func (f *fleet) killLeaderWhile(w *lab.Worker[answer], n int) {
	f.t.Helper()
	reached := func(count int) func() (bool, string) {
		return func() (bool, string) {
			done := len(w.Ask().Times)
			return done >= count, fmt.Sprintf("%d of %d are revoked", done, n)
		}
	}
	lab.Until(f.t, 5*time.Minute, "half of the peers are revoked", reached(n/2))
	leader := f.etcd.leader()
	f.etcd.kill(leader)
	f.t.Logf("the leader, member %d, was killed after %d revocations", leader, len(w.Ask().Times))
	lab.Until(f.t, 5*time.Minute, "all peers are revoked", reached(n))
	f.etcd.start(leader)
}
