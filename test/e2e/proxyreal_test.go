package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/sys/netns"
	"wgd/test/lab"
)

// webOn serves a handler on a host, inside the tunnel: http at 10.2.0.1 and fd00:2::1, port
// 80, and https at port 443.
func webOn(t *testing.T, h *lab.Host, handler http.Handler) {
	t.Helper()
	webAt(t, h, handler, "10.2.0.1:80", "[fd00:2::1]:80", "10.2.0.1:443")
}

// webAt serves a handler on a host at these addresses, by https at port 443.
func webAt(t *testing.T, h *lab.Host, handler http.Handler, addresses ...string) {
	t.Helper()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.PID()))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	for _, at := range addresses {
		s := httptest.NewUnstartedServer(handler)
		_ = s.Listener.Close()
		if err := netns.Do(ns, func() (err error) { s.Listener, err = net.Listen("tcp", at); return err }); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(at, ":443") {
			s.TLS = &tls.Config{}
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(func() {
			s.CloseClientConnections() // those of a tunnel that is gone do not end by themselves
			s.Close()
		})
	}
}

// noQueries fails if a query for a name left the host outside of the tunnel.
func noQueries(t *testing.T, h *lab.Host, watches ...int) {
	t.Helper()
	for _, id := range watches {
		for _, p := range h.Watched(id) {
			if slices.Contains([]uint16{p.Src.Port(), p.Dst.Port()}, 53) {
				t.Errorf("a query outside of the tunnel: %v", p)
			}
		}
	}
}

// The programs that people use reach hosts in the tunnel by wgd proxy, and no query for a
// name leaves outside of it: curl, git and Chromium by SOCKS5 and HTTP, Python by a UDP
// association.
func TestRealProgramsByProxy(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, "[Socks5]\nBindAddress = 127.0.0.1:1080\nUsername = me\nPassword = it\n\n"+
		"[http]\nBindAddress = 127.0.0.1:8080\nUsername = me\nPassword = it\n")
	inside.SetAddrs("web.test", 60, "10.2.0.1", "fd00:2::1")
	b.Write("/etc/resolv.conf", "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver fd01::1\n")
	wire, loop := b.Watch("eth0"), b.Watch("lo")
	web := http.NewServeMux()
	web.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<p>page of %s</p>", r.Host) })
	web.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		n, _ := fmt.Fprint(w, r.Header.Get("Proxy-Authorization"))
		fmt.Fprint(w, n, " ", r.ContentLength)
	})
	web.Handle("/repo.git/", http.StripPrefix("/repo.git/", http.FileServer(http.Dir(repository(t)))))
	webOn(t, a, web)
	startProxy(t, b, "--socks5 127.0.0.1:1081 --http 127.0.0.1:8082")

	const socks, proxy = "-x socks5h://me:it@127.0.0.1:1080", "-x http://me:it@127.0.0.1:8080"
	b.Must("head -c 3000000 /dev/zero > /run/zeros")
	for _, by := range []string{socks, proxy, "-x socks5h://127.0.0.1:1081"} {
		for _, url := range []string{"http://web.test/", "http://10.2.0.1/", "'http://[fd00:2::1]/'", "-k https://web.test/"} {
			contains(t, b.Must("curl -sS -m 30 %s %s", by, url), "<p>page of ")
		}
		contains(t, b.Must("curl -sS -m 30 %s -T /run/zeros http://web.test/put", by), "0 3000000")
	}
	for _, c := range []struct{ name, args, said string }{
		{"a wrong password", "-x socks5h://me:not@127.0.0.1:1080 http://web.test/", "curl: (97)"},
		{"a wrong password", "-x http://me:not@127.0.0.1:8080 http://web.test/ -w %{http_code} -f", "407"},
		{"a name that does not exist", socks + " http://none.test/", "curl: (97)"},
		{"a name that does not exist", proxy + " http://none.test/ -w %{http_code} -f", "502"},
		{"a port that is closed", socks + " http://web.test:81/", "curl: (97)"},
	} {
		if got := b.Run("curl -sS -m 30 -o /dev/null " + c.args + " 2>&1"); got.Code == 0 || !strings.Contains(got.Out, c.said) {
			t.Errorf("%s (curl %s): status %d: %s", c.name, c.args, got.Code, got.Out)
		}
	}

	for i, by := range []string{"socks5h://me:it@127.0.0.1:1080", "http://me:it@127.0.0.1:8080"} {
		b.Must("git -c http.proxy=%s clone -q http://web.test/repo.git /run/clone%d && grep -q text /run/clone%d/file", by, i, i)
	}

	for _, by := range []string{"socks5://127.0.0.1:1081", "http://127.0.0.1:8082"} {
		contains(t, chromium(t, b, by, "http://web.test/"), "<p>page of web.test</p>")
	}

	contains(t, b.Must("/usr/bin/python3 -c '%s'", lookUpBySOCKS), "answer of 10.2.0.1")
	noQueries(t, b, wire, loop)
	if inside.Asked("web.test") == 0 || inside.Asked("none.test") == 0 {
		t.Error("the name server inside the tunnel was not asked")
	}
}

