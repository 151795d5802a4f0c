package show

import (
	"bufio"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/explain"
	"wgd/key"
)

var tableNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// tableFacts are those of an interface with a peer in each state.
func tableFacts() *explain.Facts {
	ago := func(d time.Duration) time.Time { return tableNow.Add(-d) }
	s := &conf.Status{Name: "wg0", Up: true, ListenPort: 51820, PublicKey: key.Public{1}, Peers: []conf.PeerStatus{
		{Name: "peer10", Endpoint: netip.MustParseAddrPort("198.51.100.45:43175"), LastHandshake: ago(12 * time.Second), RxBytes: 1_320_000_000, TxBytes: 88_100_000},
		{Name: "peer2", Endpoint: netip.MustParseAddrPort("198.51.100.46:1"), LastHandshake: ago(119 * time.Minute), RxBytes: 999, TxBytes: 1000},
		{PublicKey: key.Public{0xde, 0xad, 0xbe, 0xef}},
		{Name: "peer1", Endpoint: netip.MustParseAddrPort("198.51.100.47:51820"), LastHandshake: ago(3 * time.Minute)},
		{Name: "broken", Endpoint: netip.MustParseAddrPort("192.0.2.1:51820"),
			Observations: []conf.Observation{{Kind: conf.NoAnswer, Count: 3, First: ago(time.Minute), Last: ago(time.Second)}}},
	}}
	return &explain.Facts{Now: tableNow, Status: s, Names: Names(s.Peers)}
}

func table(f *explain.Facts, l Layout) string {
	var out strings.Builder
	w := bufio.NewWriter(&out)
	Table(w, f, l)
	w.Flush()
	return out.String()
}

