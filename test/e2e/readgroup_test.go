package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

const (
	// member runs a command as a user whose supplementary groups have that of --read-group,
	// and stranger as one who is in no such group.
	member   = "setpriv --reuid=4000 --regid=4000 --groups=7,4001 --inh-caps=-all env HOME=/run/home "
	stranger = "setpriv --reuid=4000 --regid=4000 --groups=7 --inh-caps=-all env HOME=/run/home "
	primary  = "setpriv --reuid=4002 --regid=4001 --clear-groups --inh-caps=-all env HOME=/run/home "
)

// readGroupHost is a host with the group vpn-readers, and a file of an interface with two
// peers, of which the first has a preshared key. It returns the secrets.
func readGroupHost(t *testing.T) (h *lab.Host, secrets []string) {
	h = lab.NewHost(t, "a")
	h.Must("cp /etc/group /run/group && echo vpn-readers:x:4001: >>/run/group && chmod 644 /run/group && mount --bind /run/group /etc/group && install -d -m 777 /run/home")
	private, preshared := strings.TrimSpace(h.Must("wg-keygen")), strings.TrimSpace(h.Must("wg-keygen --psk"))
	_, one := keyPair(h)
	_, two := keyPair(h)
	h.Write("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = "+private+"\nListenPort = 1234\nAddress = 10.2.0.1/24\n"+
		"[Peer]\n# Name = one\nPublicKey = "+one+"\nPresharedKey = "+preshared+"\nAllowedIPs = 10.2.0.2/32\n"+
		"[Peer]\n# Name = two\nPublicKey = "+two+"\nAllowedIPs = 10.2.0.3/32\n")
	for _, key := range []string{private, preshared} {
		secrets = append(secrets, key, strings.TrimSpace(h.Must("echo %s | base64 -d | od -An -v -tx1 | tr -d ' \\n'", key)))
	}
	return h, secrets
}

// reads checks that a user reads everything but the secrets: what the commands print is
// what root gets, and wg leaves out what it does not know.
func reads(t *testing.T, h *lab.Host, user string, secrets []string) {
	t.Helper()
	for _, command := range []string{"wgd status", "wgconfig wg0", "wgconfig wg0 --json", "wgd explain wg0", "wgd status --json", "wg show wg0 allowed-ips", "wg show interfaces"} {
		same(t, h.Must("%s", user+command), h.Must("%s", command))
	}
	var rest []string
	for line := range strings.Lines(h.Must("wg show wg0")) {
		if !strings.Contains(line, " key: ") {
			rest = append(rest, line)
		}
	}
	same(t, h.Must("%s", user+"wg show wg0"), strings.Join(rest, ""))
	contains(t, h.Must("%s", user+"wgd top -n 1"), "wg0")
	contains(t, h.Must("%s", user+"timeout 3 wgd watch --since 0 wg0 || test $? = 124"), "configuration")
	contains(t, h.Must("%s", user+"wgconfig wg0 show peer one --show-preshared-key"), "preshared-key: (withheld")
	h.Fails(1, user+"wgconfig wg0 show private-key", "not the private key")
	const raw = `/usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/run/wireguard/wg0.sock')
s.sendall(b'get=1\n\nsummary=1\n\n')
s.shutdown(socket.SHUT_WR)
print(s.makefile().read())"`
	all, own := h.Must("%s", raw), h.Must("%s", user+raw)
	contains(t, own, "keys_withheld=1\nlisten_port=1234\n")
	for i, s := range secrets {
		if hex := i%2 == 1; hex != strings.Contains(all, s) {
			t.Errorf("root's answer has secret %d: %v: this proves nothing", i, !hex)
		}
		for _, text := range []string{own, h.Must("%s", user+"wg showconf wg0"), h.Must("%s", user+"wg show wg0 dump")} {
			if strings.Contains(text, s) {
				t.Errorf("the user gets secret %d", i)
			}
		}
	}
}

// changesNothing checks that what would change something is refused, with a sentence that
// names the group.
func changesNothing(t *testing.T, h *lab.Host, user string) {
	t.Helper()
	before := h.Must("wgconfig wg0 --json")
	h.Fails(1, user+"wg set wg0 listen-port 7", "Operation not permitted")
	for _, command := range []string{"wgconfig wg0 set listen-port 7", "wgconfig wg0 delete peer one", "wgconfig wg0 sysctl -w net.wg.debug=1", "wgd capture wg0 -w /run/home/captured"} {
		h.Fails(1, user+command, "wg0: members of the group vpn-readers may read only, and not do this: do it as root")
	}
	for _, command := range []string{"wgd reload wg0", "wgd down wg0", "wgd save wg0", "wg-ifconfig wg0 destroy", "ip link delete wg0"} {
		if r := h.Run(user + command); r.Code == 0 || r.Err == "" {
			t.Errorf("%s: exit status %d: %s%s", command, r.Code, r.Out, r.Err)
		}
	}
	same(t, h.Must("wgconfig wg0 --json"), before)
}

