package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wgd/test/lab"
	"wgd/test/load"
)

// A daemon on a host does not inherit the environment of the test, however it is
// started.
func TestEnvironmentOfDaemons(t *testing.T) {
	for name, value := range map[string]string{
		"GOMAXPROCS": "1", "GODEBUG": "madvdontneed=1", "GOGC": "50", "GOMEMLIMIT": "1GiB", "LOG_LEVEL": "silent",
	} {
		t.Setenv(name, value)
	}
	for how, start := range map[string]func(*lab.Host){
		"wgd":         func(h *lab.Host) { h.StartDaemon(lab.Ours) },
		"wg-ifconfig": func(h *lab.Host) { h.Tunnel(lab.Settings{}) },
	} {
		h := lab.NewHost(t, "a")
		start(h)
		text, err := os.ReadFile(h.Path(fmt.Sprintf("/proc/%d/environ", h.Daemon(lab.Ours).PID)))
		if err != nil || !strings.Contains(string(text), "PATH=") {
			t.Fatalf("the environment is %q, error %v; want PATH in it", text, err)
		}
		for line := range strings.SplitSeq(string(text), "\x00") {
			name, value, _ := strings.Cut(line, "=")
			if strings.HasPrefix(name, "GO") && name != "GORACE" || name == "LOG_LEVEL" && value == "silent" {
				t.Errorf("%s: its environment has %s", how, line)
			}
		}
	}
}

// A worker ends with its test, also without Stop.
func TestWorkerEndsWithItsTest(t *testing.T) {
	var network string
	processes := func() (n int) {
		files, _ := filepath.Glob("/proc/[0-9]*/ns/net")
		for _, file := range files {
			if at, err := os.Readlink(file); err == nil && at == network {
				n++
			}
		}
		return n
	}
	t.Run("test", func(t *testing.T) {
		h := lab.NewHost(t, "a")
		var err error
		if network, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/net", h.PID())); err != nil {
			t.Fatal(err)
		}
		before := processes()
		load.Start(h, load.TCPEcho, load.Job{})
		if now := processes(); now != before+1 {
			t.Fatalf("the host has %d processes after the start of a worker, and had %d", now, before)
		}
	})
	if left := processes(); left != 0 {
		t.Errorf("%d processes of the host are left after its test", left)
	}
}
