package main

import (
	"slices"
	"strings"
	"testing"
)

// A group that does not exist is an error before anything else: before the file is read,
// and before the daemon starts.
func TestUnknownReadGroup(t *testing.T) {
	for _, args := range []string{"wg0", "-f wg0", "up none.conf", "up -f none.conf", "proxy --socks5 127.0.0.1:0 none.conf"} {
		status, _, errs := run(append(strings.Fields(args), "--read-group", "no-such-group")...)
		if want := "--read-group no-such-group: no such group in /etc/group: create it with groupadd(8), or give its number"; status != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d, %s", args, status, errs)
		}
	}
}

// Completion offers the groups of this system.
func TestCompleteGroup(t *testing.T) {
	if names := completeGroup(nil); !slices.Contains(names, "root") {
		t.Errorf("got %v", names)
	}
}
