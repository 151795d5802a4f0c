//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A host is the thread of the test, in a network and a mount namespace of its own, and
// the programs.
type host struct {
	t        *testing.T
	programs string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t, t.TempDir()}
	built, err := build()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		if err := os.Link(filepath.Join(built, name), filepath.Join(h.programs, name)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := isolate(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs namespaces of its own, and so root: %v", t.Name(), err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs /dev/net/tun: %v", t.Name(), err)
	}
	return h
}

var programs = []string{"wgd", "wg-ifconfig", "wgconfig"}

var buildDir string // "" until build

// build builds the programs once for all tests.
var build = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "wg-ifconfig-test"); err != nil {
		return "", err
	}
	buildDir = dir
	for _, name := range programs {
		if out, err := exec.Command("go", "build", "-o", dir, "wgd/cmd/"+name).CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(status)
}

func isolate() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		return err
	}
	return unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "")
}

// run runs a program, and returns its standard output and standard error together.
func (h *host) run(line string) (out string, status int) {
	h.t.Helper()
	words := strings.Fields(line)
	program := filepath.Join(h.programs, words[0])
	if _, err := os.Stat(program); err != nil {
		program = words[0]
	}
	cmd := exec.Command(program, words[1:]...)
	// A file, because a daemon in the background may keep its outputs open.
	file, err := os.CreateTemp(h.programs, "out")
	if err != nil {
		h.t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	err = cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		h.t.Fatal(err)
	}
	text, _ := os.ReadFile(file.Name())
	return string(text), cmd.ProcessState.ExitCode()
}

// sockets returns the control sockets in the mount namespace of the test's thread.
func (h *host) sockets() []string {
	h.t.Helper()
	list, err := filepath.Glob("/proc/thread-self/root/run/wireguard/*.sock")
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// ok runs a program, which must succeed and print nothing.
func (h *host) ok(line string) {
	h.t.Helper()
	if out, status := h.run(line); status != 0 || out != "" {
		h.t.Fatalf("%s: exit status %d\n%s", line, status, out)
	}
}

// prints runs a program, which must exit with this status and print exactly this.
func (h *host) prints(line string, status int, want string) {
	h.t.Helper()
	if out, got := h.run(line); got != status || out != want {
		h.t.Fatalf("%s: exit status %d\n%s\nwant %d\n%s", line, got, out, status, want)
	}
}

// The output of the commands from create to destroy, byte for byte.
func TestLifeOfAnInterface(t *testing.T) {
	h := newHost(t)
	h.prints("wg-ifconfig", 0, "")
	h.prints("wg-ifconfig -l", 0, "\n")
	h.ok("wg-ifconfig wg0 create")
	if sockets := h.sockets(); len(sockets) != 1 {
		t.Errorf("the sockets are %v, want one", sockets)
	}
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8000<MULTICAST> mtu 1420\n\tstatus: inactive\n")
	h.ok("wg-ifconfig wg0 inet 10.2.0.1/24")
	h.ok("wg-ifconfig wg0 inet6 fd00:2::1/64 alias")
	h.ok("wg-ifconfig wg0 up")
	shown := "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n" +
		"\tstatus: active\n\tinet6 fd00:2::1/64 flags 0\n\tinet 10.2.0.1/24 flags 0\n"
	h.prints("wg-ifconfig wg0", 0, shown)
	h.ok("wg-ifconfig wg0 inet 10.2.0.1/24") // which it has already

	h.ok("wg-ifconfig wg1 create mtu 1300 inet 10.3.0.1 netmask 255.255.0.0 up")
	h.prints("wg-ifconfig -l", 0, "wg0 wg1\n")
	h.prints("wg-ifconfig -a", 0, shown+
		"wg1: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1300\n\tstatus: active\n\tinet 10.3.0.1/16 flags 0\n")
	h.ok("wg-ifconfig wg1 destroy")

	// Changes by ip(8) are shown.
	h.ok("ip link set wg0 mtu 1400")
	h.ok("ip address del 10.2.0.1/24 dev wg0")
	h.ok("ip address add 10.2.0.9/32 dev wg0")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1400\n"+
		"\tstatus: active\n\tinet6 fd00:2::1/64 flags 0\n\tinet 10.2.0.9/32 flags 0\n")

	// Addresses stay while the interface is down, as in NetBSD, and can be removed.
	h.ok("wg-ifconfig wg0 down")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8000<MULTICAST> mtu 1400\n"+
		"\tstatus: inactive\n\tinet6 fd00:2::1/64 flags 0\n\tinet 10.2.0.9/32 flags 0\n")
	h.ok("wg-ifconfig wg0 inet 10.2.0.9 -alias inet6 fd00:2::1/64 delete")
	h.prints("wg-ifconfig --json", 0, `[
  {
    "name": "wg0",
    "up": false,
    "running": false,
    "multicast": true,
    "mtu": 1400,
    "fault": null,
    "addresses": []
  }
]
`)
	h.ok("wg-ifconfig wg0 destroy")
	h.prints("wg-ifconfig", 0, "")
	if left := h.sockets(); len(left) > 0 {
		t.Errorf("sockets remain: %v", left)
	}
}

