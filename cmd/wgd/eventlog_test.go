package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/history"
)

// The log is rotated by its size, keeps five earlier files, loses no event at the
// change, and knows where it ended when it is opened again.
func TestEventLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	open := func() *eventLog {
		t.Helper()
		l, err := openEventLog(path, t.Errorf)
		if err != nil {
			t.Fatal(err)
		}
		l.limit = 1000
		return l
	}
	l := open()
	const n = 80
	for i := range uint64(n) {
		if i == n/2 {
			l.close()
			l = open()
			if at, ok := l.last("wg0"); !ok || at != (position{"R", n/2 - 1}) {
				t.Errorf("opened again, it is at %+v, %v", at, ok)
			}
		}
		if err := l.put(t.Context(), "wg0", "R", &conf.Event{Seq: i, Time: time.Now(), Kind: conf.WentUp}); err != nil {
			t.Fatal(err)
		}
	}
	l.close()
	var all strings.Builder
	for i := keptEventLogs; i >= 0; i-- {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		text, err := os.ReadFile(name)
		if err != nil || len(text) > 1000 {
			t.Errorf("%s has %d bytes, %v", name, len(text), err)
		}
		all.Write(text)
	}
	next := 0
	for line := range strings.Lines(all.String()) {
		l, err := history.Parse([]byte(line))
		if err != nil || next > 0 && l.Event.Seq != uint64(next) {
			t.Errorf("the line %q after event %d: %v", line, next-1, err)
		}
		next = int(l.Event.Seq) + 1
	}
	if next != n {
		t.Errorf("the last event is %d, want %d", next-1, n-1)
	}
}

// What a crash left of a line is removed.
func TestEventLogAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	whole := `{"interface":"wg0","run":"R","seq":7}` + "\n"
	for _, text := range []string{whole + `{"interface":"wg0","ru`, whole, `{"inter`, "", "no event\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := openEventLog(path, t.Errorf)
		if err != nil {
			t.Fatal(err)
		}
		l.put(t.Context(), "wg0", "R", &conf.Event{Seq: 8, Time: time.Now(), Kind: conf.WentUp})
		l.close()
		got, _ := os.ReadFile(path)
		kept := text[:strings.LastIndexByte(text, '\n')+1]
		rest, found := strings.CutPrefix(string(got), kept)
		if l, err := history.Parse([]byte(rest)); !found || err != nil || l.Event.Seq != 8 || strings.Count(rest, "\n") != 1 {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// A file has one writer. The next one can begin when the first has ended, or has begun
// another file, and says that it begins.
func TestEventLogHasOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first, err := openEventLog(path, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openEventLog(path, t.Errorf); err == nil || !strings.Contains(err.Error(), "another wgd watch writes to it") {
		t.Errorf("a second writer: got %v", err)
	}
	first.put(t.Context(), "wg0", "R", &conf.Event{Seq: 8, Time: time.Now(), Kind: conf.WentUp})
	if err := first.rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := openEventLog(path, t.Errorf); err == nil {
		t.Error("a second writer of the new file is not refused")
	}
	first.close()
	second, err := openEventLog(path, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	second.start(t.Context(), "wg0")
	text, _ := os.ReadFile(path)
	l, err := history.Parse(text)
	if err != nil || l.Event.Kind != conf.WatchStarted || l.Run != "R" || l.Event.Seq != 8 {
		t.Errorf("got %q, %v", text, err)
	}
}
