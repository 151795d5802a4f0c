package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A watchLine is a line of wgd watch --json, as far as this test reads it.
type watchLine struct {
	Interface, Run, Kind, Name, Command string
	Seq                                 uint64
	PID, UID                            int
}

// logged returns the lines of a file of wgd watch --log.
func logged(t *testing.T, h *lab.Host, file string) (list []watchLine) {
	t.Helper()
	for line := range strings.Lines(h.Must("cat %s", file)) {
		var l watchLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Interface != "wg0" || l.Run == "" && l.Kind != "watch-started" {
			t.Fatalf("%s has the line %q: %v", file, line, err)
		}
		list = append(list, l)
	}
	return list
}

// wgd watch prints what happens in sentences, says who has changed the configuration, and
// follows an interface into another run of its daemon. Its log begins with what the
// daemon has kept, misses nothing while the disk is full, and continues where it ended.
func TestWatch(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	const disk, file = "/run/small", "/run/small/log"
	a.Must("mkdir %s && mount -t tmpfs -o size=64k small %s && mountpoint -q %s && dd if=/dev/zero of=%s/full bs=4k 2>/dev/null; true", disk, disk, disk, disk)
	start := func(options, output string) {
		a.Must("setsid wgd watch %s >%s 2>&1 </dev/null & echo $! >%s.pid", options, output, output)
	}
	start("--log "+file, "/run/log.out")
	start("wg0", "/run/watch.out")
	until := func(file, want string) {
		t.Helper()
		lab.Until(t, 30*time.Second, fmt.Sprintf("%s contains %q", file, want), func() (bool, string) {
			text := a.Must("cat %s", file)
			return strings.Contains(text, want), text
		})
	}
	until("/run/log.out", "no space left on device: events are not written; trying again each second")
	// The first event that wgd watch prints shows that it follows the interface.
	lab.Until(t, 30*time.Second, "wgd watch follows the interface", func() (bool, string) {
		a.Must("wg set wg0 fwmark 0")
		text := a.Must("cat /run/watch.out")
		return strings.Contains(text, "wg0: the configuration was changed by wg (process "), text
	})
	until("/run/watch.out", " of user 0): firewall mark")
	b.Ping(lab.InnerA4, 3)
	until("/run/watch.out", ": a new session at ")
	a.Must("rm %s/full", disk)
	until("/run/log.out", "events are written again")

	a.Must(`bash -c "echo x >/dev/udp/127.0.0.1/$(wg show wg0 listen-port)"`)
	until("/run/watch.out", "wg0: a packet was dropped (not-a-message): not a WireGuard message")
	a.Must("wg set wg0 peer $(wg show wg0 peers) remove")
	until("/run/watch.out", ": the session has ended: the peer was removed")

	// The daemon ends, and another one starts: all of its events follow.
	a.Must("wg-ifconfig wg0 destroy")
	until("/run/watch.out", "wg0: the daemon has ended")
	a.Must("wgd wg0 && wgconfig wg0 set listen-port 4321 && ip link set wg0 up")
	until("/run/watch.out", "wg0: the interface is up")
	until(file, `"kind":"up"`)
	a.Must("kill $(cat /run/log.out.pid) && while kill -0 $(cat /run/log.out.pid) 2>/dev/null; do sleep 0.05; done")
	a.Must("wgconfig wg0 set listen-port 4322")
	start("--log "+file, "/run/log2.out")
	lab.Until(t, 30*time.Second, "the log has what happened while nobody wrote it", func() (bool, string) {
		list := logged(t, a, file)
		last := list[len(list)-1]
		return last.Kind == "configuration-changed" && last.Command == "wgconfig" && last.PID > 0, fmt.Sprintf("%+v", last)
	})
	runs, next := map[string]bool{}, uint64(0)
	for _, l := range logged(t, a, file) {
		switch {
		case l.Kind == "begin" && !runs[l.Run]:
			runs[l.Run], next = true, 1
		case l.Kind == "begin", l.Kind == "end", l.Kind == "watch-started":
		case l.Seq != next:
			t.Errorf("event %d of run %s, want %d: %+v", l.Seq, l.Run, next, l)
		default:
			next++
		}
	}
	if len(runs) != 2 {
		t.Errorf("the log has %d runs, want 2:\n%s", len(runs), a.Must("cat %s", file))
	}
	a.Must("kill $(cat /run/watch.out.pid) $(cat /run/log2.out.pid)")
}

// Wrong positions are refused, and old events are asked for with --since.
func TestWatchSince(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Fails(2, "wgd watch --since 3", "needs one NAME")
	h.Fails(2, "wgd watch --since x:y wg0", "RUN:SEQ")
	h.Fails(2, "wgd watch --since ../x:1 wg0", "is no run of a daemon")
	h.Fails(1, "wgd watch --log /run/no/such/log", "no such file or directory")
	h.Must("wgd wg0 && wgconfig wg0 set listen-port 77 && wgconfig wg0 set listen-port 78")
	lines := func(since string, n int) []watchLine {
		t.Helper()
		h.Must("setsid wgd watch --json --since %s wg0 >/run/since 2>&1 </dev/null & echo $! >/run/since.pid", since)
		lab.Until(t, 30*time.Second, fmt.Sprintf("wgd watch --since %s prints %d lines", since, n), func() (bool, string) {
			text := h.Must("cat /run/since")
			return strings.Count(text, "\n") >= n, text
		})
		h.Must("kill $(cat /run/since.pid)")
		return logged(t, h, "/run/since")
	}
	all := lines("0", 3)
	if all[0].Kind != "begin" || all[1].Seq != 1 || all[2].Seq != 2 {
		t.Errorf("--since 0: %+v", all)
	}
	for since, first := range map[string]uint64{"1": 2, all[0].Run + ":1": 2, "ANOTHERRUN:1": 1, "999": 1} {
		if got := lines(since, 2); got[1].Seq != first {
			t.Errorf("--since %s: %+v, want event %d first", since, got, first)
		}
	}
}
