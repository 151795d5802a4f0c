package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/aead"
	"wgd/test/lab"
	"wgd/test/load"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want summary
	}{
		{[]float64{3}, summary{3, 3, 3}},
		{[]float64{4, 1, 3, 2}, summary{2.5, 1, 4}},
		{[]float64{9, 1, 5}, summary{5, 1, 9}},
	} {
		if got := summarize(c.in); got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// A figure that equals its target meets it. NaN never does.
func TestTargets(t *testing.T) {
	atLeast, atMost, absolute := atLeast(1.5), atMost(0.65), &target{absolute: true, limit: 40}
	for _, c := range []struct {
		target      *target
		ours, ratio float64
		want        bool
	}{
		{atLeast, 0, 1.5, true}, {atLeast, 9, 1.49, false}, {atLeast, 9, math.NaN(), false},
		{atMost, 9, 0.65, true}, {atMost, 0, 0.66, false}, {atMost, 0, math.NaN(), false},
		{absolute, 40, 9, true}, {absolute, 41, 0.1, false}, {absolute, math.NaN(), 0, false},
	} {
		if got := c.target.met(c.ours, c.ratio); got != c.want {
			t.Errorf("%v: ours %v, ratio %v: %v", c.target, c.ours, c.ratio, got)
		}
	}
}

// The rows and targets are those that were promised. They stand here as well, so
// that one cannot be changed unnoticed.
func TestPromises(t *testing.T) {
	want := `
share ≥ SHARE % beside no encryption
tcp-cpu ≤ 0.4× beside wireguard-go
udp64 ≥ 3.5× beside wireguard-go
ping-full ≤ 0.4× beside wireguard-go
ipv6 ≥ 95 % beside IPv4
stack ≥ 2× beside wireguard-go
stack-cpu ≤ 0.6× beside wireguard-go
socks5 ≥ 85 % beside direct
late-send ≥ 70 % beside wireguard-go
late-receive ≥ 70 % beside wireguard-go
responder ≥ 3× beside wireguard-go
responder-cpu ≤ 0.3× beside wireguard-go
initiator-cpu ≤ 0.4× beside wireguard-go
peers-in-1420 ≤ 0.3× beside wireguard-go
peers-out-1420 ≤ 0.33× beside wireguard-go
peers-in-100 ≤ 0.32× beside wireguard-go
peers-out-100 ≤ 0.32× beside wireguard-go
memory ≤ 40 MB beside wireguard-go
`
	share := "62"
	if aead.Kernel() == "AVX-512 IFMA" {
		share = "70"
	}
	want = strings.Replace(want, "SHARE", share, 1)
	got := "\n"
	for _, r := range rows {
		if r.target == nil {
			continue
		}
		baseline := sideNames[r.baseline]
		if r.baseline == rival {
			baseline = lab.Theirs
		}
		got += fmt.Sprintf("%s %s beside %s\n", r.id, r.target.text(r.percent, r.unit), baseline)
	}
	if got != want {
		t.Errorf("the targets are%s\nwant%s", got, want)
	}
}

// The share of the relay depends on what the processor has for the cipher.
func TestShareTarget(t *testing.T) {
	for kernel, want := range map[string]float64{
		"AVX-512 IFMA": 0.70, "AVX-512": 0.62, "AVX2": 0.62,
		"AVX2; AVX-512 IFMA failed its self-test": 0.62, "x/crypto": 0.62,
	} {
		if got := shareTarget(kernel); got.limit != want || !got.minimum {
			t.Errorf("%s: %v, want at least %v", kernel, got, want)
		}
	}
}

// Every row with a target is measured by default, and so are a few without. No two rows
// have the same name.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.id] {
			t.Errorf("there are two rows %s", r.id)
		}
		seen[r.id] = true
		usual := r.target != nil || slices.Contains([]string{"tcp", "tcp4", "tcp-reverse", "tcp-nogso", "ping", "ping-load", "initiator"}, r.id)
		if (options{}).selects(r) != usual {
			t.Errorf("%s: measured by default: %v, want %v", r.id, !usual, usual)
		}
		if !(options{all: true}).selects(r) || !(options{only: []string{r.id}}).selects(r) || (options{only: []string{"x"}}).selects(r) {
			t.Errorf("%s: -all or -only select it wrongly", r.id)
		}
	}
}

