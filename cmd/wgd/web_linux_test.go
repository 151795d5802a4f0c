package main

import (
	"bufio"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// wgd web prints an address that opens the page, and ends with exit status 0 on SIGTERM,
// even while a browser follows.
func TestWeb(t *testing.T) {
	cmd, entrance := startServer(t, "web", "127.0.0.1:0")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if page := fetch(t, client, entrance); !strings.Contains(page, "/app.js") {
		t.Errorf("the page: %.200q", page)
	}
	base, _, _ := strings.Cut(entrance, "/enter")
	response, err := client.Get(base + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if event, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || !strings.HasPrefix(event, "data: {") {
		t.Errorf("event %.100q, %v", event, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("wgd web ended with %v, want status 0", err)
	}
}

func TestWebRefusesAddresses(t *testing.T) {
	for _, address := range []string{"example.org:80", "unix:/tmp/x", "127.0.0.1"} {
		cmd := exec.Command(os.Args[0], "web", "--listen", address)
		cmd.Env = append(os.Environ(), "WGD_TEST_RUN=1")
		if text, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(text), "not an address") {
			t.Errorf("%s: %v, %s", address, err, text)
		}
	}
}
