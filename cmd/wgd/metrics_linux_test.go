package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startServer starts wgd metrics or web in a process of its own. It returns the first line
// that it prints, when it serves.
func startServer(t *testing.T, command, address string) (cmd *exec.Cmd, line string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], command, "--listen", address)
	cmd.Env = append(os.Environ(), "WGD_TEST_RUN=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

// startMetrics starts wgd metrics, and returns the address that it serves.
func startMetrics(t *testing.T, address string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd, line := startServer(t, "metrics", address)
	return cmd, strings.TrimPrefix(line, "serving ")
}

func fetch(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(body)
}

// It serves on a port and on a unix socket, and ends with exit status 0 on SIGTERM, even
// while a client is connected.
func TestMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.sock")
	for _, address := range []string{"127.0.0.1:0", "unix:" + path} {
		cmd, url := startMetrics(t, address)
		client := &http.Client{}
		if strings.HasPrefix(address, "unix:") {
			if want := "/metrics on the unix socket " + path; url != want {
				t.Errorf("it says %q, not %q", url, want)
			}
			url = "http://socket/metrics"
			client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			}}
		}
		if body := fetch(t, client, url); !strings.Contains(body, "wgd_build_info{") {
			t.Errorf("%s:\n%s", url, body)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: after SIGTERM: %v", address, err)
		}
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// A wrong address is an error that says what is possible.
func TestMetricsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"9586":                   "not an address: give ADDRESS:PORT",
		"::1:9586":               "not an address",
		"127.0.0.1:x":            "not an address",
		"127.0.0.1:70000":        "not an address",
		"vpn.example.com:9586":   "not an address",
		"192.0.2.1:9586":         "choose an address of this computer",
		taken.Addr().String():    "choose an address of this computer and a port that is free",
		"unix:":                  "has no path",
		"unix:" + file:           "no socket",
		"unix:" + file + "/sock": "--listen unix:",
	} {
		if status, _, errs := run("metrics", "--listen", address); status != 1 || !strings.Contains(errs, want) {
			t.Errorf("--listen %s: exit status %d, %s", address, status, errs)
		}
	}
}

// The daemon's summary says what its process uses.
func TestSummaryOfProcess(t *testing.T) {
	s := target{Interface: openFake(t)}.Summary()
	if s.Goroutines < 2 || s.Memory < 1<<20 || s.Memory > 4<<30 || time.Since(s.Started) > time.Hour {
		t.Errorf("%+v", s)
	}
}
