package top

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"wgd/conf"
	"wgd/internal/explain"
	"wgd/internal/live"
	"wgd/key"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// status is that of wg0 with so many peers, of which peer n has had n kB each second.
func status(peers, second int) *conf.Status {
	s := &conf.Status{Name: "wg0", Up: true, PublicKey: key.Public{200}, ListenPort: 51820}
	for n := range peers {
		p := conf.PeerStatus{PublicKey: key.Public{byte(n + 1), byte(n >> 8)}, Name: fmt.Sprintf("peer%d", n)}
		if n > 0 {
			p.Endpoint = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), 51820)
			p.AllowedIPs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 32)}
			p.LastHandshake, p.RxBytes = start, uint64(1000*n*second)
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

func update(v *View, second int, list ...*conf.Status) {
	p := Poll{At: start.Add(time.Duration(second) * time.Second), Statuses: list}
	for _, s := range list {
		p.Names = append(p.Names, s.Name)
	}
	v.Update(p)
}

// watching returns a view of some peers after three seconds.
func watching(peers int) *View {
	v := New(Options{UTF8: true, Colour: true})
	for second := range 4 {
		update(v, second, status(peers, second))
	}
	return v
}

func press(v *View, keys ...Key) {
	for _, k := range keys {
		v.Press(k)
	}
}