// Members of the group of --read-group, primary or supplementary, read all but the secret
// keys, and change nothing. Others cannot connect, and learn which group could. wgd reload
// keeps the group, and a daemon that is started without it is its owner's alone.
func TestReadGroup(t *testing.T) {
	t.Parallel()
	h, secrets := readGroupHost(t)
	h.Fails(1, "wgd up --read-group=vpn-reader wg0", "--read-group vpn-reader: no such group in /etc/group")
	nothingLeft(t, h)
	h.Must("umask 077; wgd up --read-group=vpn-readers wg0")
	same(t, h.Must("stat -c '%%A %%U %%G' /run/wireguard/wg0.sock; stat -c '%%A %%U %%G' /run/wireguard; ls -A /run/wireguard"), "srw-rw---- root vpn-readers\ndrwxr-xr-x root root\nwg0.sock\n")
	for _, user := range []string{member, primary} {
		reads(t, h, user, secrets)
		changesNothing(t, h, user)
	}
	const denied = "wg0: permission denied on /var/run/wireguard/wg0.sock: do this as root, or, if reading is enough, as a member of the group vpn-readers"
	for _, command := range []string{"wgd status", "wgconfig wg0", "wgd explain wg0", "wgd watch wg0", "wgconfig wg0 set listen-port 7"} {
		h.Fails(1, stranger+command, denied)
	}
	contains(t, h.Must("%s", stranger+"wgd top -n 1"), denied)
	h.Fails(1, stranger+"wg show wg0", "Permission denied")

	h.Must("sed -i 's|10.2.0.1/24|&, 10.2.0.9/32|' /etc/wireguard/wg0.conf && wgd reload wg0")
	reads(t, h, member, secrets)
	h.Must("wgd down wg0 && wgd up wg0")
	if text := h.Fails(1, member+"wgd status", "permission denied on /var/run/wireguard/wg0.sock: do this as root"); strings.Contains(text, "group") {
		t.Errorf("without the option, there is a group: %s", text)
	}
	h.Must("wgd down wg0")

	// The other commands have the option too. A number is enough.
	h.Must("wgd --read-group=4001 wg0 && wgconfig wg0 set listen-port 5")
	contains(t, h.Must("%s", member+"wgd status"), "wg0:")
	changesNothingOf(t, h, member)
	h.Must("wg-ifconfig wg0 destroy")
	ends(t, h, 10*time.Second)
	h.Must("(wgd up -f --read-group=vpn-readers wg0 >/run/wgd.log 2>&1 &)")
	lab.Until(t, 30*time.Second, "a member reads from wgd up -f", func() (bool, string) {
		r := h.Run(member + "wgconfig wg0 --json")
		return r.Code == 0 && strings.Contains(r.Out, `"two"`), r.Out + r.Err
	})
	reads(t, h, member, secrets)
	h.Must("kill %d", h.Daemon(lab.Ours).PID)
	ends(t, h, 30*time.Second)
	h.Must("(wgd proxy --socks5 127.0.0.1:1080 --read-group=vpn-readers wg0 >/run/proxy.log 2>&1 &)")
	lab.Until(t, 30*time.Second, "a member reads from wgd proxy", func() (bool, string) {
		r := h.Run(member + "wgconfig wg0 --json")
		return r.Code == 0, r.Out + r.Err
	})
	h.Fails(1, member+"wgd reload wg0", "members of the group vpn-readers may read only")
	h.Must("kill %d", h.Daemon(lab.Ours).PID)
	ends(t, h, 30*time.Second)
}

func changesNothingOf(t *testing.T, h *lab.Host, user string) {
	t.Helper()
	h.Fails(1, user+"wgconfig wg0 set listen-port 7", "members of the group vpn-readers may read only")
	contains(t, h.Must("wgconfig wg0"), "listen-port: 5\n")
}

// The services that show an interface run as members: metrics, and the page, which offers
// no change and refuses one.
func TestServicesOfTheReadGroup(t *testing.T) {
	t.Parallel()
	h, _ := readGroupHost(t)
	h.Must("wgd up --read-group=vpn-readers wg0")
	h.Must("(%swgd metrics --listen 127.0.0.1:9586 >/run/home/metrics.log 2>&1 & echo $! >/run/metrics.pid; %swgd web --listen 127.0.0.1:9587 >/run/home/web.log 2>&1 & echo $! >/run/web.pid)", member, member)
	defer h.Run("kill $(cat /run/metrics.pid) $(cat /run/web.pid)")
	lab.Until(t, 30*time.Second, "both serve", func() (bool, string) {
		r := h.Run("grep -q serving /run/home/metrics.log && grep -q token= /run/home/web.log")
		return r.Code == 0, h.Run("cat /run/home/*.log").Out
	})
	contains(t, h.Must("curl -sSf 'http://127.0.0.1:9586/metrics?peer=one'"), "wgd_peer_")
	contains(t, h.Must("curl -sSf http://127.0.0.1:9586/metrics"), "wgd_peers{interface=\"wg0\"} 2\n")
	const curl = "curl -sS -b /run/jar -c /run/jar "
	h.Must(curl + "-L $(cat /run/home/web.log) | grep -q app.js")
	event := h.Run(curl + "--max-time 2 http://127.0.0.1:9587/stream").Out
	contains(t, event, `"fixed":"wg0: members of the group vpn-readers may read only`)
	contains(t, event, `"name":"two"`)
	before := h.Must("wgconfig wg0")
	answer := h.Must(curl + `-H 'Content-Type: application/json' -d '{"interface":"wg0","action":"delete","key":"one","apply":true}' http://127.0.0.1:9587/change`)
	contains(t, answer, `"error":"wg0: members of the group vpn-readers may read only`)
	same(t, h.Must("wgconfig wg0"), before)
}

