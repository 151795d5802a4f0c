package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/control"
)

const timeout = 20 * time.Second

// isolate moves the test, and the processes that it starts, into a network namespace of
// its own, with /run and /var/lib of its own. The thread ends with the test.
func isolate(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_FS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	for _, dir := range []string{"/run", "/var/run", "/var/lib"} {
		if resolved, linkErr := os.Readlink(dir); linkErr == nil && strings.TrimPrefix(resolved, "/") == "run" {
			continue // /var/run is /run
		}
		if err == nil {
			err = unix.Mount("tmpfs", dir, "tmpfs", 0, "")
		}
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs a network namespace of its own, and so root: %v", t.Name(), err)
	}
}

// passedTUN opens an interface, as a program does that passes it to wgd.
func passedTUN(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs /dev/net/tun: %v", t.Name(), err)
	}
	t.Cleanup(func() { f.Close() })
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
	return f
}

// wgd returns the command that runs this program as wgd. It inherits the files, whose
// descriptors are in the variables.
func wgd(args []string, variables []string, files []*os.File) (cmd *exec.Cmd, stderr *messages) {
	cmd = exec.Command("/proc/self/exe", args...)
	stderr = new(messages)
	cmd.Stderr = stderr
	cmd.Env = append(os.Environ(), "WGD_TEST_RUN=1", "GOGC=1")
	for i, v := range variables {
		cmd.Env = append(cmd.Env, v+"="+string(rune('3'+i)))
	}
	cmd.ExtraFiles = files
	return cmd, stderr
}

// messages is what a wgd printed, without the warning of a build without encryption,
// which is not about the test.
type messages struct{ bytes.Buffer }

func (m *messages) String() string {
	return regexp.MustCompile("(?m)^WARNING: NO ENCRYPTION.*\n").ReplaceAllString(m.Buffer.String(), "")
}

// A daemon inherits an interface and a control socket, as from a program that uses
// wireguard-go. It reports that it is ready, answers requests, keeps the descriptors
// while it runs, and ends on SIGTERM with exit status 0.
func TestInheritedInterfaceAndSocket(t *testing.T) {
	isolate(t)
	device := passedTUN(t, "passed0")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: "/run/passed.sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd, stderr := wgd([]string{"-f", "passed0"}, []string{envTUN, envControl, "WGD_READY_FD"}, []*os.File{device, socket, write})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	write.Close()
	socket.Close()
	device.Close() // now only the daemon has it open
	if word, err := io.ReadAll(read); err != nil || string(word) != "ready" {
		t.Fatalf("the daemon reported %q, %v, want ready\n%s", word, err, stderr)
	}
	for range 20 { // with garbage collections in between
		if got := getStatus(t, "/run/passed.sock"); !strings.Contains(got, "errno=0") {
			t.Fatalf("the socket answers %q", got)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := net.InterfaceByName("passed0"); err != nil {
		t.Errorf("the interface: %v\n%s", err, stderr)
	}
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
	if _, err := net.InterfaceByName("passed0"); err == nil {
		t.Error("the interface still exists")
	}
	if stderr.String() != "" {
		t.Errorf("it said %q", stderr)
	}
}

// getStatus requests the status over the socket.
func getStatus(t *testing.T, path string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write([]byte("get=1\n\n")); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.HasSuffix(got.String(), "\n\n") {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(buf[:n])
	}
	return got.String()
}

// In the background, the command returns when the daemon is ready. The daemon
// then leaves the command's standard error, and continues to run.
func TestBackground(t *testing.T) {
	isolate(t)
	device := passedTUN(t, "passed1")
	cmd, stderr := wgd([]string{"passed1"}, []string{envTUN}, []*os.File{device})
	if err := cmd.Run(); err != nil { // returns when no process has its standard error open
		t.Fatalf("%v\n%s", err, stderr)
	}
	if stderr.String() != "" {
		t.Errorf("it said %q", stderr)
	}
	device.Close()
	pid := daemonBehind(t, control.SocketPath("passed1"))
	if pid == cmd.Process.Pid {
		t.Error("the daemon is the process of the command")
	}
	client, err := control.Dial("passed1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	port := uint16(51820)
	if err := client.Apply(conf.Change{ListenPort: &port}); err != nil {
		t.Error(err)
	}
	if st, err := client.Status(); err != nil || st.Name != "passed1" || st.ListenPort != port {
		t.Errorf("%+v, %v", st, err)
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	running := func() bool { // a process that has ended has no program, even if it is a zombie
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err == nil
	}
	for end := time.Now().Add(timeout); running(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the daemon still runs after SIGTERM")
		}
	}
	if _, err := os.Lstat(control.SocketPath("passed1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket still exists: %v", err)
	}
}

// As with wireguard-go, an inherited interface keeps its name, whatever name was typed,
// because wg(8) looks for a socket of that name.
func TestInheritedInterfaceKeepsItsName(t *testing.T) {
	isolate(t)
	device := passedTUN(t, "passed2")
	cmd, stderr := wgd([]string{"typed0"}, []string{envTUN}, []*os.File{device})
	if err := cmd.Run(); err != nil || stderr.String() != "" {
		t.Fatalf("%v\n%s", err, stderr)
	}
	pid := daemonBehind(t, control.SocketPath("passed2"))
	if _, err := os.Lstat(control.SocketPath("typed0")); err == nil {
		t.Error("there is a socket with the name that was typed")
	}
	unix.Kill(pid, unix.SIGTERM)
}

// daemonBehind returns the ID of the process that listens on a socket.
func daemonBehind(t *testing.T, path string) (pid int) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(who.Pid)
		}
	})
	return pid
}

// An error that keeps the daemon from starting is printed in one line, with
// exit status 1, in the foreground and in the background.
func TestStartError(t *testing.T) {
	isolate(t)
	file, err := os.CreateTemp(t.TempDir(), "no TUN")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, args := range [][]string{{"wg0"}, {"-f", "wg0"}} {
		for _, variable := range []string{envTUN, envControl} {
			cmd, stderr := wgd(args, []string{variable}, []*os.File{file})
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("%v, %s=a file: %v", args, variable, err)
			}
			if text := stderr.String(); strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "wgd: ") {
				t.Errorf("%v, %s=a file: got %q, want one line", args, variable, text)
			}
			if _, err := os.Lstat(control.SocketPath("wg0")); err == nil {
				t.Errorf("%v, %s=a file: the socket remains", args, variable)
			}
		}
		cmd, stderr := wgd(args, nil, nil)
		cmd.Env = append(cmd.Env, envTUN+"=99")
		if err := cmd.Run(); err == nil || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "bad file descriptor") {
			t.Errorf("%v, %s=99: %v, %q", args, envTUN, err, stderr)
		}
	}
}