func typed(v *View, text string) {
	for _, r := range text {
		v.Press(Key(r))
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// screen is what the terminal shows, without styles. Each line must fit.
func screen(t *testing.T, v *View) string {
	t.Helper()
	lines := v.Screen()
	if len(lines) != v.rows {
		t.Errorf("%d lines on %d rows", len(lines), v.rows)
	}
	for i := range lines {
		lines[i] = escapes.ReplaceAllString(lines[i], "")
		if n := utf8.RuneCountInString(lines[i]); n > v.columns {
			t.Errorf("%d columns: line %d has %d:\n%s", v.columns, i, n, lines[i])
		}
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

const threePeers = `wgd top 12:00:03 3 peers: 2 works, 1 never-used
wg0 up, on UDP port 51820  in 3.00 kB/s         ███  out     0 B/s
PEER       STATE         IN/s   OUT/s TRAFFIC▼  HANDSHAKE    ENDPOINT
peer2      works      2.00 kB     0 B       ███   3s     ▁▁▁ 198.51.100.2:51820
peer1      works      1.00 kB     0 B       ███   3s     ▁▁▁ 198.51.100.1:51820
peer0      never-used     0 B     0 B              -         -`

func TestScreen(t *testing.T) {
	v := watching(3)
	v.Resize(80, 8)
	want := threePeers + "\n\nq quit  ? help  / filter  s 1-8 sort  r reverse  space pause  Enter why"
	if got := screen(t, v); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Whatever the size of the terminal is, and whatever is shown, each line fits, and there
// are as many as the terminal has.
func TestSizes(t *testing.T) {
	for columns := 1; columns < 220; columns += 3 {
		for _, rows := range []int{1, 2, 3, 5, 24, 70} {
			v := watching(60)
			other := status(3, 3)
			other.Name = "a-long-name"
			update(v, 4, status(60, 4), other)
			v.Resize(columns, rows)
			for _, k := range []Key{Down, '?', 'x', '/', Escape, End, enter} {
				v.Press(k)
				screen(t, v)
			}
		}
	}
}

// A screen that is wider shows more.
func TestWidths(t *testing.T) {
	for columns, want := range map[int][]string{
		50:  {"PEER", "STATE", "IN/s"},
		80:  {"PEER", "STATE", "IN/s", "OUT/s", "TRAFFIC", "HANDSHAKE", "ENDPOINT"},
		100: {"PEER", "STATE", "IN/s", "OUT/s", "TOTAL", "TRAFFIC", "HANDSHAKE", "ENDPOINT"},
	} {
		v := watching(3)
		v.Resize(columns, 24)
		for _, o := range orders {
			shown := strings.Contains(strings.Split(screen(t, v), "\n")[2], o.title)
			if wanted := slices.Contains(want, o.title); wanted && !shown || !wanted && shown && columns > 50 {
				t.Errorf("%d columns: column %s: %v\n%s", columns, o.title, shown, screen(t, v))
			}
		}
	}
}

func has(t *testing.T, v *View, want ...string) {
	t.Helper()
	got := screen(t, v)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in\n%s", w, got)
		}
	}
}

func lacks(t *testing.T, v *View, text string) {
	t.Helper()
	if got := screen(t, v); strings.Contains(got, text) {
		t.Errorf("%q is in\n%s", text, got)
	}
}

// first is the first row.
func first(v *View) string { return v.visible()[0].Name }

func TestSortKeys(t *testing.T) {
	v := watching(12)
	v.Press('1')
	has(t, v, "PEER▼")
	if first(v) != "peer0" || v.list[2].Name != "peer2" {
		t.Errorf("by name: %s", screen(t, v))
	}
	v.Press('r')
	has(t, v, "PEER▲")
	if first(v) != "peer11" {
		t.Errorf("reversed: %s first", first(v))
	}
	v.Press('s')
	has(t, v, "STATE▼")
	for range len(orders) {
		v.Press('s')
	}
	has(t, v, "STATE▼")
}

func TestFilterKeys(t *testing.T) {
	v := watching(12)
	typed(v, "/PEER3")
	has(t, v, "filter: PEER3", "peer3 ")
	lacks(t, v, "peer4")
	press(v, backspace)
	typed(v, "q?")
	has(t, v, "no peer matches the filter", "filter: PEERq?")
	press(v, 'U'-'@')
	typed(v, "10.0.0.7")
	press(v, enter)
	has(t, v, "filter: 10.0.0.7  1 of them", "peer7")
	typed(v, "/x")
	press(v, Escape) // as before
	has(t, v, "peer7")
	press(v, Escape)
	has(t, v, "peer4")
}

// The cursor stays on its peer when the order changes, and the screen follows it. Before
// it is moved, and after Home, the screen stays at the top.
func TestCursor(t *testing.T) {
	v := watching(60)
	press(v, Down, Down)
	if v.onto.Key != (key.Public{58}) { // peer57, the third busiest
		t.Errorf("the cursor is on %v", v.onto)
	}
	press(v, '1')
	if v.list[v.cursor].Name != "peer57" || v.cursor < v.offset || v.cursor >= v.offset+v.listHeight() {
		t.Errorf("the cursor is on row %d, and the screen on %d", v.cursor, v.offset)
	}
	has(t, v, "peer57", "58/60")
	press(v, Home, '5')
	if v.cursor != 0 || first(v) != "peer59" {
		t.Errorf("after Home: row %d, first %s", v.cursor, first(v))
	}
	press(v, End)
	has(t, v, "peer0 ", "60/60")
	press(v, PageUp, PageUp, PageUp, PageUp)
	has(t, v, "1/60")
	press(v, PageDown)
	has(t, v, fmt.Sprintf("%d/60", 1+v.listHeight()))
	press(v, End)
	update(v, 4, status(5, 4)) // the others are gone
	if v.cursor > 4 || len(v.visible()) != 5 {
		t.Errorf("row %d of %d", v.cursor, len(v.visible()))
	}
}

func TestPauseAndHelp(t *testing.T) {
	v := watching(3)
	press(v, ' ')
	has(t, v, "PAUSED")
	if !v.Paused() {
		t.Error("it is not paused")
	}
	press(v, ' ', 'h')
	for _, h := range help {
		has(t, v, h[1])
	}
	if v.Press('x') || !v.Press('q') {
		t.Error("a key other than q quits, or q does not")
	}
}

func TestDetail(t *testing.T) {
	v := watching(3)
	press(v, enter)
	id := live.ID{Interface: "wg0", Key: key.Public{3}}
	if v.Shown() != (Shown{true, id}) {
		t.Fatalf("shown is %v", v.Shown())
	}
	has(t, v, "peer peer2 of wg0", key.Public{3}.Base64(), "198.51.100.2:51820", "10.0.0.2/32", "2.00 kB/s", "6.00 kB in all", "waiting for the reasons")
	long := strings.Repeat("word ", 60)
	p := Poll{At: start.Add(4 * time.Second), Names: []string{"wg0"}, Statuses: []*conf.Status{status(3, 4)},
		Explained: &Explanation{ID: id, Text: "works well", Reasons: []explain.Reason{{Text: long + "end1", Remedy: long + "end2"}}}}
	v.Update(p)
	has(t, v, "works well", "cause", "end1", "what to do", "end2")
	v.Resize(60, 12)
	lacks(t, v, "end2")
	for range 40 {
		press(v, Down)
	}
	has(t, v, "end2", "Up Down scroll")
	press(v, PageUp, PageUp, PageUp)
	has(t, v, "peer peer2 of wg0")
	update(v, 5, status(1, 5))
	has(t, v, "the peer is gone")
	press(v, Escape)
	has(t, v, "peer0")
	if v.Shown().Wanted {
		t.Error("a peer is still shown")
	}
}

// Names and reasons of others cannot tell the terminal to do anything.
func TestEscapeSequencesAreShown(t *testing.T) {
	const evil = "\x1b]0;title\a\x1b[2J\u009b31m\r\n\u202eabc\u200b\U0001f600é"
	s := status(2, 1)
	s.Peers[0].Name, s.Peers[1].EndpointName, s.Fault = evil, evil, evil
	v := New(Options{UTF8: true})
	update(v, 0, s)
	v.Update(Poll{At: start, Names: []string{"wg0"}, Failures: []string{evil},
		Explained: &Explanation{ID: live.ID{Interface: "wg0", Key: key.Public{1}}, Text: evil, Reasons: []explain.Reason{{Text: evil, Remedy: evil}}}})
	pressed := []Key{'1', enter, enter, '/'}
	for _, k := range pressed {
		v.Press(k)
		for _, l := range v.Screen() {
			if got := escapes.ReplaceAllString(l, ""); strings.ContainsFunc(got, func(r rune) bool {
				return r < ' ' || r >= 0x7f && r <= 0xa0 || r > 0x2fff || r == 0x202e || r == 0x200b
			}) {
				t.Errorf("%q", got)
			}
		}
		if k == enter && v.mode == detail {
			has(t, v, "?]0;title??[2J?31m???abc??é")
		}
	}
	typed(v, evil)
	lacks(t, v, "\x1b")
}

// A terminal without colours gets none; one that does not show UTF-8 gets ASCII.
func TestPlainTerminals(t *testing.T) {
	v := watching(3)
	if all := strings.Join(v.Screen(), "\n"); !strings.Contains(all, "\x1b[32mworks\x1b[0m") {
		t.Errorf("no colour: %q", all)
	}
	v.options = Options{}
	all := strings.Join(v.Screen(), "\n")
	if strings.Contains(all, "\x1b[3") || strings.ContainsFunc(all, func(r rune) bool { return r > '~' }) || !strings.Contains(all, "TRAFFICv") || !strings.Contains(all, "@@@") {
		t.Errorf("%q", all)
	}
}

// What is not as usual is said.
func TestEmpty(t *testing.T) {
	v := New(Options{})
	has(t, v, "waiting for the first answer")
	update(v, 0)
	has(t, v, "no interface is running", "0 interfaces, 0 peers")
	update(v, 1, status(0, 0))
	has(t, v, "there are no peers", "has no peers")
	s := status(1, 0)
	s.Fault = "port 51820 is taken"
	update(v, 2, s)
	has(t, v, "wg0 port 51820 is taken", "1 down")
	v.Update(Poll{At: start, Failures: []string{"wg9: no such interface"}, Took: 625 * time.Millisecond})
	has(t, v, "wg9: no such interface", "every 2.5 s")
}

// More interfaces than there is room for are counted.
func TestManyInterfaces(t *testing.T) {
	var list []*conf.Status
	for n := range 5 {
		s := status(1, 0)
		s.Name = fmt.Sprintf("wg%d", n)
		list = append(list, s)
	}
	v := New(Options{UTF8: true})
	update(v, 0, list...)
	has(t, v, "5 interfaces, 5 peers", "wg0 up", "wg1 up", "and 3 more interfaces", "IFACE")
	lacks(t, v, "wg2 up")
}

// A report has all rows, and no styles.
func TestReport(t *testing.T) {
	v := watching(200)
	lines := v.Report(132)
	if len(lines) != 203 || strings.Contains(strings.Join(lines, ""), "\x1b") || !strings.HasPrefix(lines[3], "peer199 ") || !strings.HasPrefix(lines[202], "peer0 ") {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		bytes string
		final bool
		want  []Key
		rest  string
	}{
		{"aé?", false, []Key{'a', 'é', '?'}, ""},
		{"\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1b[4~", false, []Key{Up, Down, PageUp, PageDown, Home, End}, ""},
		{"\r\n\b\x7f", false, []Key{enter, enter, backspace, backspace}, ""},
		{"\x1b", false, nil, "\x1b"},
		{"\x1b", true, []Key{Escape}, ""},
		{"x\x1b[", false, []Key{'x'}, "\x1b["},
		{"\x1b[1;5", false, nil, "\x1b[1;5"},
		{"\x1b[1;5Ax", false, []Key{'x'}, ""}, // Ctrl-Up means nothing
		{"\x1b\x1b[A", false, []Key{Escape, Up}, ""},
		{"\x1bq", false, []Key{Escape, 'q'}, ""},
		{"\xc3", false, nil, "\xc3"},
		{"\xff\xfeq", false, []Key{'q'}, ""},
		{"\x1b[" + strings.Repeat("1", 40), false, nil, ""},
	} {
		keys, rest := Decode([]byte(c.bytes), c.final)
		if !slices.Equal(keys, c.want) || string(rest) != c.rest {
			t.Errorf("%q: %v and %q left, want %v and %q", c.bytes, keys, rest, c.want, c.rest)
		}
	}
}

// Whatever is typed, every byte is used at the end, and the view survives it.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("/peer\r\x1b[B\x1b[6~\rjj\x1b 1r5sG"))
	f.Add([]byte("\x1b[\x1bO\xff\xc3/\x00\x15"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := watching(40)
		keys, rest := Decode(b, false)
		more, left := Decode(rest, true)
		if len(left) != 0 {
			t.Fatalf("%q: %q is left", b, left)
		}
		for _, k := range append(keys, more...) {
			v.Press(k)
			screen(t, v)
		}
	})
}

// Only rows that are visible are formatted, so that a screen of 100,000 peers takes no
// longer than one of 100.
func BenchmarkScreen(b *testing.B) {
	for _, peers := range []int{100, 60_000} {
		b.Run(fmt.Sprint(peers), func(b *testing.B) {
			v := watching(peers)
			for b.Loop() {
				v.Screen()
			}
		})
	}
}
