package serve

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/sqlite"
	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
	"wgd/conf"
)

var (
	sizePeers = flag.Int("peers", 5000, "how many peers the store of TestSize has; make scale-peers has a million")
	sizeHeld  = flag.Int("held", 500, "how many of them the interface of TestSize has; make scale-peers has 100,000")
)

// sizeStore names the store in the process that serves it.
const sizeStore = "WGD_PEERS_SIZE_STORE"

// A sizeDaemon asks for the first peers of a store, and keeps nothing of them, so that the
// memory is that of the server.
type sizeDaemon struct {
	wants  chan conf.Want
	events chan conf.Event
	peers  atomic.Int64
}

func (d *sizeDaemon) Wants(ctx context.Context) iter.Seq2[conf.Want, error] {
	return sizeReports(ctx, conf.Want{Kind: conf.WantsBegin}, d.wants)
}

func (d *sizeDaemon) Events(ctx context.Context) iter.Seq2[conf.Event, error] {
	return sizeReports(ctx, conf.Event{Kind: conf.EventsBegin, Run: "A"}, d.events)
}

func sizeReports[E any](ctx context.Context, first E, from chan E) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		for e, more := first, true; more && yield(e, nil); {
			select {
			case e = <-from:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (d *sizeDaemon) EachPeer(_ context.Context, f func(*conf.PeerStatus)) error {
	for n := range int(d.peers.Load()) {
		p := storetest.Numbered(n)
		f(&conf.PeerStatus{PublicKey: p.PublicKey, Lent: 300, Name: p.Name, PresharedKey: p.PresharedKey, AllowedIPs: p.AllowedIPs, Endpoint: p.Seen.Endpoint,
			LastHandshake: time.Now(), RxBytes: uint64(n)})
	}
	return nil
}

func (d *sizeDaemon) Apply(_ context.Context, c conf.Change) error {
	d.peers.Add(int64(len(c.Peers)))
	return nil
}

func (d *sizeDaemon) Refuse(context.Context, conf.Refusal) error { return nil }

// A sizeTable is a routing table: what it has is not in the memory of this process.
type sizeTable struct{}

func (sizeTable) Change(string, []netip.Prefix, []netip.Prefix) ([]netip.Prefix, error) {
	return nil, nil
}

func (sizeTable) Each(_ string, f func(netip.Prefix)) error {
	for n := range *sizeHeld {
		for _, p := range storetest.Numbered(n).AllowedIPs {
			f(p)
		}
	}
	return nil
}

// Serving an interface with many peers, of a store with many more, takes little memory and
// starts at once. The figures are in docs/fleet.md.
func TestSize(t *testing.T) {
	if path := os.Getenv(sizeStore); path != "" {
		serveSize(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "peers.db")
	file, err := sqlite.Open(t.Context(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = file.Import(t.Context(), storetest.NumberedPeers(*sizePeers), false, func(_ *store.Peer, err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSize$", "-test.v", "-test.timeout=20m", fmt.Sprint("-held=", *sizeHeld))
	cmd.Env = append(os.Environ(), sizeStore+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			t.Log(text)
		}
	}
}

// serveSize serves a store in a process of its own.
func serveSize(t *testing.T, path string) {
	begin := time.Now()
	step := func(what string) {
		t.Logf("%s: %v; memory now %s, peak %s", what, time.Since(begin).Round(time.Millisecond), memory("VmRSS:"), memory("VmHWM:"))
		begin = time.Now()
	}
	file, err := sqlite.Open(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d := &sizeDaemon{wants: make(chan conf.Want), events: make(chan conf.Event)}
	server := New(file, Options{Lent: 300, Routes: sizeTable{}}, slog.New(slog.DiscardHandler), []string{"wg0"}, func(string) Daemon { return d })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); server.Run(ctx) }()
	until := func(what string, so func(Report) bool) {
		t.Helper()
		for !so(server.reports()[0]) {
			time.Sleep(time.Millisecond)
		}
		step(what)
	}
	want := func(from, to int) {
		for n := from; n < to; n++ {
			for n%1000 == 0 && server.reports()[0].Waiting > maxTasks/2 {
				time.Sleep(time.Millisecond)
			}
			d.wants <- conf.Want{Kind: conf.UnknownPeerKey, Key: storetest.Numbered(n).PublicKey}
		}
	}
	held := *sizeHeld
	want(0, 1)
	until("the first peer is lent", func(r Report) bool { return r.Peers == 1 })
	want(1, held)
	until(fmt.Sprint(held, " peers are lent"), func(r Report) bool { return r.Peers == held })
	for n := range held {
		d.events <- conf.Event{Kind: conf.HandshakeDone, Peer: storetest.Numbered(n).PublicKey, Endpoint: storetest.EndpointOf(n), Time: time.Now()}
	}
	until("where they were seen is recorded", func(r Report) bool { return r.Unrecorded == 0 })
	server.changed(store.Changes{Lost: true})
	until("all are compared with the store", func(r Report) bool { return r.Waiting == 0 })
	if err := server.interfaces[0].read(ctx, true); err != nil {
		t.Error(err)
	}
	step("all are read from the interface")
	server.interfaces[0].announced.compareAll()
	time.Sleep(5 * time.Second)
	if n := len(server.interfaces[0].announced.peers); n != 2*held {
		t.Errorf("%d routes, want %d", n, 2*held)
	}
	step("all routes are compared with the kernel's")
	if n := len(server.interfaces[0].heldPeers()); n != held {
		t.Errorf("%d peers, want %d", n, held)
	}
	step("all are listed")
	cancel()
	<-ended
	r := server.reports()[0]
	t.Logf("look-ups: half in less than %v s, 99 %% in less than %v s", r.LookUps.Median, r.LookUps.P99)
}

// memory returns a figure of this process.
func memory(name string) string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), name)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
