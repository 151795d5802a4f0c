package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// starters are the commands that start a daemon for wg0 in the background.
var starters = []string{"wgd wg0", "wg-ifconfig wg0 create"}

// The daemon does not inherit file descriptors, such as a lock or a pipe, from the
// process that starts it.
func TestDaemonInheritsNothing(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, start := range starters {
		// cat ends when no process has the pipe open.
		r := h.RunFor(20*time.Second, "(exec 9>/run/lock 7>&1 && flock 9 && "+start+" >/dev/null 2>&1 </dev/null) | cat", nil)
		if r.Code != 0 || r.Took > 10*time.Second {
			t.Errorf("%s: exit status %d after %v\n%s", start, r.Code, r.Took, r.Err)
		}
		h.Must("flock -w 5 /run/lock true") // what ends closes it a moment later than its output
		h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
	}
	// In the foreground it keeps what it was given.
	h.Must("(exec 9>/run/lock && flock 9 && exec wgd -f wg0) >/dev/null 2>&1 & until wg show wg0 2>/dev/null; do sleep 0.05; done")
	if r := h.Run("flock -n /run/lock true"); r.Code == 0 {
		t.Error("wgd -f closed a descriptor that it inherited")
	}
	h.Must("wg-ifconfig wg0 destroy && flock -w 5 /run/lock true")
}

// Environment variables that are for other programs too do not keep the daemon from
// starting in the background.
func TestSharedVariables(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for _, v := range []struct{ set, warning string }{
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
			r := h.Run(v.set + " " + start + " >/run/output 2>&1")
			output := h.Must("cat /run/output")
			if r.Code != 0 || v.warning == "" && output != "" || !strings.Contains(output, v.warning) || strings.Count(output, "\n") > 1 {
				t.Errorf("%s %s: exit status %d\n%s", v.set, start, r.Code, output)
			}
			h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
		}
	}
	if r := h.RunFor(20*time.Second, "WG_PROCESS_FOREGROUND=1 wg-ifconfig wg0 create", nil); r.Code != 0 || r.Err != "" {
		t.Errorf("WG_PROCESS_FOREGROUND=1 wg-ifconfig wg0 create: exit status %d\n%s", r.Code, r.Err)
	}
	h.Must("wg show wg0 && wg-ifconfig wg0 destroy")
}

// If the daemon does not start, the command that starts it prints the reason, once and
// whatever LOG_LEVEL is, and at most one line about what to run instead.
func TestWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mount -t tmpfs none /dev/net")
	for _, set := range []string{"", "LOG_LEVEL=verbose ", "LOG_LEVEL=silent ", "WG_PROCESS_FOREGROUND=1 "} {
		for _, start := range starters {
			printed := h.Fails(1, set+start, "there is no /dev/net/tun")
			reason, more, _ := strings.Cut(printed, "\n")
			if !strings.Contains(reason, "there is no /dev/net/tun") || more != "" && (!strings.HasPrefix(more, "wgd: or run ") || strings.Count(more, "\n") != 1) {
				t.Errorf("%s%s prints, want the reason, once:\n%s", set, start, printed)
			}
		}
	}
}

// If the process that reads the log ends, or stops reading, the daemon continues, also
// in the foreground.
func TestLogWithoutReader(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{"10.2.0.1/24"}})
	for _, reader := range []string{"true", "sleep 1000"} {
		for _, start := range append([]string{"wgd -f wg0"}, starters...) {
			b.Must("umask 077; wg-keygen > /etc/wg/wg0")
			b.Must("(LOG_LEVEL=verbose %s 2>&1 | %s) >/dev/null 2>&1 & until wg show wg0 2>/dev/null; do sleep 0.05; done", start, reader)
			d := b.Daemon(lab.Ours)
			for range 1000 { // a warning for each, which is more than a pipe holds
				d.Set("public_key=" + strings.Repeat("0", 64))
			}
			b.Must("wgconfig wg0 set private-key /etc/wg/wg0 && wg-ifconfig wg0 inet 10.2.0.2/24 up")
			public := strings.TrimSpace(b.Must("wg-keygen --pub < /etc/wg/wg0"))
			a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", public)
			b.Must("wgconfig wg0 add peer a %s --allowed-ips=10.2.0.1/32 --endpoint=192.0.2.1:1234", ta.Public)
			b.Ping("10.2.0.1", 1)
			a.Must("wgconfig wg0 delete peer b")
			b.Must("wg-ifconfig wg0 destroy")
			ends(t, b, 10*time.Second)
		}
	}
}

// Commands whose output is not read to its end are killed by SIGPIPE, without a
// message, as usual.
func TestHead(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("wgd wg0")
	lines := []string{}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("public_key=%064x", i+2))
	}
	h.Daemon(lab.Ours).Set(lines...) // so that the output is more than a pipe holds
	for _, line := range []string{"wgconfig wg0", "wgconfig wg0 --json", "wgd demo"} {
		r := h.Run(fmt.Sprintf("{ %s; echo $? >/run/status; } | head -n 1 >/dev/null", line))
		if status := h.Must("cat /run/status"); r.Err != "" || status != "141\n" {
			t.Errorf("%s | head: exit status %s, standard error %q, want 141 and nothing", line, status, r.Err)
		}
	}
	h.Fails(1, "wgconfig wg0 >/dev/full", "no space left")
}