// A workload is measured with the sides that the selected rows compare, and no others.
func TestSides(t *testing.T) {
	for _, c := range []struct {
		o    options
		of   *workload
		want []side
	}{
		{options{}, oneStream, []side{ours, rival, relay, oursIPv6}},
		{options{all: true}, oneStream, []side{ours, rival, relay, oursIPv6, rivalIPv6, fork, nebula}},
		{options{only: []string{"tcp-nebula"}}, oneStream, []side{ours, nebula}},
		{options{only: []string{"share"}}, oneStream, []side{ours, relay}},
		{options{only: []string{"ipv6"}}, oneStream, []side{ours, oursIPv6}},
		{options{}, smallUDP, []side{ours, rival}},
		{options{only: []string{"tcp"}}, smallUDP, nil},
	} {
		if got := c.o.sides(c.of); !slices.Equal(got, c.want) {
			t.Errorf("%+v, %s: %v, want %v", c.o, c.of.title, got, c.want)
		}
	}
	if got := (options{only: []string{"udp64", "share", "tcp"}}).workloads(); !slices.Equal(got, []*workload{oneStream, smallUDP}) {
		t.Errorf("the workloads of three rows are %v, want two", got)
	}
}

func TestOptions(t *testing.T) {
	good := options{runs: 1, length: time.Second, only: []string{"tcp", "memory"}}
	if err := good.check(nil); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]options{
		"no runs": {length: time.Second}, "no time": {runs: 1},
		"no row":      {runs: 1, length: time.Second, only: []string{"tcp", "nonsense"}},
		"no program":  {runs: 1, length: time.Second, only: []string{"stack"}, against: "older-wgd"},
		"no document": {runs: 1, length: time.Second, files: []string{"a file that does not exist"}},
	} {
		if o.check(nil) == nil {
			t.Error(name, "is accepted")
		}
	}
	if good.check([]string{"tcp"}) == nil {
		t.Error("an argument is accepted")
	}
}

// sample returns a table with a target that is met, one that is missed, and a row of each other kind.
func sample() *results {
	one := &workload{wantRate: 1, rateUnit: "Gbit/s"}
	r := &results{rival: "wireguard-go", took: 90 * time.Second}
	rounds := []round{
		{others: 0.02, figures: [sidesCount][]float64{ours: {4, 3, 23}, rival: {2, 4, 250}, relay: {5, 1, 0}}},
		{others: 0.05, figures: [sidesCount][]float64{ours: {3, 2, 23}, rival: {2, 4, 250}, relay: {6, 1, 0}}},
		{others: 0.01, figures: [sidesCount][]float64{ours: {5, 4, 23}, rival: {2, 4, 250}, relay: {6, 1, 0}}},
	}
	for _, row := range complete([]row{
		{id: "tcp", title: "one stream", unit: "Gbit/s", from: &workload{}, target: atLeast(1.5)},
		{id: "cpu", title: "its CPU", unit: "s/GB", from: &workload{}, figure: 1, target: atMost(0.65)},
		{id: "share", title: "share", unit: "Gbit/s", from: &workload{}, baseline: relay, percent: true, target: atLeast(0.6)},
		{id: "memory", title: "peers", unit: "MB", from: &workload{}, figure: 2, target: &target{absolute: true, limit: 22}},
		{id: "ping", title: "ping", unit: "ms", from: one},
	}) {
		r.add(row, rounds)
	}
	return r
}

var here = surroundings{when: time.Unix(0, 0).UTC(), processor: "Abacus", cores: 2, kernel: "6.18", aead: "fingers", ours: "wgd 1", theirs: "wireguard-go v0"}

