package live

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/explain"
	"wgd/key"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func peerStatus(n byte, name string, rx, tx uint64) conf.PeerStatus {
	return conf.PeerStatus{PublicKey: key.Public{n}, Name: name, RxBytes: rx, TxBytes: tx}
}

func statusOf(name string, peers ...conf.PeerStatus) *conf.Status {
	return &conf.Status{Name: name, Up: true, PublicKey: key.Public{200}, ListenPort: 51820, Peers: peers}
}

func id(name string, n byte) ID { return ID{name, key.Public{n}} }

// A rate is what was counted between two polls, divided by the time that really passed.
func TestRates(t *testing.T) {
	var table Table
	table.Update(at(0), statusOf("wg0", peerStatus(1, "A", 5000, 700)))
	if r := table.Row(id("wg0", 1)); r.RxRate != 0 || r.TxRate != 0 || len(r.Samples(9)) != 0 {
		t.Errorf("one poll tells no rate, got %+v", r)
	}
	table.Update(at(4), statusOf("wg0", peerStatus(1, "A", 9000, 900)))
	r := table.Row(id("wg0", 1))
	if r.RxRate != 1000 || r.TxRate != 50 || r.Rx != 9000 || r.Tx != 900 {
		t.Errorf("got %+v, want 1000 and 50 bytes a second", r)
	}
	if i := table.Sums()[0]; i.RxRate != 1000 || i.Rx != 9000 || i.States[explain.NeverUsed] != 1 || len(i.Samples(9)) != 1 {
		t.Errorf("the interface: %+v", i)
	}
	table.Update(at(4), statusOf("wg0", peerStatus(1, "A", 9001, 900)))
	if r.RxRate != 1000 || r.Rx != 9000 {
		t.Errorf("a status of the same moment was not ignored: %+v", r)
	}
}

// If the daemon or the peer began anew, the counters did as well. What they count since
// is the traffic, also of the counter that has grown beyond its old value.
func TestCountersBeginAgain(t *testing.T) {
	for _, c := range []struct {
		rx, tx         uint64
		rxRate, txRate float64
	}{
		{100, 40, 50, 20},     // both are lower
		{100, 9000, 50, 4500}, // one is
	} {
		var table Table
		table.Update(at(0), statusOf("wg0", peerStatus(1, "A", 5000, 5000)))
		table.Update(at(2), statusOf("wg0", peerStatus(1, "A", c.rx, c.tx)))
		if r := table.Row(id("wg0", 1)); r.RxRate != c.rxRate || r.TxRate != c.txRate {
			t.Errorf("%d and %d bytes: rates %v and %v, want %v and %v", c.rx, c.tx, r.RxRate, r.TxRate, c.rxRate, c.txRate)
		}
	}
}

// Peers and interfaces come and go. One that comes back begins with an empty history.
func TestComeAndGo(t *testing.T) {
	var table Table
	a, b := peerStatus(1, "A", 10, 10), peerStatus(2, "B", 10, 10)
	table.Update(at(0), statusOf("wg0", a, b))
	table.Update(at(1), statusOf("wg0", a, b))
	table.Update(at(1), statusOf("wg1", a))
	if rows := table.Select(Query{}); names(rows) != "A A B" {
		t.Errorf("rows %s", names(rows))
	}
	if got := len(table.Row(id("wg0", 2)).Samples(9)); got != 1 {
		t.Errorf("%d samples, want 1", got)
	}
	c := peerStatus(3, "C", 0, 0)
	table.Update(at(2), statusOf("wg0", a, c)) // as many as before
	if rows := table.Select(Query{}); names(rows) != "A A C" || table.Row(id("wg0", 2)) != nil {
		t.Errorf("B has gone and C has come, rows %s", names(rows))
	}
	table.Update(at(3), statusOf("wg0", a, b))
	if got := len(table.Row(id("wg0", 2)).Samples(9)); got != 0 {
		t.Errorf("B is back with %d samples", got)
	}
	table.Keep([]string{"wg1", "wg2"})
	if list := table.Sums(); len(list) != 1 || list[0].Name != "wg1" || table.Row(id("wg0", 1)) != nil || names(table.Select(Query{})) != "A" {
		t.Errorf("wg0 has gone, got %+v", list)
	}
}

func names(rows []*Row) string {
	list := make([]string, 0, len(rows))
	for _, r := range rows {
		list = append(list, r.Name)
	}
	return strings.Join(list, " ")
}

