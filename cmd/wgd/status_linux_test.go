package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/sys/term/termtest"
	"wgd/key"
)

// serveTargets makes each status that of a running interface.
func serveTargets(t *testing.T, list ...conf.Status) map[string]*controltest.Target {
	t.Helper()
	controltest.UseTempDir(t, &control.Dir)
	targets := map[string]*controltest.Target{}
	for _, status := range list {
		target := controltest.New(status)
		server, err := control.Listen(status.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(target)
		t.Cleanup(func() { server.Close() })
		targets[status.Name] = target
	}
	return targets
}

func statusOfTwo(t *testing.T) {
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serveTargets(t,
		conf.Status{Name: "wg1"},
		conf.Status{Name: "wg0", Up: true, ListenPort: 1234, PrivateKey: private, Peers: []conf.PeerStatus{
			{PublicKey: key.Public{1}, Name: "B", Endpoint: netip.MustParseAddrPort("198.51.100.45:43175"), LastHandshake: time.Now(), RxBytes: 964, TxBytes: 908},
			{PublicKey: key.Public{2}, Name: strings.Repeat("long", 15)},
		}})
}

const statusOfWG0 = `wg0: the interface is up, on UDP port 1234; 2 peers: 1 works, 1 never-used
PEER                                                          ENDPOINT             HANDSHAKE  RECEIVED   SENT  STATE
B                                                             198.51.100.45:43175  just now      964 B  908 B  works
longlonglonglonglonglonglonglonglonglonglonglonglonglonglong  (none)               never           0 B    0 B  never-used
`

func TestStatus(t *testing.T) {
	statusOfTwo(t)
	const down = "wg1: the interface is down: nothing is sent or received\n"
	for args, want := range map[string]string{
		"status wg0": statusOfWG0,
		"status wg1": down,
		"status":     statusOfWG0 + "\n" + down,
	} {
		if status, out, errs := run(strings.Fields(args)...); status != 0 || out != want || errs != "" {
			t.Errorf("wgd %s: exit status %d, %s\n%s\nwant\n%s", args, status, errs, out, want)
		}
	}
	if status, out, errs := run("status", "wg2"); status != 1 || out != "" || !strings.Contains(errs, "wg2: no such interface") {
		t.Errorf("an interface that is missing: exit status %d, %q, %q", status, out, errs)
	}
	var list []show.JSONInterface
	status, out, errs := run("status", "--json")
	if err := json.Unmarshal([]byte(out), &list); status != 0 || err != nil || len(list) != 2 || list[0].Interface != "wg0" || list[1].Interface != "wg1" ||
		len(list[0].Peers) != 2 || list[0].Peers[0].RxBytes != 964 || list[0].Peers[1].State != "never-used" || list[0].Peers[1].PresharedKey != nil {
		t.Errorf("wgd status --json: exit status %d, %v, %s\n%s", status, err, errs, out)
	}
}

// serveRefusing makes the socket of a daemon that closes each connection.
func serveRefusing(t *testing.T, name string) {
	t.Helper()
	refusing, err := net.Listen("unix", filepath.Join(control.Dir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { refusing.Close() })
	go func() {
		for {
			conn, err := refusing.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
}

// An interface that cannot be read does not hide the others, and the exit status is 1.
func TestStatusWithoutOne(t *testing.T) {
	statusOfTwo(t)
	serveRefusing(t, "aa")
	status, out, errs := run("status")
	if status != 1 || !strings.HasPrefix(out, statusOfWG0) || !strings.Contains(out, "wg1: ") || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit status %d, %q\n%s", status, errs, out)
	}
	var list []show.JSONInterface
	status, out, errs = run("status", "--json")
	if err := json.Unmarshal([]byte(out), &list); status != 1 || err != nil || len(list) != 2 || errs == "" {
		t.Errorf("--json: exit status %d, %q, %v\n%s", status, errs, err, out)
	}
}

// The same holds for wgd explain.
func TestExplainWithoutOne(t *testing.T) {
	statusOfTwo(t)
	serveRefusing(t, "aa")
	for _, args := range [][]string{{"explain"}, {"explain", "--json"}} {
		status, out, errs := run(args...)
		if status != 1 || !strings.Contains(out, "wg0") || !strings.Contains(out, "wg1") || !strings.HasPrefix(errs, "wgd: aa: ") {
			t.Errorf("%q: exit status %d, %q\n%s", args, status, errs, out)
		}
	}
}

func TestStatusOfNothing(t *testing.T) {
	serveTargets(t)
	if status, out, _ := run("status"); status != 0 || out != "no interface is running\n" {
		t.Errorf("exit status %d, %q", status, out)
	}
	if status, out, _ := run("status", "--json"); status != 0 || out != "[]\n" {
		t.Errorf("--json: exit status %d, %q", status, out)
	}
}

// On a terminal, states have colours unless NO_COLOR is set, and lines are as long as the
// terminal is wide.
func TestStatusOnTerminal(t *testing.T) {
	statusOfTwo(t)
	t.Setenv("TERM", "vt100")
	for _, without := range []string{"", "1"} {
		t.Setenv("NO_COLOR", without)
		tty, screen := termtest.Open(t, 80)
		if status := cli.Run(command(), []string{"status", "wg0"}, strings.NewReader(""), tty, io.Discard); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		got := screen()
		if coloured := strings.Contains(got, "\x1b[32mworks\x1b[0m"); coloured != (without == "") {
			t.Errorf("NO_COLOR=%s: %q", without, got)
		}
		for _, escape := range []string{"\x1b[32m", "\x1b[2m", "\x1b[0m"} {
			got = strings.ReplaceAll(got, escape, "")
		}
		const want = "longlonglonglonglo…  (none)               never           0 B    0 B  never-used\r\n"
		if !strings.HasSuffix(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
