package lab

import (
	"fmt"
	"strings"
	"time"
)

// A Systemd is a systemd that runs on a host as process 1 of PID, mount and cgroup
// namespaces of its own. It has the network and the files of the host, but its own /tmp,
// /dev and units: those of the journal, and targets that do nothing.
type Systemd struct {
	host  *Host
	group string // the folder of its cgroup
	pid   int    // on the host
}

// boot becomes process 1. What systemd would set for the whole machine is out of its
// reach: all of /proc/sys but the network's, and the machine's devices.
const boot = `
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir /run/boot.d
mount --bind /proc/sys/net /run/boot.d
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --move /run/boot.d /proc/sys/net
mkdir /run/units
for name in sysinit basic network-online nss-lookup shutdown umount multi-user; do
	printf '[Unit]\nDefaultDependencies=no\n' >/run/units/$name.target
done
cp /usr/lib/systemd/system/systemd-journald* /run/units
rm -rf /etc/systemd/system /etc/systemd/journald.conf.d
mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
printf '[Journal]\nReadKMsg=no\nStorage=volatile\n' >/etc/systemd/journald.conf.d/lab.conf
for folder in /tmp /var/tmp /dev /usr/lib/systemd/system-generators; do
	mount -t tmpfs -o mode=1777 none $folder
done
mount --bind /run/units /usr/lib/systemd/system
mkdir /dev/net
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/zero c 1 5
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
mknod -m 600 /dev/kmsg c 1 11
mknod -m 666 /dev/tty c 5 0
mknod -m 666 /dev/ptmx c 5 2
mknod -m 666 /dev/net/tun c 10 200
mknod -m 600 /dev/other c 1 11 # the log of the kernel, by a name that systemd does not know
mount --make-rshared / # what systemd mounts for a service is seen there
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no --dump-core=no >/run/systemd.log 2>&1
`

// StartSystemd starts systemd on the host. If this machine does not let it, missing says
// why, and there is none.
func (h *Host) StartSystemd() (s *Systemd, missing string) {
	h.t.Helper()
	if r := h.Run("test -x /usr/lib/systemd/systemd"); r.Code != 0 {
		return nil, "the program /usr/lib/systemd/systemd"
	}
	s = &Systemd{host: h, group: fmt.Sprintf("/sys/fs/cgroup/wgd-lab-%d", h.PID())}
	if r := h.Run("mount -t cgroup2 none /sys/fs/cgroup && mkdir " + s.group); r.Code != 0 {
		return nil, "a cgroup of version 2 to make others in: " + r.Err
	}
	h.t.Cleanup(s.remove)
	h.Write("/run/boot", boot)
	h.Must("(echo 0 >%s/cgroup.procs; exec unshare --mount --pid --fork --mount-proc --cgroup --uts sh -eu /run/boot) >/run/boot.log 2>&1 </dev/null &", s.group)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if pids := h.PIDs("systemd"); len(pids) == 1 {
			s.pid = pids[0]
			if r := s.Run("systemctl start systemd-journald.socket multi-user.target"); r.Code == 0 {
				return s, ""
			}
		}
		if time.Now().After(deadline) {
			return nil, "systemd as process 1 of a namespace: " + h.Run("cat /run/boot.log /run/systemd.log").Out
		}
	}
}

// remove ends everything in the cgroup, which only then can be removed.
func (s *Systemd) remove() {
	s.host.t.Helper()
	if r := s.host.Run("echo 1 >" + s.group + "/cgroup.kill"); r.Code != 0 {
		s.host.t.Errorf("the cgroup of systemd: %s", r.Err)
		return
	}
	Until(s.host.t, time.Minute, "the cgroup of systemd is removed", func() (bool, string) {
		r := s.host.Run("find " + s.group + " -depth -type d -exec rmdir {} +")
		return r.Code == 0, r.Err
	})
}

// Run runs a line of shell script where systemd sees it.
func (s *Systemd) Run(line string) Result {
	quoted := "'" + strings.ReplaceAll(line, "'", `'\''`) + "'"
	return s.host.Run(fmt.Sprintf("nsenter -t %d -m -p -C -u -- sh -c %s", s.pid, quoted))
}

// Must runs a command that must succeed, and returns its standard output.
func (s *Systemd) Must(format string, args ...any) string {
	s.host.t.Helper()
	line := fmt.Sprintf(format, args...)
	r := s.Run(line)
	if r.Code != 0 {
		s.host.t.Fatalf("%s, in systemd# %s\nexit status %d\n%s%s\n%s", s.host.Name, line, r.Code, r.Out, r.Err,
			s.Run("systemctl --failed --no-pager; journalctl --no-pager -n 50").Out)
	}
	return r.Out
}