func TestTable(t *testing.T) {
	const want = `wg0: the interface is up, on UDP port 51820; 5 peers: 1 trying, 1 works, 2 idle, 1 never-used
PEER      ENDPOINT             HANDSHAKE        RECEIVED     SENT  STATE
broken    192.0.2.1:51820      never                 0 B      0 B  trying
peer10    198.51.100.45:43175  12 seconds ago    1.32 GB  88.1 MB  works
peer1     198.51.100.47:51820  3 minutes ago         0 B      0 B  idle
peer2     198.51.100.46:1      119 minutes ago     999 B  1.00 kB  idle
deadbeef  (none)               never                 0 B      0 B  never-used
`
	if got := table(tableFacts(), Layout{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	f := tableFacts()
	f.Status.Fault = "port 51820 is taken: choose another"
	if got := table(f, Layout{}); !strings.HasPrefix(got, "wg0: the interface is up but does not work; 5 peers: 5 down\nfault: port 51820 is taken: choose another\n") {
		t.Errorf("with a fault:\n%s", got)
	}
	f.Status = &conf.Status{Name: "wg1"}
	if got := table(f, Layout{}); got != "wg1: the interface is down: nothing is sent or received\n" {
		t.Errorf("without peers: %q", got)
	}
}

// The widest rows that are usual fit into 80 columns, and longer names are cut for a
// terminal, but for nothing else.
func TestTableFits(t *testing.T) {
	f := tableFacts()
	p := &f.Status.Peers[2]
	p.Endpoint = netip.MustParseAddrPort("255.255.255.255:65535")
	p.RxBytes, p.TxBytes = math.MaxUint64, 999_499
	widest := func(text string) (n int) {
		for _, line := range strings.Split(text, "\n")[1:] {
			n = max(n, len([]rune(line)))
		}
		return n
	}
	if got := table(f, Layout{Columns: 80}); widest(got) > 80 || strings.Contains(got, "…") {
		t.Errorf("%d columns:\n%s", widest(got), got)
	}
	f.Names[0] = strings.Repeat("long", 15)
	if got := table(f, Layout{}); !strings.Contains(got, f.Names[0]+"  198") {
		t.Errorf("a name is cut for a file:\n%s", got)
	}
	for _, columns := range []int{80, 100} {
		got := table(f, Layout{Columns: columns})
		cut, _, _ := strings.Cut(strings.Split(got, "\n")[3], "…  198")
		if widest(got) != columns || len(cut) < minNameColumns || !strings.HasPrefix(f.Names[0], cut) {
			t.Errorf("%d columns, not %d:\n%s", widest(got), columns, got)
		}
	}
	if got := table(f, Layout{Columns: 10}); !strings.Contains(got, "longlon…  198") {
		t.Errorf("10 columns:\n%s", got)
	}
}

// Of long IPv6 endpoints, the beginning and the port are left if the terminal is narrow:
// rows of 80 columns remain, with names of any length.
func TestTableFitsLongEndpoints(t *testing.T) {
	f := tableFacts()
	p := &f.Status.Peers[1]
	p.Endpoint = netip.MustParseAddrPort("[2001:db8:1234:5678:9abc:def0:1234:5678]:65535")
	p.RxBytes, p.TxBytes = 999_000, 999_000
	row := func(l Layout) string {
		for _, line := range strings.Split(table(f, l), "\n") {
			if n := len([]rune(line)); l.Columns > 0 && n > l.Columns && !strings.Contains(line, "peers:") {
				t.Errorf("%d columns, want %d: %s", n, l.Columns, line)
			}
			if strings.Contains(line, "2001:") {
				return line
			}
		}
		t.Fatal("the endpoint is missing")
		return ""
	}
	for _, name := range []string{"peer2", strings.Repeat("long", 15)} {
		f.Names[1] = name
		if got := row(Layout{}); !strings.HasPrefix(got, name+"  ") || !strings.Contains(got, p.Endpoint.String()+"  ") {
			t.Errorf("cut for a file: %s", got)
		}
		if got := row(Layout{Columns: 80}); !strings.Contains(got, "  [2001:db8:") || !strings.Contains(got, "…") || !strings.Contains(got, "]:65535  ") {
			t.Errorf("80 columns: %s", got)
		}
		if got := row(Layout{Columns: 200}); !strings.Contains(got, p.Endpoint.String()) || !strings.HasPrefix(got, name) {
			t.Errorf("200 columns: %s", got)
		}
	}
}

// Colours change nothing but the last column, and appear only where they are wanted.
func TestTableColours(t *testing.T) {
	plain, coloured := table(tableFacts(), Layout{}), table(tableFacts(), Layout{Colour: true})
	for state, escape := range colours {
		if want := "  " + escape + string(state) + "\x1b[0m\n"; !strings.Contains(coloured, want) {
			t.Errorf("%q is missing:\n%q", want, coloured)
		}
		coloured = strings.ReplaceAll(coloured, escape, "")
	}
	if coloured = strings.ReplaceAll(coloured, "\x1b[0m", ""); coloured != plain || strings.Contains(plain, "\x1b") {
		t.Errorf("got\n%q\nwant\n%q", coloured, plain)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9996: "10.0 kB", 99_949: "99.9 kB", 99_951: "100 kB", 999_499: "999 kB", 999_500: "1.00 MB",
		304_218_244: "304 MB", 1e9: "1.00 GB", 1e12: "1.00 TB", 1e15: "1.00 PB", math.MaxUint64: "18.4 EB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestCompareNames(t *testing.T) {
	want := []string{"0", "00", "01", "1", "2", "10", "a", "a0", "a1", "a1b", "a01c", "a2", "a10", "a10.9", "a10.10", "b"}
	for i, a := range want {
		for j, b := range want {
			if got := CompareNames(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q and %q: %d", a, b, got)
			}
		}
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, CompareNames)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q", got)
	}
}

// A table of 100,000 peers costs little for each.
func BenchmarkTable(b *testing.B) {
	f := tableFacts()
	peer := f.Status.Peers[0]
	f.Status.Peers = nil
	for i := range 100_000 {
		peer.Name = fmt.Sprintf("peer%d", i*7919%100_000)
		f.Status.Peers = append(f.Status.Peers, peer)
	}
	f.Names = Names(f.Status.Peers)
	for b.Loop() {
		table(f, Layout{Columns: 80, Colour: true})
	}
}
