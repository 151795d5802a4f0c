package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wgd/internal/control"
)

// proxyChild starts wgd proxy as a process of its own, which stores nothing on this computer
// but in dir.
func proxyChild(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, socket string, stdout *messages) {
	t.Helper()
	file, socket := filepath.Join(dir, "p.conf"), filepath.Join(dir, "p.sock")
	text := "[Interface]\nPrivateKey = " + checkKey + "\nAddress = 10.2.0.2/32\n[Peer]\nPublicKey = " + checkPeer + "\nAllowedIPs = 0.0.0.0/0\n[STDIOTunnel]\nTarget = 10.2.0.1:22\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, _ = wgd(append([]string{"proxy", file, "--socket", socket}, args...), nil, nil)
	cmd.Env = append(cmd.Env, "WGD_TEST_STATE="+dir)
	stdout = new(messages)
	cmd.Stdout = stdout
	t.Cleanup(func() {
		if cmd.Process != nil {
			cmd.Process.Kill()
		}
	})
	return cmd, socket, stdout
}

// SIGINT ends --ping with its statistics, and removes the control socket, also if the file
// has a service on standard input.
func TestPingIsInterrupted(t *testing.T) {
	cmd, socket, stdout := proxyChild(t, t.TempDir(), "--ping", "10.2.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answers := func() bool { _, err := control.StatusOf(socket); return err == nil }
	if !control.WaitFor(timeout, answers) {
		t.Error("the proxy does not run")
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if out := stdout.String(); !cmd.ProcessState.Exited() || !strings.Contains(out, "ping statistics") {
		t.Errorf("%v, after %q", cmd.ProcessState, out)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the control socket is left: %v", err)
	}
}

// A --stdio that waits for the proxy that runs already ends in order on SIGINT, and on the
// SIGHUP of an ssh that has ended.
func TestWaitingStdioIsInterrupted(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM} {
		dir := t.TempDir()
		silent, err := net.Listen("unix", filepath.Join(dir, "p.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		cmd, _, _ := proxyChild(t, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // it looks whether somebody listens, and then asks
			conn, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
	}
}