// Samples are the last ones, in the order of time, with the age of the handshake.
func TestSamples(t *testing.T) {
	var table Table
	p := peerStatus(1, "A", 0, 0)
	for n := range History + 10 {
		p.RxBytes += uint64(n)
		if n == 3 {
			p.LastHandshake = at(3)
		}
		table.Update(at(n), statusOf("wg0", p))
	}
	list := table.Row(id("wg0", 1)).Samples(1000)
	if len(list) != History {
		t.Fatalf("%d samples, want %d", len(list), History)
	}
	for i, s := range list {
		if n := i + 10; s.RxRate != float32(n) || s.Age != uint32(n-3) {
			t.Errorf("sample %d: %+v, want the rate %d and the age %d", i, s, n, n-3)
		}
	}
	if list := table.Row(id("wg0", 1)).Samples(2); len(list) != 2 || list[1].RxRate != History+9 {
		t.Errorf("the last two: %+v", list)
	}
}

// A peer that never had a handshake has the age Never, and one whose handshake is later
// than the clock says (it was set back) the age 0.
func TestAge(t *testing.T) {
	var table Table
	never, later := peerStatus(1, "A", 1, 1), peerStatus(2, "B", 1, 1)
	later.LastHandshake = at(99)
	for n := range 2 {
		table.Update(at(n), statusOf("wg0", never, later))
	}
	if got := table.Row(id("wg0", 1)).Samples(1)[0].Age; got != Never {
		t.Errorf("never: %d", got)
	}
	if got := table.Row(id("wg0", 2)).Samples(1)[0].Age; got != 0 {
		t.Errorf("later: %d", got)
	}
}

// sorted has three peers that each order puts in another sequence.
func sorted() *Table {
	var table Table
	a := peerStatus(1, "peer10", 0, 0)
	a.Endpoint, a.LastHandshake = netip.MustParseAddrPort("192.0.2.9:1"), at(0)
	a.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	b := peerStatus(2, "peer2", 900, 0)
	b.LastHandshake = at(-900)
	c := peerStatus(3, "Other", 0, 2000)
	c.Endpoint, c.EndpointName = netip.MustParseAddrPort("[2001:db8::1]:1"), "c.example:1"
	c.Observations = []conf.Observation{{Kind: conf.SendFailed, Count: 1, First: at(0), Last: at(0)}}
	table.Update(at(0), statusOf("wg0", a, b, c))
	a.RxBytes, b.TxBytes, c.RxBytes = 1000, 300, 10
	table.Update(at(1), statusOf("wg0", a, b, c))
	return &table
}

func TestSort(t *testing.T) {
	table := sorted()
	for order, want := range map[Sort]string{
		ByName:      "Other peer2 peer10",
		ByState:     "Other peer10 peer2",
		ByRxRate:    "peer10 Other peer2",
		ByTxRate:    "peer2 Other peer10",
		ByRate:      "peer10 peer2 Other",
		ByTotal:     "Other peer2 peer10",
		ByRx:        "peer10 peer2 Other",
		ByTx:        "Other peer2 peer10",
		ByHandshake: "peer10 peer2 Other",
		ByEndpoint:  "peer10 Other peer2",
	} {
		if got := names(table.Select(Query{Sort: order})); got != want {
			t.Errorf("order %d: %s, want %s", order, got, want)
		}
	}
	if got := names(table.Select(Query{Sort: ByRxRate, Reverse: true})); got != "peer2 Other peer10" {
		t.Errorf("reverse: %s", got)
	}
}

