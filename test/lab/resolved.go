package lab

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Resolved is a systemd-resolved on a host, with a system bus. systemd does not run
// there: the test starts and stops both.
type Resolved struct {
	host     *Host
	pid, bus int // on the host; 0 while it does not run
}

// busConfig is the configuration of the bus, on which everybody may do everything. As where
// systemd-resolved is installed, the bus knows how it would be started.
const busConfig = `<busconfig>
<type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<servicedir>/run/dbus/services</servicedir>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy>
</busconfig>
`

// prepareResolved does what the package of systemd-resolved does when it is installed. Only
// DNS is on: other protocols would query the links of the test.
const prepareResolved = `
getent passwd systemd-resolve >/dev/null || echo systemd-resolve:x:64053:64053::/:/usr/sbin/nologin >>/etc/passwd
getent group systemd-resolve >/dev/null || echo systemd-resolve:x:64053: >>/etc/group
mkdir -p /etc/systemd /run/systemd /run/dbus/services
printf '[D-BUS Service]\nName=org.freedesktop.resolve1\nExec=/bin/false\nUser=root\n' >/run/dbus/services/resolved.service
printf '[Resolve]\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\nFallbackDNS=\n' >/etc/systemd/resolved.conf
rm -rf /etc/systemd/resolved.conf.d /etc/resolv.conf
ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
`

// The programs of the unpacked package, with the folder of its library.
var (
	resolvedProgram = "$(find " + Unpacked("systemd-resolved") + " -path '*/lib/systemd/systemd-resolved')"
	resolvedLibrary = "LD_LIBRARY_PATH=$(dirname $(find " + Unpacked("libsystemd-shared") + " -name 'libsystemd-shared*.so')) "
	resolvectl      = resolvedLibrary + Unpacked("systemd-resolved") + "/usr/bin/resolvectl "
)

// StartResolved starts systemd-resolved on the host, as on a computer where it is
// installed: /etc/resolv.conf leads to it. If this machine lacks the programs, missing says
// which.
func (h *Host) StartResolved() (r *Resolved, missing string) {
	h.t.Helper()
	for _, line := range []string{"dbus-daemon --version", "test -x " + resolvedProgram, resolvectl + "--version"} {
		if r := h.Run(line); r.Code != 0 {
			return nil, "systemd-resolved with its bus, which `make setup` provides: " + line + ": " + r.Out + r.Err
		}
	}
	r = &Resolved{host: h}
	h.Must("%s", prepareResolved)
	h.Write("/run/dbus/lab.conf", busConfig)
	r.StartBus()
	r.Start()
	return r, ""
}

// resolvedLog is the file on the host with the output of systemd-resolved and the bus.
const resolvedLog = "/run/resolved.log"

// StartBus starts the bus.
func (r *Resolved) StartBus() {
	r.host.t.Helper()
	r.bus = r.background("exec dbus-daemon --config-file=/run/dbus/lab.conf --nofork --nopidfile --nosyslog")
	r.until("the bus listens", func() bool { return r.host.Exists("/run/dbus/system_bus_socket") })
}

// StopBus ends the bus. A systemd-resolved goes on, but does not connect to another bus.
func (r *Resolved) StopBus() {
	r.host.t.Helper()
	r.end(&r.bus, "KILL")
	r.host.Must("rm -f /run/dbus/system_bus_socket")
}

// Start starts systemd-resolved, and returns when it answers on the bus.
func (r *Resolved) Start() {
	r.host.t.Helper()
	r.pid = r.background(resolvedLibrary + "exec " + resolvedProgram)
	r.until("systemd-resolved is on the bus", func() bool { return r.ctl("status").Code == 0 })
}

// Stop ends systemd-resolved, which saves its settings before.
func (r *Resolved) Stop() {
	r.host.t.Helper()
	r.end(&r.pid, "TERM")
}

// Crash kills systemd-resolved.
func (r *Resolved) Crash() {
	r.host.t.Helper()
	r.end(&r.pid, "KILL")
}

// Forget removes what a systemd-resolved that does not run has saved, as some units of it
// do when it ends (RuntimeDirectoryPreserve=no).
func (r *Resolved) Forget() {
	r.host.t.Helper()
	r.host.Must("rm -r /run/systemd/resolve")
}

// Settings returns what systemd-resolved has for a link: its name servers, its domains, and
// whether it is a default route: "10.2.0.1 | corp.example ~. | yes", "- | - | no". It returns ""
// if it does not know the link.
func (r *Resolved) Settings(link string) string {
	r.host.t.Helper()
	var parts []string
	for _, what := range []string{"dns", "domain", "default-route"} {
		result := r.ctl(what + " " + link)
		if result.Code != 0 {
			return ""
		}
		_, value, _ := strings.Cut(result.Out, "):") // Link 2 (wg0): 10.2.0.1
		parts = append(parts, cmp.Or(strings.TrimSpace(value), "-"))
	}
	return strings.Join(parts, " | ")
}

// Query looks up the IPv4 address of a name as programs do, through /etc/resolv.conf. It returns
// "" if there is none.
func (r *Resolved) Query(name string) string {
	r.host.t.Helper()
	result := r.host.Run("RES_OPTIONS='timeout:5 attempts:1' getent ahostsv4 " + name)
	address, _, _ := strings.Cut(result.Out, " ")
	return address
}

// ctl runs resolvectl.
func (r *Resolved) ctl(args string) Result { return r.host.Run(resolvectl + args) }

// background starts a program on the host, and returns its process ID there.
func (r *Resolved) background(line string) int {
	r.host.t.Helper()
	out := r.host.Must("(%s) >>%s 2>&1 </dev/null & echo $!", line, resolvedLog)
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		r.host.t.Fatalf("host %s: %s: the process ID is %q", r.host.Name, line, out)
	}
	return pid
}

// end ends a process with a signal, and waits until it is gone.
func (r *Resolved) end(pid *int, signal string) {
	r.host.t.Helper()
	r.host.Must("kill -%s %d", signal, *pid)
	r.until(fmt.Sprintf("process %d has ended", *pid), func() bool { return !r.host.Exists(fmt.Sprintf("/proc/%d", *pid)) })
	*pid = 0
}

// until waits. If it takes too long, it shows the log.
func (r *Resolved) until(what string, ok func() bool) {
	r.host.t.Helper()
	Until(r.host.t, time.Minute, what, func() (bool, string) { return ok(), r.host.Run("tail -n 20 " + resolvedLog).Out })
}
