package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"wgd/conf"
	"wgd/key"
)

// writeHistory writes a log in two files, as after a rotation: the first peer was connected
// two hours and one hour ago, the second never, and the log ends half an hour ago. It
// returns the path and the time of the first event.
func writeHistory(t *testing.T) (path string, begin time.Time) {
	t.Helper()
	path, begin = filepath.Join(t.TempDir(), "log"), time.Now().Add(-2*time.Hour).Truncate(time.Second)
	seq := uint64(0)
	line := func(name string, at time.Duration, kind conf.EventKind, peer byte) string {
		e := conf.Event{Seq: seq, Time: begin.Add(at), Kind: kind}
		if peer != 0 {
			seq++
			e.Seq, e.SinceBoot, e.Peer, e.Initiator = seq, time.Hour+at, key.Public{peer}, true
			e.Name = map[byte]string{1: "first", 2: "a-name-that-is-longer-than-the-column"}[peer]
			e.Endpoint = netip.AddrPortFrom(netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), 51820)
		}
		text, err := eventJSON(name, "R", &e)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	older := line("wg0", 0, conf.EventsBegin, 0) + line("wg0", time.Minute, conf.HandshakeDone, 1) + line("wg0", 3*time.Minute, conf.HandshakeDone, 1)
	newer := line("wg0", time.Hour, conf.HandshakeDone, 1) + line("wg0", time.Hour+time.Minute, conf.PeerQuiet, 1) +
		line("wg1", time.Hour, conf.WentUp, 0) + line("wg0", 90*time.Minute, conf.HandshakeFailed, 2) + `{"interface":"wg0","ru`
	for name, text := range map[string]string{path + ".1": older, path: newer} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, begin
}

// wgd history reads all files of the log, and shows each peer in a line that fits 80
// columns, or the connections of one.
func TestHistory(t *testing.T) {
	t.Setenv("LC_ALL", "C")
	path, begin := writeHistory(t)
	status, out, errs := run("history", "wg0", "--log", path)
	if status != 0 || !strings.Contains(errs, "lines that are not events were ignored: 1") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "wg0 from "+begin.Format(time.DateTime)+" to ") || !strings.HasSuffix(lines[0], "; 2 peers") {
		t.Fatalf("got\n%s", out)
	}
	for i, want := range []string{
		2: "a-name-that-is-…         0s      0  never            ....................???????",
		3: "first                 6m 0s      2  6",
	} {
		if !strings.HasPrefix(lines[i], want) || utf8.RuneCountInString(lines[i]) > 80 {
			t.Errorf("got %q, want %q", lines[i], want)
		}
	}

	_, out, _ = run("history", "wg0", "first", "--log", path)
	at := func(d time.Duration) string { return begin.Add(d).Format(time.DateTime) }
	for _, want := range []string{
		at(time.Minute) + "  ", "  expired    [2001:db8:1111:2222:3333:4444:5555:6666]:51820\n", at(time.Hour) + "  ", " 1m 0s  quiet ", " unknown\n",
		"first was connected 2 times, for 6m 0s of 2h 0m (5 %); 30m ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwithout %q", out, want)
		}
	}
}