// The rows of one interface can be selected.
func TestInterface(t *testing.T) {
	var table Table
	table.Update(at(0), statusOf("wg0", peerStatus(1, "A", 0, 0)))
	table.Update(at(0), statusOf("wg1", peerStatus(2, "B", 0, 0)))
	for name, want := range map[string]string{"": "A B", "wg0": "A", "wg1": "B", "wg2": ""} {
		if got := names(table.Select(Query{Interface: name})); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A row that differs has the version of the update that has changed it, also one that has
// come back.
func TestChanged(t *testing.T) {
	var table Table
	a, b := peerStatus(1, "A", 10, 10), peerStatus(2, "B", 10, 10)
	table.Update(at(0), statusOf("wg0", a, b))
	changed := func(n byte) uint64 { return table.Row(id("wg0", n)).Changed }
	for i, change := range []func(){
		func() { a.RxBytes++ },
		func() {}, // the rate is 0 again
		func() { a.Name = "C" },
		func() { a.Endpoint = netip.MustParseAddrPort("192.0.2.1:1") },
		func() { a.EndpointName = "c.example:1" },
		func() { a.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		func() { a.LastHandshake = at(-1000) }, // idle from now on
		func() { a.LastHandshake = at(-900) },
	} {
		before := table.Version
		change()
		table.Update(at(i+1), statusOf("wg0", a, b))
		if table.Version != before+1 || changed(1) != table.Version || changed(2) != 1 {
			t.Errorf("change %d: version %d, changed in %d and %d, want the version and 1", i, table.Version, changed(1), changed(2))
		}
	}
	table.Update(at(20), statusOf("wg0", a, b))
	if changed(1) == table.Version {
		t.Error("nothing has changed")
	}
	table.Keep(nil)
	table.Update(at(21), statusOf("wg0", a, b))
	if changed(2) != table.Version {
		t.Errorf("an interface that is back: changed in %d, want %d", changed(2), table.Version)
	}
}

func TestFilter(t *testing.T) {
	table := sorted()
	for text, want := range map[string]string{
		"":                     "Other peer2 peer10",
		"  ":                   "Other peer2 peer10",
		"PEER":                 "peer2 peer10",
		"other":                "Other",
		"10.9.":                "peer10",
		"2001:db8":             "Other",
		"c.example":            "Other",
		"trying":               "Other",
		"peer 192.0.2":         "peer10",
		"wg0":                  "Other peer2 peer10",
		"nobody":               "",
		key.Public{2}.Base64(): "peer2",
	} {
		if got := names(table.Select(Query{Text: text})); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A plot shows the largest value at full height, and a little at level 1.
func TestLevels(t *testing.T) {
	for _, c := range []struct {
		values []float64
		full   float64
		want   []int
	}{
		{nil, 0, []int{}},
		{[]float64{0, 0}, 0, []int{0, 0}},
		{[]float64{0, 1, 500, 1000}, 0, []int{0, 1, 4, 8}},
		{[]float64{60, 120, 500}, 180, []int{1, 2, 8}},
		{[]float64{90, 180}, 180, []int{4, 8}},
		{[]float64{45}, 180, []int{2}},
	} {
		if got := Levels(c.values, c.full, 8); !slices.Equal(got, c.want) {
			t.Errorf("%v of %v: %v, want %v", c.values, c.full, got, c.want)
		}
	}
}

// manyPeers is an interface with many peers that all have traffic.
func manyPeers(n int, bytes uint64) *conf.Status {
	s := statusOf("wg0")
	s.Peers = make([]conf.PeerStatus, n)
	for i := range s.Peers {
		p := &s.Peers[i]
		binary.BigEndian.PutUint32(p.PublicKey[:], uint32(i+1))
		p.Name, p.RxBytes, p.LastHandshake = fmt.Sprintf("peer%d", i), bytes, start
	}
	return s
}

// 100,000 busy peers cost less than 60 MB here.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	const peers = 100_000
	status := manyPeers(peers, 1)
	runtime.GC()
	runtime.ReadMemStats(&before)
	var table Table
	for n := range 3 { // the first sample gets the memory of all
		for i := range status.Peers {
			status.Peers[i].RxBytes += 1000
		}
		table.Update(at(n), status)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d peers: %d bytes each", peers, used/peers)
	if used > 60<<20 {
		t.Errorf("%d peers need %d MB, want at most 60", peers, used>>20)
	}
	runtime.KeepAlive(status)
	runtime.KeepAlive(&table)
}

// Peers that do nothing cost no samples.
func TestIdlePeersHaveNoSamples(t *testing.T) {
	var table Table
	for n := range 3 {
		table.Update(at(n), statusOf("wg0", peerStatus(1, "A", 0, 0)))
	}
	if r := table.Row(id("wg0", 1)); r.samples.list != nil {
		t.Errorf("samples of a peer that does nothing: %v", r.samples.list)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, peers := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(peers), func(b *testing.B) {
			status := manyPeers(peers, 1)
			var table Table
			table.Update(at(0), status)
			n := 0
			for b.Loop() {
				n++
				table.Update(at(n), status)
			}
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, peers := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(peers), func(b *testing.B) {
			var table Table
			table.Update(at(0), manyPeers(peers, 1))
			for b.Loop() {
				table.Select(Query{Sort: ByRate})
			}
		})
	}
}

// The daemons are asked each second, but spend at most a fifth of the time on it.
func TestPause(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: time.Second, 250 * time.Millisecond: time.Second, 300 * time.Millisecond: 1200 * time.Millisecond, 2 * time.Second: 8 * time.Second,
	} {
		if got := Pause(took); got != want {
			t.Errorf("after %v: got %v, want %v", took, got, want)
		}
	}
}
