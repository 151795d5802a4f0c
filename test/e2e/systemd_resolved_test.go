package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// What the unit forbids does not keep wgd from systemd-resolved: start, reload and stop set
// and revert the name servers, and they are set again after a restart that has lost them.
func TestSystemdResolved(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "DNS = 10.2.0.1, ~corp.example")
	r := startResolved(t, b)
	s := bootWithUnit(t, b, lab.Ours)
	s.Must("systemctl daemon-reload && systemctl start wgd@wg0")
	set(t, r, "started", "10.2.0.1 | ~corp.example | no")
	b.Must("sed -i 's/^DNS = .*/DNS = 10.2.0.1, 10.2.0.7/' /etc/wireguard/wg0.conf")
	s.Must("systemctl reload wgd@wg0")
	set(t, r, "reloaded", "10.2.0.1 10.2.0.7 | ~. | yes")
	r.Stop()
	r.Forget()
	r.Start()
	set(t, r, "systemd-resolved is started again", "10.2.0.1 10.2.0.7 | ~. | yes")
	old := b.Daemon(lab.Ours).PID
	b.Must("kill -KILL %d", old)
	lab.Until(t, time.Minute, "systemd starts it again", func() (bool, string) {
		result, pids := s.Run("systemctl is-active wgd@wg0"), b.PIDs(lab.Ours)
		return result.Code == 0 && len(pids) == 1 && pids[0] != old, result.Out
	})
	set(t, r, "started again after a crash", "10.2.0.1 10.2.0.7 | ~. | yes")
	s.Must("systemctl stop wgd@wg0")
	if got := r.Settings("wg0"); got != "" {
		t.Errorf("after stop systemd-resolved has %q", got)
	}
	if log := s.Must("journalctl --no-pager -u wgd@wg0"); strings.Contains(log, "DNS") {
		t.Errorf("the log of the unit has:\n%s", log)
	}
	nothingLeft(t, b)
}

// Without systemd-resolved, a tunnel that it had the name servers of goes down as usual,
// and the next one goes up and down. When systemd-resolved is started again, it has nothing
// of either.
func TestDNSWhenResolvedHasStopped(t *testing.T) {
	t.Parallel()
	b, r, _ := resolvedPair(t)
	before := resolvLink(b)
	noWarning(t, b, "wgd up wg0")
	r.Stop()
	if result := b.Run("wgd down wg0"); result.Code != 0 || !strings.Contains(result.Err, "not running") {
		t.Errorf("down: exit status %d: %s", result.Code, result.Err)
	}
	noWarning(t, b, "wgd up wg0")
	asked(t, b, "up", "10.2.0.1 corp.example")
	r.Start()
	if got := r.Settings("wg0"); got != "- | - | no" {
		t.Errorf("after a start, systemd-resolved has %q", got)
	}
	noWarning(t, b, "wgd down wg0")
	lab.Unchanged(t, "down", before, resolvLink(b))
	noWarning(t, b, "wgd up wg0")
	set(t, r, "up again", setForAll)
}

// After a restart of the bus, systemd-resolved still resolves names, but nobody can tell it
// anything. When it is started again, it gets the name servers of the tunnel again.
func TestDNSWhenBusRestarts(t *testing.T) {
	t.Parallel()
	b, r, _ := resolvedPair(t)
	noWarning(t, b, "wgd up wg0")
	set(t, r, "up", setForAll)
	r.StopBus()
	r.StartBus()
	answer(t, r, "after a restart of the bus", "www.example", "10.2.0.80")
	r.Stop()
	r.Forget()
	r.Start()
	set(t, r, "both are started again", setForAll)
	noWarning(t, b, "wgd down wg0")
}