// If one setting of a command is wrong, none is applied.
func TestMistakesChangeNothing(t *testing.T) {
	h := newHost(t)
	absent := "wg-ifconfig: wg0: does not exist: create it with `wg-ifconfig wg0 create`\n"
	for _, line := range []string{"wg0", "wg0 up", "wg0 destroy", "wg0 inet 10.2.0.1/24", "wg0 mtu 1400"} {
		h.prints("wg-ifconfig "+line, 1, absent)
	}
	for _, line := range []string{
		"wg0 create inet 10.2.0.1/24 inet 10.2.0.1", "wg0 create mtu 99999", "wg0 create inet 10.2.0.9/24 -alias up",
	} {
		if _, status := h.run("wg-ifconfig " + line); status != 1 {
			t.Errorf("%s: status %d", line, status)
		}
		if _, status := h.run("wg-ifconfig " + line[:5] + " nonsense"); status != 2 {
			t.Errorf("%s nonsense: status %d", line[:5], status)
		}
	}
	h.prints("wg-ifconfig", 0, "")
	h.prints("wg-ifconfig lo down", 1, "wg-ifconfig: lo: not a wg interface: use ip(8) for it\n")
	h.prints("wg-ifconfig lo create", 1, "wg-ifconfig: lo: exists already and is not a wg interface: choose another name\n")
	h.ok("ip tuntap add dev tun5 mode tun")
	h.prints("wg-ifconfig tun5", 1, "wg-ifconfig: tun5: not a wg interface: use ip(8) for it\n")
	if out, status := h.run("wg-ifconfig an-interface-with-a-long-name create"); status != 1 || strings.Count(out, "\n") != 1 {
		t.Errorf("exit status %d, %s", status, out)
	}

	h.ok("wg-ifconfig wg0 create")
	h.prints("wg-ifconfig wg0 create", 1,
		"wg-ifconfig: wg0: exists already: use it as it is, or remove it with `wg-ifconfig wg0 destroy`\n")
	h.prints("wg-ifconfig wg0 up inet 10.9.9.9/24 -alias", 1,
		"wg-ifconfig: wg0: it does not have the address 10.9.9.9/24: see `wg-ifconfig wg0`\n")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8000<MULTICAST> mtu 1420\n\tstatus: inactive\n")
	h.ok("wg-ifconfig wg0 destroy")
}

// If the kernel refuses a setting, those before it in the command are undone.
func TestRefusalUndoesEarlierSettings(t *testing.T) {
	h := newHost(t)
	h.ok("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	refused := func(address string) string {
		return "wg-ifconfig: wg0: add the address " + address + ": IPv6 is disabled: allow it with sysctl(8) (net.ipv6.conf.*.disable_ipv6=0)\n"
	}
	h.prints("wg-ifconfig wg0 create inet 10.2.0.1/24 inet6 fd00:2::1/64 up", 1, refused("fd00:2::1/64"))
	h.prints("wg-ifconfig", 0, "")
	if left := h.sockets(); len(left) > 0 {
		t.Errorf("sockets remain: %v", left)
	}

	h.ok("wg-ifconfig wg0 create inet 10.2.0.1/24")
	shown := "wg0: flags=0x8000<MULTICAST> mtu 1420\n\tstatus: inactive\n\tinet 10.2.0.1/24 flags 0\n"
	h.prints("wg-ifconfig wg0 mtu 1300 inet 10.2.0.1 -alias inet 10.3.0.1/16 up inet6 fd00:2::1/64", 1, refused("fd00:2::1/64"))
	h.prints("wg-ifconfig wg0", 0, shown)
	h.ok("wg-ifconfig wg0 up")
	h.prints("wg-ifconfig wg0 down inet6 fd00:2::1/64", 1, refused("fd00:2::1/64"))
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n\tinet 10.2.0.1/24 flags 0\n")
	h.ok("wg-ifconfig wg0 destroy")
}

// Below an MTU of 1,280 bytes, Linux has no IPv6 on an interface: there is a warning.
// When the MTU grows again, no link-local address appears by itself.
func TestSmallMTUHasNoIPv6(t *testing.T) {
	h := newHost(t)
	h.prints("wg-ifconfig wg0 create mtu 1279 inet6 fd00:2::1/64", 1,
		"wg-ifconfig: wg0: the address fd00:2::1/64 needs an mtu of 1280 or more, and it is 1279: set the mtu first\n")
	h.prints("wg-ifconfig", 0, "")
	h.prints("wg-ifconfig wg0 create inet 10.2.0.1/24 inet6 fd00:2::1/64 up mtu 576", 0,
		"wg-ifconfig: warning: wg0: it loses its IPv6 addresses: they need an mtu of 1280 or more\n")
	h.ok("wg-ifconfig wg0 mtu 1420")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n\tinet 10.2.0.1/24 flags 0\n")
	h.ok("wg-ifconfig wg0 down mtu 576")
	h.ok("wg-ifconfig wg0 mtu 9000 inet6 fd00:2::1/64 up")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 9000\n\tstatus: active\n"+
		"\tinet6 fd00:2::1/64 flags 0\n\tinet 10.2.0.1/24 flags 0\n")
	h.ok("wg-ifconfig wg0 destroy")
}

