package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// starters are the ways to have a daemon for wg0 in the background.
var starters = []string{"wgd wg0", "wg-ifconfig wg0 create"}

// A lock that is held by who starts the daemon, and a pipe of his, are not held
// by the daemon.
func TestDaemonInheritsNothing(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, start := range starters {
		// cat ends when nobody has the pipe open any more.
		r := h.RunFor(20*time.Second, "(exec 9>/run/lock 7>&1 && flock 9 && "+start+" >/dev/null 2>&1 </dev/null) | cat", nil)
		if r.Code != 0 || r.Took > 10*time.Second {
			t.Errorf("%s: exit status %d after %v\n%s", start, r.Code, r.Took, r.Err)
		}
		h.Must("flock -n /run/lock true")
		h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
	}
	// In the foreground it is who started it that decides: exec does not let go.
	h.Must("(exec 9>/run/lock && flock 9 && exec wgd -f wg0) >/dev/null 2>&1 & until wg show wg0 2>/dev/null; do sleep 0.05; done")
	if r := h.Run("flock -n /run/lock true"); r.Code == 0 {
		t.Error("wgd -f closed a descriptor that it was given")
	}
	h.Must("wg-ifconfig wg0 destroy && flock -w 5 /run/lock true")
}

// Variables that other programs read as well are no reason not to start, or not
// to come back.
func TestSharedVariables(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, v := range []struct{ set, says string }{
		{"LOG_LEVEL=info", "silent, error or verbose"},
		{"LOG_LEVEL=TRACE", "silent, error or verbose"},
		{"LOG_LEVEL=", ""},
		{"LOG_LEVEL=silent", ""},
		{"TMPDIR=/nowhere", ""},
		{"TERM= NO_COLOR= HOME= XDG_STATE_HOME=x TZ=nowhere", ""},
		{"LISTEN_FDS=3 LISTEN_PID=1 NOTIFY_SOCKET=/nowhere", ""},
		{"WG_PROCESS_FOREGROUND=0 WG_TUN_FD= WG_UAPI_FD=", ""},
	} {
		for _, start := range starters {
			r := h.Run(v.set + " " + start + " >/run/said 2>&1")
			said := h.Must("cat /run/said")
			if r.Code != 0 || v.says == "" && said != "" || !strings.Contains(said, v.says) || strings.Count(said, "\n") > 1 {
				t.Errorf("%s %s: exit status %d\n%s", v.set, start, r.Code, said)
			}
			h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
		}
	}
	if r := h.RunFor(20*time.Second, "WG_PROCESS_FOREGROUND=1 wg-ifconfig wg0 create", nil); r.Code != 0 || r.Err != "" {
		t.Errorf("WG_PROCESS_FOREGROUND=1 wg-ifconfig wg0 create: exit status %d\n%s", r.Code, r.Err)
	}
	h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
}

// Why the daemon does not start is said by who started it, once, whether its log
// is wanted or not.
func TestWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mount -t tmpfs none /dev/net")
	for _, set := range []string{"", "LOG_LEVEL=verbose ", "LOG_LEVEL=silent ", "WG_PROCESS_FOREGROUND=1 "} {
		for _, start := range starters {
			said := h.Fails(1, set+start, "there is no /dev/net/tun")
			if strings.Count(said, "\n") != 1 {
				t.Errorf("%s%s: not one line:\n%s", set, start, said)
			}
		}
	}
}

// The log's reader ends, or sleeps: the daemon goes on, in the foreground, too.
func TestLogWithoutReader(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	for _, reader := range []string{"true", "sleep 1000"} {
		for _, start := range append([]string{"wgd -f wg0"}, starters...) {
			b.Must("umask 077; wg-keygen > /etc/wg/wg0")
			b.Must("(LOG_LEVEL=verbose %s 2>&1 | %s) >/dev/null 2>&1 & until wg show wg0 2>/dev/null; do sleep 0.05; done", start, reader)
			d := b.Daemon(lab.Ours)
			for range 1000 { // a warning each, which is more than a pipe holds
				d.Set("public_key=" + strings.Repeat("0", 64))
			}
			b.Must("wgconfig wg0 set private-key /etc/wg/wg0 && wg-ifconfig wg0 inet 10.2.0.2/24 up")
			public := strings.TrimSpace(b.Must("wg-keygen --pub < /etc/wg/wg0"))
			a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", public)
			b.Must("wgconfig wg0 add peer a %s --allowed-ips=10.2.0.1/32 --endpoint=192.0.2.1:1234", ta.Public)
			b.Ping("10.2.0.1", 1)
			a.Must("wgconfig wg0 delete peer b")
			b.Must("wg-ifconfig wg0 destroy")
			ends(t, b, 5*time.Second)
		}
	}
}

// Commands whose output nobody reads to its end behave as others do: SIGPIPE ends
// them without a word.
func TestHead(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wgd wg0")
	lines := []string{}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("public_key=%064x", i+2))
	}
	h.Daemon(lab.Ours).Set(lines...) // so that what is shown is more than a pipe holds
	for _, line := range []string{"wgconfig wg0", "wgconfig wg0 --json", "wgd demo"} {
		r := h.Run(fmt.Sprintf("{ %s; echo $? >/run/status; } | head -n 1 >/dev/null", line))
		if status := h.Must("cat /run/status"); r.Err != "" || status != "141\n" {
			t.Errorf("%s | head: exit status %s, it says %q", line, status, r.Err)
		}
	}
	h.Fails(1, "wgconfig wg0 >/dev/full", "no space left")
}