// --json has everything, also in a part of the time.
func TestHistoryJSON(t *testing.T) {
	path, begin := writeHistory(t)
	_, out, errs := run("history", "wg0", key.Public{1}.String(), "--json", "--log", path, "--since", begin.Add(2*time.Minute).Format(time.RFC3339), "--until", "35m")
	var got jsonHistory
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Interface != "wg0" || len(got.Peers) != 1 {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	p := got.Peers[0]
	if p.Name != "first" || p.Connected != 300 || p.Unknown != 0 || p.Connections != 2 || p.State != "not-connected" || !p.LastSeen.Equal(begin.Add(time.Hour)) || len(p.Spans) != 2 {
		t.Fatalf("got %s", out)
	}
	s := p.Spans[0]
	if s.State != "connected" || !s.Since.Equal(begin.Add(time.Minute)) || !s.Begin.Equal(begin.Add(2*time.Minute)) || !s.End.Equal(begin.Add(6*time.Minute)) ||
		s.Seconds != 240 || s.Reason != "expired" || s.Sessions != 2 || len(s.Endpoints) != 1 || p.Spans[1].Since != nil {
		t.Errorf("got %+v", s)
	}
}

// Of a log to which a wgd watch writes, nothing is unknown after the last event.
func TestHistoryOfALiveLog(t *testing.T) {
	path, _ := writeHistory(t)
	log, err := openEventLog(path, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	if _, out, errs := run("history", "wg0", "first", "--log", path); strings.Contains(out, "unknown") || !strings.Contains(out, "(5 %); last seen") || errs != "" {
		t.Errorf("got\n%s%s", out, errs)
	}
}

// Wrong input is refused with a sentence that says what to do.
func TestHistoryRefusals(t *testing.T) {
	path, begin := writeHistory(t)
	empty, other := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "other")
	for name, text := range map[string]string{empty: "", other: "[Interface]\nPrivateKey = " + checkKey + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{2, "give the log: --log=FILE", []string{"wg0"}},
		{2, "--since yesterday: give a date", []string{"wg0", "--log", path, "--since", "yesterday"}},
		{2, "--since is not before --until", []string{"wg0", "--log", path, "--since", "1h", "--until", "2h"}},
		{1, "/no/such/log: no such file or directory: give the file that `wgd watch --log FILE` writes", []string{"wg0", "--log", "/no/such/log"}},
		{1, "it is not a regular file", []string{"wg0", "--log", filepath.Dir(path)}},
		{1, "has no events yet", []string{"wg0", "--log", empty}},
		{1, "is not a file of `wgd watch --log`: it has no event", []string{"wg0", "--log", other}},
		{1, "has no event of wg7, but of wg0, wg1: choose one of these", []string{"wg7", "--log", path}},
		{1, "has no event of wg0 before " + begin.Add(-time.Hour).Format(time.DateTime) + ": the first is of " + begin.Format(time.DateTime), []string{"wg0", "--log", path, "--until", begin.Add(-time.Hour).Format(time.RFC3339)}},
		{1, "before " + begin.Add(-time.Hour).Format(time.DateTime), []string{"wg0", "--log", path, "--until", begin.Add(-time.Hour).In(time.FixedZone("", 7*3600)).Format(time.RFC3339)}},
		{1, "it is not over yet", []string{"wg0", "--log", path, "--since", time.Now().Add(time.Hour).Format(time.RFC3339)}},
		{1, "peer third: " + path + " has no such peer", []string{"wg0", "third", "--log", path}},
		{1, "has no peer with this public key", []string{"wg0", key.Public{3}.String(), "--log", path}},
		{1, "interface", []string{"a/b", "--log", path}},
	} {
		status, out, errs := run(append([]string{"history"}, c.args...)...)
		if status != c.status || out != "" || !strings.Contains(errs, c.want) || strings.Contains(errs, checkKey) {
			t.Errorf("%q: exit status %d\n%s%s\nwant %d, %q", c.args, status, out, errs, c.status, c.want)
		}
	}
}

// Times are dates, times of today, both, and ages.
func TestParseMoment(t *testing.T) {
	zone := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, zone)
	for word, want := range map[string]time.Time{
		"2026-11-28": time.Date(2026, 11, 28, 0, 0, 0, 0, zone), "14:30": time.Date(2026, 11, 29, 14, 30, 0, 0, zone), "14:30:05": time.Date(2026, 11, 29, 14, 30, 5, 0, zone),
		"2026-11-28 01:02": time.Date(2026, 11, 28, 1, 2, 0, 0, zone), "2026-11-28T01:02:03": time.Date(2026, 11, 28, 1, 2, 3, 0, zone),
		"2026-11-28T01:02:03Z": time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC), "90m": now.Add(-90 * time.Minute), "1d12h": now.Add(-36 * time.Hour), "2w": now.Add(-14 * 24 * time.Hour),
		"0s": now,
	} {
		if got, ok := parseMoment(word, now); !ok || !got.Equal(want) {
			t.Errorf("%s: got %v, %v, want %v", word, got, ok, want)
		}
	}
	for _, word := range []string{"", "5", "h", "-5h", "5x", "25:00", "2026-13-01", "1026-01-01", "9999-01-01", "2000000000d", "99999999999999999999s", "200w200w6000w", "5h ", "today"} {
		if got, ok := parseMoment(word, now); ok {
			t.Errorf("%s: got %v, want a refusal", word, got)
		}
	}
}

// --svg writes a drawing to a file, which it replaces, or to standard output; a failure
// leaves nothing behind.
func TestHistorySVG(t *testing.T) {
	path, _ := writeHistory(t)
	dir := t.TempDir()
	target := filepath.Join(dir, "history.svg")
	link := filepath.Join(dir, "link.svg")
	if err := errors.Join(os.WriteFile(target, []byte("old"), 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	status, out, errs := run("history", "wg0", "--log", path, "--svg", link)
	if info, err := os.Stat(target); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file that a link leads to: %v, %v, want it with its old mode", info, err)
	}
	text, _ := os.ReadFile(target)
	if status != 0 || out != "" || !strings.HasPrefix(string(text), "<svg ") || !strings.Contains(string(text), ">first<title>") || !strings.HasSuffix(string(text), "</svg>\n") {
		t.Errorf("exit status %d, %s%s\n%s", status, out, errs, text)
	}
	fresh := filepath.Join(dir, "new.svg")
	if status, _, errs := run("history", "wg0", "--log", path, "--svg", fresh); status != 0 {
		t.Errorf("a new file: exit status %d, %s", status, errs)
	}
	if made, _ := os.ReadFile(fresh); !strings.HasPrefix(string(made), "<svg ") {
		t.Errorf("a new file has %.100q", made)
	}
	if _, out, _ := run("history", "wg0", "first", "--log", path, "--svg", "-"); !strings.Contains(out, ">first<title>") || strings.Contains(out, ">a-name") {
		t.Errorf("one peer on standard output: %s", out)
	}
	if status, _, errs := run("history", "wg0", "--log", path, "--svg", dir); status != 1 || !strings.Contains(errs, "choose another file") {
		t.Errorf("a folder: exit status %d, %s", status, errs)
	}
	if status, _, errs := run("history", "wg0", "--log", path, "--svg", target, "--json"); status != 2 || !strings.Contains(errs, "give one of them") {
		t.Errorf("two outputs: exit status %d, %s", status, errs)
	}
	for _, folder := range []string{dir, filepath.Dir(dir)} {
		if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}