// If a daemon runs, but its interface was renamed or moved, the error says so.
func TestRenamedInterface(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create")
	h.ok("ip link set wg0 name wg9")
	renamed := "wg-ifconfig: wg0: its daemon runs, but there is no such interface here: it was renamed, or moved to another network namespace: " +
		"use ip(8) where it is, or end the daemon with kill(1)\n"
	for _, line := range []string{"wg0", "wg0 up", "wg0 destroy"} {
		h.prints("wg-ifconfig "+line, 1, renamed)
	}
	h.ok("ip link set wg9 name wg0")
	h.ok("wg-ifconfig wg0 destroy")
}

// up waits for the daemon, and reports why the interface does not work. The interface
// stays up, and shows the reason.
func TestUpReportsFault(t *testing.T) {
	h := newHost(t)
	h.ok("ip link set lo up")
	taken, err := net.ListenPacket("udp4", "0.0.0.0:1234")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h.ok("wg-ifconfig wg0 create")
	h.ok("wgconfig wg0 set listen-port 1234")
	out, status := h.run("wg-ifconfig wg0 inet 10.2.0.1/24 up inet 10.3.0.1/24")
	const prefix = "wg-ifconfig: wg0: it is up, but does not work: "
	why, ok := strings.CutPrefix(strings.TrimSpace(out), prefix)
	if status != 1 || !ok || !strings.Contains(why, "1234") {
		t.Fatalf("exit status %d, %s", status, out)
	}
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8001<UP,MULTICAST> mtu 1420\n\tstatus: inactive\n"+
		"\tinet 10.2.0.1/24 flags 0\n\tinet 10.3.0.1/24 flags 0\n\tfault: "+why+"\n")
	h.ok("wg-ifconfig wg0 inet 10.2.0.1 -alias up down inet 10.3.0.1 -alias")
	taken.Close()
	h.ok("wg-ifconfig wg0 down up")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n")
	h.ok("wg-ifconfig wg0 destroy")
}

// An error about permissions is a sentence with a solution.
func TestWithoutPermission(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create inet 10.2.0.1/24 up")
	defer h.ok("wg-ifconfig wg0 destroy")
	for dir := h.programs; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asNobody := func(line string) (string, int) {
		words := strings.Fields(line)
		cmd := exec.Command(filepath.Join(h.programs, words[0]), words[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.WaitDelay = time.Second
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), cmd.ProcessState.ExitCode()
	}
	if out, status := asNobody("wg-ifconfig wg0 down"); status != 1 ||
		out != "wg-ifconfig: wg0: set it down: no permission: run it as root or with CAP_NET_ADMIN\n" {
		t.Errorf("down: exit status %d, %s", status, out)
	}
	if out, status := asNobody("wg-ifconfig wg1 create"); status != 1 || !strings.HasPrefix(out, "wg-ifconfig: ") ||
		!strings.Contains(out, "root") {
		t.Errorf("create: exit status %d, %s", status, out)
	}
	// All users can see the interface.
	if out, status := asNobody("wg-ifconfig wg0"); status != 0 || !strings.Contains(out, "10.2.0.1/24") {
		t.Errorf("show: exit status %d, %s", status, out)
	}
}

// A name that is also a command of the daemon is a name.
func TestNameIsAWord(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig demo create inet 10.2.0.1/24")
	h.prints("wg-ifconfig -l", 0, "demo\n")
	h.ok("wg-ifconfig demo destroy")
}

// The daemon in the folder of the program is preferred to the one in PATH.
func TestDaemonIsFound(t *testing.T) {
	h := newHost(t)
	elsewhere := t.TempDir()
	if err := os.Rename(filepath.Join(h.programs, "wgd"), filepath.Join(elsewhere, "wgd")); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", "/nowhere")
	h.prints("wg-ifconfig wg0 create", 1,
		"wg-ifconfig: wgd: the daemon is neither beside wg-ifconfig nor in PATH: install it\n")
	t.Setenv("PATH", elsewhere+":"+path)
	h.ok("wg-ifconfig wg0 create")
	h.ok("wg-ifconfig wg0 destroy")
	broken := filepath.Join(h.programs, "wgd")
	script := fmt.Sprintf("#!/bin/sh\necho 'wgd: %s' >&2\nexit 1\n", "no luck today: try tomorrow")
	if err := os.WriteFile(broken, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h.prints("wg-ifconfig wg0 create", 1, "wg-ifconfig: wg0: no luck today: try tomorrow\n")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho 'fatal error: out of memory' >&2\nkill -9 $$\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.prints("wg-ifconfig wg0 create", 1, "fatal error: out of memory\n"+
		"wg-ifconfig: wg0: its daemon did not start: "+broken+": it ended at once and did not say why (signal: killed)\n")
	if err := os.WriteFile(broken, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.prints("wg-ifconfig wg0 create", 1, "wg-ifconfig: wg0: start the daemon: fork/exec "+broken+": exec format error\n")
}
