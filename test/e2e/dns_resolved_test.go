package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve/dns/dnstest"
	"wgd/test/lab"
)

// startResolved starts systemd-resolved, whose own name server, that of the LAN, is a.
func startResolved(t *testing.T, h *lab.Host) *lab.Resolved {
	t.Helper()
	r, missing := h.StartResolved()
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatalf("there is no %s", missing)
	}
	if missing != "" {
		t.Skipf("LEFT OUT: name servers with systemd-resolved: there is no %s", missing)
	}
	r.Stop()
	h.Must("mkdir /etc/systemd/resolved.conf.d && printf '[Resolve]\nDNS=192.0.2.1\n' > /etc/systemd/resolved.conf.d/lan.conf")
	r.Start()
	return r
}

// resolvedPair is two hosts: a, with the name server of the LAN and that of the tunnel,
// which know different addresses; and b, with systemd-resolved and the file of a tunnel to
// a.
func resolvedPair(t *testing.T) (b *lab.Host, r *lab.Resolved, lan *dnstest.Server) {
	a, b := lab.Pair(t)
	r = startResolved(t, b)
	upFiles(a, b, "DNS = 10.2.0.1, corp.example")
	b.Must("sed -i 's,0.0.0.0/0.*,10.2.0.1/32,' /etc/wireguard/wg0.conf")
	a.Must("wgd up wg0")
	lan = dnstest.StartOn(t, a.PID(), "192.0.2.1")
	lan.SetAddrs("www.example", 3600, "192.0.2.80")
	inside := dnstest.StartOn(t, a.PID(), "10.2.0.1")
	inside.SetAddrs("www.example", 3600, "10.2.0.80")
	inside.SetAddrs("host.corp.example", 3600, "10.2.0.81")
	return b, r, lan
}

// set waits until systemd-resolved has this for wg0.
func set(t *testing.T, r *lab.Resolved, when, want string) {
	t.Helper()
	lab.Until(t, time.Minute, when, func() (bool, string) { got := r.Settings("wg0"); return got == want, got })
}

// resolvLink is /etc/resolv.conf, and what is beside it. systemd-resolved itself writes the
// file to which it leads.
func resolvLink(h *lab.Host) string { return h.Must("ls -li --time-style=full-iso /etc/resolv.conf*") }

// answer waits until a program that looks up a name gets this address.
func answer(t *testing.T, r *lab.Resolved, when, name, want string) {
	t.Helper()
	lab.Until(t, time.Minute, when+": "+name, func() (bool, string) { got := r.Query(name); return got == want, got })
}

const setForAll = "10.2.0.1 | corp.example ~. | yes"

// The name servers of the tunnel are asked for all names, or with ~DOMAIN for those below
// the domain, which the LAN then does not learn; after down, the name servers of the LAN
// are asked again. /etc/resolv.conf stays.
func TestDNSWithResolved(t *testing.T) {
	t.Parallel()
	b, r, lan := resolvedPair(t)
	before := resolvLink(b)
	answers := func(when, www, corp string) {
		t.Helper()
		answer(t, r, when, "www.example", www)
		answer(t, r, when, "host.corp.example", corp)
	}
	noWarning(t, b, "wgd up wg0")
	set(t, r, "wg0 is up", setForAll)
	answers("wg0 is up", "10.2.0.80", "10.2.0.81")
	answer(t, r, "wg0 is up", "host", "10.2.0.81")
	b.Must("sed -i 's/DNS = .*/DNS = 10.2.0.1, ~corp.example/' /etc/wireguard/wg0.conf")
	contains(t, noWarning(t, b, "wgd reload wg0"), "set the name servers")
	set(t, r, "split", "10.2.0.1 | ~corp.example | no")
	answers("split", "192.0.2.80", "10.2.0.81")
	if n := lan.Asked("host.corp.example"); n != 0 {
		t.Errorf("the LAN was asked %d times for a name of the tunnel", n)
	}
	b.Must("sed -i 's/DNS = .*//' /etc/wireguard/wg0.conf")
	contains(t, noWarning(t, b, "wgd reload wg0"), "take back")
	set(t, r, "without DNS", "- | - | no")
	noWarning(t, b, "wgd down wg0")
	answers("wg0 is down", "192.0.2.80", "")
	lab.Unchanged(t, "down", before, resolvLink(b))
	if left := b.Must("ls /run/wgd/dns"); left != "lock\n" {
		t.Errorf("/run/wgd/dns has %s", left)
	}
}

// A systemd-resolved that was started again, after it has stopped or crashed, and has lost
// the name servers of the tunnel, gets them again. So does one of wgd up -f.
func TestDNSWhenResolvedRestarts(t *testing.T) {
	t.Parallel()
	b, r, _ := resolvedPair(t)
	for _, up := range []string{"wgd up wg0", "{ wgd up -f wg0 >> /run/wgd.log 2>&1 & }"} {
		b.Must("%s", up)
		set(t, r, up, setForAll)
		r.Stop()
		r.Forget()
		r.Start()
		set(t, r, up+", stopped", setForAll)
		r.Crash()
		r.Forget()
		r.Start()
		set(t, r, up+", crashed", setForAll)
		b.Must("wgd down wg0")
		if got := r.Settings("wg0"); got != "" {
			t.Errorf("%s: after down: %s", up, got)
		}
		lab.Until(t, time.Minute, "the daemon has ended", func() (bool, string) { return len(b.PIDs("wgd")) == 0, "" })
	}
}

// After a crash of the daemon, systemd-resolved asks the LAN again, and up and down work as
// before. Where it does not run, the file is replaced, and later restored.
func TestDNSWithResolvedAfterCrash(t *testing.T) {
	t.Parallel()
	b, r, _ := resolvedPair(t)
	before := resolvLink(b)
	noWarning(t, b, "wgd up wg0")
	b.Must("kill -9 %d", b.Daemon(lab.Ours).PID)
	set(t, r, "crashed", "")
	lab.Until(t, time.Minute, "the killed daemon is gone", func() (bool, string) { return len(b.PIDs("wgd")) == 0, "" })
	answer(t, r, "crashed", "www.example", "192.0.2.80")
	noWarning(t, b, "wgd up wg0")
	set(t, r, "up again", setForAll)
	noWarning(t, b, "wgd down wg0")

	r.Stop()
	noWarning(t, b, "wgd up wg0")
	asked(t, b, "not running", "10.2.0.1 corp.example")
	noWarning(t, b, "wgd down wg0")
	lab.Unchanged(t, "down", before, resolvLink(b))
	b.Must("sed -i 's/DNS = .*/DNS = 10.2.0.1, ~corp.example/' /etc/wireguard/wg0.conf")
	if r := b.Run("wgd up wg0"); r.Code != 0 || !strings.Contains(r.Err, "needs systemd-resolved") || !strings.Contains(r.Err, "not running") {
		t.Errorf("exit status %d: %s", r.Code, r.Err)
	}
	noWarning(t, b, "wgd down wg0")
}