// What a user namespace does to numbers of groups gives nobody rights. A member reads from a
// namespace of his own, in which the group has no number. A daemon in a namespace takes no
// group that is not there, nor the number that all these have, by which those of outside would
// be members.
func TestReadGroupAndUserNamespaces(t *testing.T) {
	t.Parallel()
	h, secrets := readGroupHost(t)
	needUserNamespaces(t, h)
	h.Must("wgd up --read-group=vpn-readers wg0")
	same(t, h.Must(member+"unshare -Ur grep Groups: /proc/self/status"), "Groups:\t65534 65534 \n")
	reads(t, h, member+"unshare -Ur ", secrets)
	changesNothing(t, h, member+"unshare -Ur ")
	h.Fails(1, stranger+"unshare -Ur wgd status", "permission denied")
	h.Must("wgd down wg0")

	h.Must(publicTUN + " && install -d -m 700 -o 4000 -g 4000 /run/own")
	h.Must("chmod 755 /run/own")
	const own = "setpriv --reuid=4000 --regid=4000 --groups=7,4001 --inh-caps=-all env XDG_RUNTIME_DIR=/run/own XDG_STATE_HOME=/run/own/state unshare -Ur --net "
	h.Fails(1, own+"wgd -f --read-group=4001 wg0", "the group vpn-readers has no number in this user namespace: choose one that has")
	h.Fails(1, own+"wgd -f --read-group=65534 wg0", "the kernel shows every group that a user namespace does not know as this one")
	h.Must("chmod 700 /run/own")
	h.Fails(1, own+"wgd -f --read-group=0 wg0", "only the owner of /run/own may pass through it (mode 0700)")
	nothingLeft(t, h)
}

// In the unit of systemd, which has no CAP_CHOWN, the group must be one of the daemon's. A
// reload and a restart keep it.
func TestReadGroupInTheUnit(t *testing.T) {
	t.Parallel()
	h, secrets := readGroupHost(t)
	s := bootWithUnit(t, h, lab.Ours)
	dropIn := func(line string) {
		t.Helper()
		s.Must("mkdir -p /etc/systemd/system/wgd@wg0.service.d && printf '[Service]\nRestart=no\nExecStart=\nExecStart=/usr/bin/wgd up -f --read-group=vpn-readers wg0\n%s' >/etc/systemd/system/wgd@wg0.service.d/group.conf && systemctl daemon-reload", line)
	}
	dropIn("")
	if r := s.Run("systemctl start wgd@wg0"); r.Code == 0 {
		t.Error("without the group, the unit starts")
	}
	contains(t, s.Must("journalctl --no-pager -u wgd@wg0"), "this process may not give a socket to the group vpn-readers: make it a member of the group (SupplementaryGroups= in a unit of systemd), or give it CAP_CHOWN")
	nothingLeft(t, h)
	dropIn("SupplementaryGroups=vpn-readers\n")
	s.Must("systemctl start wgd@wg0")
	reads(t, h, member, secrets)
	s.Must("systemctl reload wgd@wg0")
	reads(t, h, member, secrets)
	changesNothing(t, h, member)
	s.Must("systemctl restart wgd@wg0")
	reads(t, h, member, secrets)
	s.Must("systemctl stop wgd@wg0")
	nothingLeft(t, h)
}

// An inherited socket (WG_UAPI_FD) has the mode that its maker gave it. Of those whom that lets
// in, the daemon still knows members, and refuses strangers.
func TestReadGroupOfAnInheritedSocket(t *testing.T) {
	t.Parallel()
	h, _ := readGroupHost(t)
	h.Write("/run/inherit.py", `import os, socket
s = socket.socket(socket.AF_UNIX)
os.makedirs("/run/wireguard")
s.bind("/run/wireguard/wg0.sock")
os.chmod("/run/wireguard/wg0.sock", 0o666)
s.listen(16)
os.set_inheritable(s.fileno(), True)
os.environ["WG_UAPI_FD"] = str(s.fileno())
os.execvp("wgd", ["wgd", "--read-group=vpn-readers", "wg0"])
`)
	h.Must("/usr/bin/python3 /run/inherit.py && wgconfig wg0 set listen-port 5")
	contains(t, h.Must(member+"wgconfig wg0"), "listen-port: 5")
	changesNothingOf(t, h, member)
	for _, command := range []string{"wgconfig wg0", "wgconfig wg0 set listen-port 7", "wgd watch wg0"} {
		h.Fails(1, stranger+command, "wg0: neither root nor the user that runs the daemon has connected, nor a member of the group vpn-readers, which may read: do this as root")
	}
	h.Must("wg-ifconfig wg0 destroy")
}