// The table is written for people, and as JSON for programs.
func TestTable(t *testing.T) {
	r := sample()
	var b strings.Builder
	r.write(&b, here)
	for _, want := range []string{"1 January 1970 00:00 UTC: wgd 1 compared with wireguard-go v0, on 2 cores (Abacus), Linux 6.18, go", "AEAD kernel: fingers.\n",
		"4.00", "2.00× (1.50–2.50)     ≥ 1.5×   ok\n", "0.750× (0.500–1.00)   ≤ 0.65×  MISSED\n", "no encryption: 6.00  80.0 % (50.0–83.3)", "≥ 60 %   ok\n",
		"≤ 22 MB  MISSED\n", "Medians of 3 rounds in 90 s", " 2 % of the machine"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "fell short") {
		t.Error("the table complains about a rate that was reached")
	}
	if !r.missed() {
		t.Error("no target is missed")
	}
	b.Reset()
	if err := r.writeJSON(&b); err != nil || !json.Valid([]byte(b.String())) || !strings.Contains(b.String(), `"ok": false`) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// A comparison with an older build has no targets.
func TestAgainst(t *testing.T) {
	o := options{against: "older-wgd"}
	if o.selects(row{from: stackStream}) || !o.selects(row{from: oneStream}) {
		t.Error("a daemon is compared with a program that has a stack inside, or nothing is")
	}
	r := newResults(o)
	r.add(row{from: &workload{}, side: ours, baseline: rival, target: atLeast(3)}, []round{{figures: [sidesCount][]float64{ours: {1}, rival: {1}}}})
	if r.missed() || r.lines[0].Target != "" {
		t.Error("a comparison with an older build has targets")
	}
}

// The table says how many rounds the rows have. Rows that need only one do not
// count. Some have fewer if the time was up.
func TestRounds(t *testing.T) {
	r := results{rival: "x"}
	for _, c := range []struct {
		rounds int
		want   string
	}{{1, "One round in"}, {5, "Medians of 5 rounds in"}, {4, "Medians of 4 to 5 rounds in"}} {
		r.lines = append(r.lines, line{Ours: make([]float64, c.rounds)})
		if got := r.remarks()[0]; !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// If a program does not reach the rate that a row is about, the table says which
// rate it reached.
func TestShortOfTheRate(t *testing.T) {
	r := newResults(options{})
	r.add(row{title: "ping beside 1 Gbit/s", from: loadPing, side: ours, baseline: rival},
		[]round{{figures: [sidesCount][]float64{ours: {0.1, 0.99}, rival: {0.4, 0.812}}}})
	if want := "ping beside 1 Gbit/s: with wireguard-go the load reached 0.812 Gbit/s, not 1."; !slices.Equal(r.notes, []string{want}) {
		t.Errorf("%q", r.notes)
	}
}

// If nearly all arrives that the load has sent, the table says that it did not find out
// how much can.
func TestLoadIsTheLimit(t *testing.T) {
	r := newResults(options{})
	r.add(row{title: "200 peers, at most", from: floodIn100, side: ours, baseline: rival},
		[]round{{figures: [sidesCount][]float64{ours: {198, 3, 200}, rival: {120, 9, 190}}}})
	if want := "200 peers, at most: with wgd nearly all arrived that the load sent, so the load is the limit."; !slices.Equal(r.notes, []string{want}) {
		t.Errorf("%q", r.notes)
	}
	r = newResults(options{})
	r.add(row{title: "200 peers", from: gatewayIn100, side: ours, baseline: rival},
		[]round{{figures: [sidesCount][]float64{ours: {3, 59.9, 60}, rival: {9, 44, 60}}}})
	if want := "200 peers: with wireguard-go the load reached 44.0 thousand a second, not 60."; !slices.Equal(r.notes, []string{want}) {
		t.Errorf("%q", r.notes)
	}
}

// What many peers cost is counted for each packet that arrived, since the first reading.
func TestGatewayFigures(t *testing.T) {
	before := gatewayReading{load.Reading{Packets: 1000, Nanoseconds: 5e9}, time.Second, 700}
	after := gatewayReading{load.Reading{Packets: 121_000, Nanoseconds: 7e9}, 1200 * time.Millisecond, 100_700}
	var got []float64
	err := lab.Bound(func(t lab.T) { got = after.figures(t, "wgd", before) })
	if want := []float64{2, 50, 60}; err != nil || len(got) != 3 || math.Abs(got[0]-want[0]) > 1e-9 || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	after.delivered = before.delivered
	if err := lab.Bound(func(t lab.T) { after.figures(t, "wgd", before) }); err == nil {
		t.Error("nothing that arrived is no error")
	}
}

// Packets that a daemon has joined are counted one by one, and others than those that the
// peers send are noticed.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		bytes, packets uint64
		want           uint64
		ok             bool
	}{
		{0, 0, 0, true}, {100, 1, 1, true}, {5000, 50, 50, true}, {100 + 172, 2, 3, true}, {28 + 5*72, 1, 5, true},
		{101, 1, 0, false}, {100 + 60, 2, 0, false}, {27, 1, 0, false}, {12, 1, 0, false},
	} {
		if n, ok := split(c.bytes, c.packets, 100); ok != c.ok || ok && n != c.want {
			t.Errorf("%+v: %d, %v", c, n, ok)
		}
	}
}

// Only the parts that a document has places for are replaced. The rest of it stays.
func TestWriteInto(t *testing.T) {
	table, summary := parts[0], parts[1]
	page := func(parts ...part) string {
		text := "before\n"
		for _, p := range parts {
			text += p.begins() + "old\n" + p.ends() + "after\n"
		}
		file := filepath.Join(t.TempDir(), "page.md")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const row, short = "| one stream, Gbit/s | 4.00 | 2.00 | 2.00× (1.50–2.50) | ≥ 1.5× | ok |\n", "| one stream, Gbit/s | 4.00 | 2.00 | 2.00× |\n"
	r := sample()
	for _, c := range []struct {
		file         string
		rows, shorts int
		machine      string
	}{
		{page(table), 1, 0, "2 cores (Abacus)"},
		{page(summary), 0, 1, "1 January 1970, on 2 cores (Abacus), Linux 6.18,"},
		{page(summary, table), 1, 1, "(Abacus)"},
	} {
		for range 2 {
			if err := hasPlace(c.file); err != nil {
				t.Fatal(err)
			}
			if err := r.writeInto([]string{c.file}, here); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		if strings.Count(got, row) != c.rows || strings.Count(got, short) != c.shorts || !strings.Contains(got, c.machine) ||
			strings.Contains(got, "old") || !strings.HasPrefix(got, "before\n<!-- ") || !strings.HasSuffix(got, "-->\nafter\n") {
			t.Errorf("the document is wrong:\n%s", got)
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(line)); n > lineWidth+1 && !strings.HasPrefix(line, "|") {
				t.Errorf("%d characters in %q", n, line)
			}
		}
	}
	if hasPlace(page()) == nil {
		t.Error("a document without a place for the table is accepted")
	}
	if r.writeInto([]string{filepath.Join(t.TempDir(), "nothing.md")}, here) == nil {
		t.Error("writing a document that does not exist succeeds")
	}
}

// The rows of the summary are rows of the benchmark.
func TestSummaryRows(t *testing.T) {
	for _, id := range summaryRows {
		if !slices.Contains(ids(rows), id) {
			t.Errorf("the summary has a row %s, the benchmark has not", id)
		}
	}
}

func TestFold(t *testing.T) {
	word := strings.Repeat("é", 49)
	if got, want := fold(word+" ab "+word+" a\n "+word), word+" ab\n"+word+" a\n"+word; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := fold(word + " a " + word[:2*48]); strings.Contains(got, "\n") {
		t.Errorf("%q: a line of %d characters is broken", got, lineWidth)
	}
}

// The pages have the places for the table and the summary.
func TestPagesHavePlaces(t *testing.T) {
	files := []string{"../../docs/performance.md", "../../README.md"}
	if err := (options{runs: 1, length: time.Second, files: files}).check(nil); err != nil {
		t.Error(err)
	}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := parts[i].fill(string(text), ""); !ok {
			t.Errorf("%s has no place for the %s", file, parts[i].name)
		}
	}
}

func TestProcessor(t *testing.T) {
	if got := processor("processor\t: 0\nmodel name\t: Some  CPU @ 3\nflags: fpu\n"); got != "Some CPU @ 3" {
		t.Error(got)
	}
	if got := processor("CPU implementer : 0x41\n"); got != "unknown" {
		t.Error(got)
	}
}

// A round counts as undisturbed if other programs used little of the machine.
func TestUndisturbed(t *testing.T) {
	if n := undisturbed([]round{{others: 0}, {others: busy}, {others: busy + 0.01}}); n != 2 {
		t.Error(n)
	}
}