// lookUpBySOCKS asks the name server in the tunnel for web.test, by a UDP association.
const lookUpBySOCKS = `
import socket, socks
s = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)
s.set_proxy(socks.SOCKS5, "127.0.0.1", 1080, True, "me", "it")
s.settimeout(20)
q = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x04test\x00\x00\x01\x00\x01"
s.sendto(q, ("10.2.0.1", 53))
a, source = s.recvfrom(2000)
assert a[:2] == q[:2] and source == ("10.2.0.1", 53), (a, source)
print("answer of", ".".join(str(c) for c in a[-4:]))
`

// repository makes a bare repository of git with one file, for HTTP servers of files.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("sh", "-euc", `cd "$0"
git init -q -b main work && cd work && echo text > file && git add file
git -c user.name=n -c user.email=e commit -q -m one
git clone -q --bare . ../repo.git && cd ../repo.git && git update-server-info`, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir + "/repo.git"
}

// chromium returns the page at a URL as Chromium has understood it.
func chromium(t *testing.T, h *lab.Host, proxy, url string) string {
	t.Helper()
	return h.Must("timeout 90 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "+
		"--user-data-dir=$(mktemp -d /run/chromium.XXXXXX) --proxy-server=%s --dump-dom %s 2>/run/chromium.log", proxy, url)
}

// sshPair is proxyPair with an ssh server on a, and without a name server outside of the
// tunnel. It returns a command by which b logs in there, with wgd proxy --stdio.
func sshPair(t *testing.T) (a, b *lab.Host, ssh string) {
	t.Helper()
	a, b, inside := proxyPair(t, "")
	inside.SetAddrs("ssh.test", 60, "10.2.0.1")
	b.Write("/etc/resolv.conf", "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver fd01::1\n")
	b.Must("ssh-keygen -q -t ed25519 -N '' -f /run/id")
	public := strings.TrimSpace(b.Must("cat /run/id.pub"))
	a.Must("mount -t tmpfs -o mode=700 none /root && mkdir -m 700 /root/.ssh && (umask 077; echo '%s' > /root/.ssh/authorized_keys)", public)
	a.Must("dropbearkey -t ed25519 -f /run/hostkey >/dev/null 2>&1 && dropbear -r /run/hostkey -p 10.2.0.1:22 -P /run/dropbear.pid -s")
	lab.Until(t, 30*time.Second, "dropbear listens", func() (bool, string) {
		got := a.Run("ss -ltn src 10.2.0.1:22 | grep -q LISTEN")
		return got.Code == 0, got.Out
	})
	t.Cleanup(func() { a.Must("kill $(cat /run/dropbear.pid)") })
	return a, b, "ssh -F none -i /run/id -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/run/known " +
		"-o 'ProxyCommand=wgd proxy --stdio %h:%p wg0' root@ssh.test "
}

// Ssh reaches a server in the tunnel by wgd proxy --stdio, looks its name up inside, and copies
// in both directions.
func TestRealSSHByStdio(t *testing.T) {
	t.Parallel()
	_, b, ssh := sshPair(t)
	wire, loop := b.Watch("eth0"), b.Watch("lo")
	b.Must("head -c 3000000 /dev/urandom > /run/sent")
	b.Must("%s", ssh+"'cat > /run/got && cat /run/got' < /run/sent > /run/back && cmp /run/sent /run/back")
	if got := b.Run(ssh + "'exit 7'"); got.Code != 7 {
		t.Errorf("exit status %d, want 7: %s", got.Code, got.Out)
	}
	noQueries(t, b, wire, loop)
}

// Several ssh at a time share one tunnel, although they begin at the same time, and the
// first one may end first, and at once. The tunnel ends with the last.
func TestRealSSHSeveralAtATime(t *testing.T) {
	t.Parallel()
	_, b, ssh := sshPair(t)
	b.Must(`for i in 1 2 3 4; do mkfifo /run/in$i; done
		for i in 1 2 3 4; do (%scat < /run/in$i > /run/out$i 2> /run/err$i; echo $? > /run/status$i) > /dev/null 2>&1 & done
		for i in 1 2 3 4; do (sleep 1000 > /run/in$i & echo $! > /run/hold$i) > /dev/null 2>&1; done`, ssh)
	said := func(i int) string { return b.Run(fmt.Sprintf("cat /run/out%d /run/err%d", i, i)).Out }
	echoes := func(i int, word string) {
		t.Helper()
		b.Must("echo %s > /run/in%d", word, i)
		lab.Until(t, 60*time.Second, fmt.Sprintf("session %d echoes", i), func() (bool, string) {
			return strings.Contains(said(i), word), said(i)
		})
	}
	for i := range 4 {
		echoes(i+1, "first")
	}
	if got := b.PIDs(lab.Ours); len(got) != 4 {
		t.Errorf("the processes of wgd are %v, want 4", got)
	}
	first := sharer(t, b)
	for i := range 4 {
		i = (first+i-1)%4 + 1
		b.Must("kill $(cat /run/hold%d)", i)
		lab.Until(t, 60*time.Second, fmt.Sprintf("session %d ends", i), func() (bool, string) {
			return b.Run(fmt.Sprintf("test -s /run/status%d", i)).Code == 0, said(i)
		})
		if got := strings.TrimSpace(b.Must("cat /run/status%d", i)); got != "0" {
			t.Errorf("session %d: exit status %s: %s", i, got, said(i))
		}
		for j := range 4 {
			if b.Run(fmt.Sprintf("test -e /run/status%d", j+1)).Code != 0 {
				echoes(j+1, fmt.Sprintf("after%d", i))
			}
		}
	}
	lab.Until(t, 60*time.Second, "the tunnel ends", func() (bool, string) {
		return !b.Exists("/run/wireguard/wg0.sock"), b.Run("wg show").Out
	})
	contains(t, b.Must("%secho again", ssh), "again")
}

// sharer returns which of the sessions has the tunnel: the one whose wgd has a UDP socket.
func sharer(t *testing.T, b *lab.Host) int {
	t.Helper()
	for _, pid := range b.PIDs(lab.Ours) {
		got := b.Run(fmt.Sprintf("ss -Hanup | grep -q pid=%d, && readlink /proc/%d/fd/2", pid, pid))
		var session int
		if _, err := fmt.Sscanf(got.Out, "/run/err%d", &session); err == nil {
			return session
		}
	}
	t.Fatal("none of the sessions has the tunnel")
	return 0
}

// A --stdio uses the tunnel of a proxy that runs, but none of the same name with another key.
func TestStdioThroughARunningProxy(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, "[Socks5]\nBindAddress = 127.0.0.1:1080\n")
	inside.SetAddrs("web.test", 60, "10.2.0.1")
	webOn(t, a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the page") }))
	startProxy(t, b, "")
	contains(t, b.Must("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | wgd proxy --stdio web.test:80 wg0"), "the page")
	b.Must("mkdir /run/other && (umask 077; sed \"s|^PrivateKey = .*|PrivateKey = $(wg-keygen)|\" /etc/wireguard/wg0.conf > /run/other/wg0.conf)")
	for args, said := range map[string]string{
		"--stdio web.test:80 /run/other/wg0.conf":         "runs with another key or other peers: give this one another name",
		"--stdio web.test:80 --socks5 127.0.0.1:1081 wg0": "wg0 is already running",
		"--stdio none.test:80 wg0":                        "there is no host of this name",
	} {
		b.Fails(1, "wgd proxy "+args+" < /dev/null", said)
	}
	b.Must("kill -TERM %d", b.Daemon(lab.Ours).PID)
	foregroundEnds(t, b, "0")
}
