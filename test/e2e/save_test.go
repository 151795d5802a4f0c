package e2e

import (
	"strings"
	"testing"

	"wgd/test/lab"
)

// Save after up leaves the file to the byte, also when hooks have set things and traffic
// has flowed; after a change only that changes, through a symbolic link, with mode and
// owner. It never asks the resolver.
func TestSave(t *testing.T) {
	t.Parallel()
	a, b, file := reloadHosts(t)
	b.Must("wgd down wg0 && echo nameserver 192.0.2.53 > /etc/resolv.conf")
	fakeResolvconf(b)
	file.more = "# by hand\nDNS = 10.2.0.1, corp.example # inside\nPostUp = wg set %i fwmark 7\n\n"
	file.peers = "\n# About C\n[Peer]\n# Name = C\nPublicKey = " + strings.Repeat("C", 42) + "A=\nAllowedIPs = 10.9.0.0/24, 10.10.0.0/24\nEndpoint = localhost:7\n"
	text := file.text()
	b.Write("/etc/wireguard/real.conf", text)
	b.Must("chown 1234:2345 /etc/wireguard/real.conf && chmod 640 /etc/wireguard/real.conf && ln -sf real.conf /etc/wireguard/wg0.conf && grep -q localhost /etc/hosts || echo 127.0.0.1 localhost >> /etc/hosts")
	b.Run("wgd up wg0") // with a warning about the mode
	b.Ping("10.2.0.1", 2)
	a.Ping("10.2.0.2", 1)
	saved := func(what, want string) {
		t.Helper()
		if got := b.Must("cat /etc/wireguard/real.conf"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
		}
		if got := b.Must("stat -c '%%a %%u:%%g' /etc/wireguard/real.conf; readlink /etc/wireguard/wg0.conf; ls -A /etc/wireguard | wc -l"); got != "640 1234:2345\nreal.conf\n2\n" {
			t.Errorf("%s: mode, owner, link, files: %s", what, got)
		}
	}
	contains(t, b.Must("wgd save wg0"), "nothing to save")
	saved("no change", text)

	b.Must("wgconfig wg0 set peer C --persistent-keepalive=17 && wg set wg0 listen-port 1239 peer %s allowed-ips 10.2.0.1/32,fd00:2::1/128,198.18.0.9/32,10.77.0.0/16", file.publicA)
	b.Must("wgd save wg0")
	text = strings.NewReplacer("ListenPort = 1235", "ListenPort = 1239", "Endpoint = localhost:7\n", "Endpoint = localhost:7\nPersistentKeepalive = 17\n",
		file.allowed, file.allowed+", 10.77.0.0/16").Replace(text)
	saved("a port, a keepalive and allowed IPs", text)
	contains(t, b.Must("wgd save wg0"), "nothing to save")
	b.Must("wgconfig wg0 delete peer C && wgd save /etc/wireguard/wg0.conf")
	text = text[:strings.Index(text, "\n# About C")]
	saved("a peer less", text)
	if did := b.Run("wgd reload wg0"); did.Code != 0 || !strings.Contains(did.Out, "10.77.0.0/16") || strings.Contains(did.Out, "peer") {
		t.Errorf("reload after save does more than add and remove routes: %s%s", did.Out, did.Err)
	}

	b.Must("echo broken >> /etc/wireguard/real.conf && wg set wg0 listen-port 1238")
	b.Fails(1, "wgd save wg0", "/etc/wireguard/wg0.conf", "nothing is saved")
	saved("a file with an error", text+"broken\n")
	b.Fails(1, "wgd save wg1", "not up")
}

// With SaveConfig, down saves; what cannot be saved is said, and the interface goes down.
func TestSaveConfig(t *testing.T) {
	t.Parallel()
	_, b, file := reloadHosts(t)
	b.Must("wgd down wg0")
	before := b.System()
	file.more = "SaveConfig = true\n"
	b.Write("/etc/wireguard/wg0.conf", file.text())
	b.Must("wgd up wg0 && wgd down wg0")
	if got := b.Must("cat /etc/wireguard/wg0.conf"); got != file.text() {
		t.Errorf("no change: got\n%s", got)
	}
	b.Must("wgd up wg0 && wg set wg0 listen-port 1239 && wgd down wg0")
	want := strings.Replace(file.text(), "ListenPort = 1235", "ListenPort = 1239", 1)
	if got := b.Must("cat /etc/wireguard/wg0.conf"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.Must("wgd up wg0 && wg set wg0 listen-port 1240 private-key /dev/null")
	b.Fails(1, "wgd down wg0", "SaveConfig", "no private key any more")
	lab.Unchanged(t, "down", before, b.System())
	nothingLeft(t, b)
	if got := b.Must("cat /etc/wireguard/wg0.conf"); got != want {
		t.Errorf("after an error: got\n%s\nwant\n%s", got, want)
	}
	b.Must("wgd up wg0")
	b.Daemon(lab.Ours).Kill()
	b.Must("wgd down wg0") // there is nothing left to save
	if got := b.Must("cat /etc/wireguard/wg0.conf"); got != want {
		t.Errorf("after the daemon was killed: got\n%s\nwant\n%s", got, want)
	}
}
