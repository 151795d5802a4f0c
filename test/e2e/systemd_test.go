package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// forbidden are commands that a directive of the unit keeps hooks from. Elsewhere they
// succeed.
var forbidden = []struct{ directive, line string }{
	{"ProtectSystem", "touch /usr/bin/probe && rm /usr/bin/probe"},
	{"ProtectHome", "touch /root/probe && rm /root/probe"},
	{"ProtectControlGroups", "mkdir /sys/fs/cgroup/probe && rmdir /sys/fs/cgroup/probe"},
	{"DevicePolicy", "dd if=/dev/null of=/dev/other count=0 conv=notrunc"},
	{"ProtectKernelLogs", "dd if=/dev/null of=/dev/kmsg count=0 conv=notrunc"},
	{"RestrictNamespaces", "unshare --uts true"},
	{"SystemCallFilter", "mount -t tmpfs none /mnt && umount /mnt"},
	{"LockPersonality", "setarch --addr-no-randomize true"},
	{"RestrictSUIDSGID", "install -m 4755 /dev/null /run/probe.suid && rm /run/probe.suid"},
	{"PrivateTmp", "test -e /tmp/of-all"},
	{"ProtectProc", "! grep -q '^proc /proc .*invisible' /proc/mounts"},
}

// bootWithUnit starts systemd on a host, with the unit of a program as it is, and the
// program where the unit expects it.
func bootWithUnit(t *testing.T, h *lab.Host, program string) *lab.Systemd {
	t.Helper()
	h.Must("mkdir /run/upper /run/work && mount -t overlay overlay -o lowerdir=/usr/bin,upperdir=/run/upper,workdir=/run/work /usr/bin && cp $(command -v %s) /run/upper", program)
	s, missing := h.StartSystemd()
	if missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skipf("NOT TESTED: the unit in systemd: there is no %s", missing)
	}
	unit := "/run/units/" + program + "@.service"
	h.Write(unit, readUnit(t, program))
	h.Must("chmod 644 %s", unit)
	return s
}

// A real systemd runs the unit as it is: it starts, reloads and stops the tunnel of a
// default route, whose key is a credential, and starts it again after a crash. What the
// unit forbids is really forbidden.
func TestSystemd(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = sh /run/probe\nPostDown = echo PostDown >>/run/hooks")
	a.Must("wgd up wg0")
	s := bootWithUnit(t, b, lab.Ours)
	b.Must("mkdir -p /etc/credstore && sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf >/etc/credstore/wg0.key && sed -i 's|^PrivateKey = .*|PrivateKeyFile = $CREDENTIALS_DIRECTORY/wg0.key|' /etc/wireguard/wg0.conf")
	s.Must("mkdir /etc/systemd/system/wgd@wg0.service.d && printf '[Service]\nLoadCredential=wg0.key:/etc/credstore/wg0.key\n' >/etc/systemd/system/wgd@wg0.service.d/key.conf && systemctl daemon-reload && touch /tmp/of-all")
	script := "exec 2>/run/probe.errors\nset -x\n"
	for _, p := range forbidden {
		if r := s.Run(p.line); r.Code != 0 {
			t.Errorf("%s: outside the unit, %s fails too: this proves nothing: %s", p.directive, p.line, r.Err)
		}
		script += "if " + p.line + "; then echo " + p.directive + " >>/run/allowed; fi\n"
	}
	b.Write("/run/probe", script+"grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status >/run/status\n")
	before := b.System()

	s.Must("systemctl enable --now wgd@wg0")
	works := func(words string) {
		t.Helper()
		b.Ping("198.18.0.9", 3)
		contains(t, s.Must("systemctl status --no-pager wgd@wg0"), words)
	}
	works("Status: \"the tunnel is up\"")
	if b.Exists("/run/allowed") {
		t.Errorf("the unit does not forbid: %s: %s", b.Must("cat /run/allowed"), b.Must("cat /run/probe.errors"))
	}
	// CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_BPF are numbers 10, 12 and 39.
	contains(t, b.Must("cat /run/status"), "CapBnd:\t0000008000001400\nNoNewPrivs:\t1\nSeccomp:\t2\n")

	b.Must("sed -i 's|^Address = .*|&, 10.2.0.77/32|' /etc/wireguard/wg0.conf")
	s.Must("systemctl reload wgd@wg0")
	contains(t, b.Must("ip addr show wg0"), "10.2.0.77/32")
	b.Must("sed -i 's|^Address = .*|&\\nMTU = 5|' /etc/wireguard/wg0.conf")
	if r := s.Run("systemctl reload wgd@wg0"); r.Code == 0 {
		t.Error("a reload that fails is no error of systemctl")
	}
	b.Must("sed -i '/^MTU/d' /etc/wireguard/wg0.conf")
	works("active (running)")
	contains(t, s.Must("journalctl --no-pager -u wgd@wg0"), "/etc/wireguard/wg0.conf:")

	old := b.Daemon(lab.Ours).PID
	b.Must("kill -KILL %d", old)
	lab.Until(t, time.Minute, "systemd starts it again", func() (bool, string) {
		r := s.Run("systemctl is-active wgd@wg0")
		pids := b.PIDs(lab.Ours)
		return r.Code == 0 && len(pids) == 1 && pids[0] != old, r.Out
	})
	works("Status: \"the tunnel is up\"")

	b.Must("rm -f /run/hooks")
	s.Must("systemctl stop wgd@wg0")
	if r := s.Run("systemctl is-failed wgd@wg0"); strings.TrimSpace(r.Out) != "inactive" {
		t.Errorf("after stop the unit is %s", r.Out)
	}
	if got := b.Must("cat /run/hooks"); got != "PostDown\n" {
		t.Errorf("hooks of down: %q", got)
	}
	lab.Unchanged(t, "systemctl stop", before, b.System())
	nothingLeft(t, b)
}
