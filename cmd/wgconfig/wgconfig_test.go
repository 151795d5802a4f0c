package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// The peer of wg(4)'s example.
const pubkeyB = "X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU="

var (
	private = key.NewPrivate(&[32]byte{8, 1})
	psk     = key.NewPreshared(&[32]byte{1, 2, 3})
)

// start starts an interface wg0 with a real control socket.
func start(t *testing.T, status conf.Status) *controltest.Target {
	t.Helper()
	controltest.UseTempDir(t, &control.Dir)
	target := controltest.New(status)
	server, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(target)
	t.Cleanup(func() {
		server.Close()
	})
	return target
}

// run calls the command.
func run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Run(command(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// runOK calls wgconfig with the words of the line, which must succeed without messages,
// and returns its standard output.
func runOK(t *testing.T, line string) string {
	t.Helper()
	status, stdout, stderr := run(strings.Fields(line)...)
	if status != 0 || stderr != "" {
		t.Fatalf("wgconfig %s: exit status %d\n%s", line, status, stderr)
	}
	return stdout
}

// runFails calls wgconfig, which must fail with this status, and print only this, on
// standard error.
func runFails(t *testing.T, line string, status int, want string) {
	t.Helper()
	got, stdout, stderr := run(strings.Fields(line)...)
	if got != status || stdout != "" || stderr != want {
		t.Errorf("wgconfig %s: exit status %d\n%s%swant %d\n%s", line, got, stdout, stderr, status, want)
	}
}

func keyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, mode)
	return path
}

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// Every option, with its value after = or as the next word, anywhere in the line.
func TestAddAndSet(t *testing.T) {
	target := start(t, conf.Status{})
	pskFile := keyFile(t, psk.Base64()+"\n", 0o600)
	b, _ := key.ParsePublic(pubkeyB)
	want := conf.PeerStatus{PublicKey: b, Name: "B", PresharedKey: psk, Endpoint: netip.MustParseAddrPort("192.0.2.1:7"),
		PersistentKeepalive: 25, AllowedIPs: prefixes("10.2.0.0/24", "fd00::/64")}
	for _, line := range []string{
		"wg0 add peer B " + pubkeyB + " --preshared-key=" + pskFile + " --endpoint=192.0.2.1:7 --allowed-ips=10.2.0.1/24,fd00::1/64 --persistent-keepalive=25",
		"wg0 add peer B --endpoint 192.0.2.1:7 --preshared-key " + pskFile + " " + pubkeyB + " --persistent-keepalive 25 --allowed-ips 10.2.0.1/24,fd00::1/64",
	} {
		runOK(t, line)
		if got := target.Status().Peers; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: %+v", line, got)
		}
		runOK(t, "wg0 delete peer B")
	}
	runOK(t, "wg0 add peer B "+pubkeyB)
	for _, c := range []struct {
		options string
		check   func(p conf.PeerStatus) bool
	}{
		{"--endpoint=2001:db8::1:7", func(p conf.PeerStatus) bool { return p.Endpoint.String() == "[2001:db8::1]:7" }},
		{"--endpoint=[fe80::1%lo]:7", func(p conf.PeerStatus) bool { return p.Endpoint.String() == "[fe80::1%lo]:7" }},
		{"--endpoint=vpn.example.org:domain", func(p conf.PeerStatus) bool { return p.EndpointName == "vpn.example.org:53" }},
		{"--endpoint=192.0.2.1:9", func(p conf.PeerStatus) bool { return p.EndpointName == "" && p.Endpoint.Port() == 9 }},
		{"--allowed-ips=0.0.0.0/0,::/0", func(p conf.PeerStatus) bool { return reflect.DeepEqual(p.AllowedIPs, prefixes("0.0.0.0/0", "::/0")) }},
		{"--allowed-ips=10.0.0.0/8", func(p conf.PeerStatus) bool { return reflect.DeepEqual(p.AllowedIPs, prefixes("10.0.0.0/8")) }},
		{"--allowed-ips=::ffff:10.0.0.9/104", func(p conf.PeerStatus) bool { return reflect.DeepEqual(p.AllowedIPs, prefixes("::ffff:10.0.0.0/104")) }},
		{"--allowed-ips=", func(p conf.PeerStatus) bool { return len(p.AllowedIPs) == 0 }},
		{"--persistent-keepalive=65535", func(p conf.PeerStatus) bool { return p.PersistentKeepalive == 65535 }},
		{"--persistent-keepalive=off", func(p conf.PeerStatus) bool { return p.PersistentKeepalive == 0 }},
		{"--preshared-key=" + pskFile, func(p conf.PeerStatus) bool { return p.PresharedKey.Equal(psk) }},
		{"--preshared-key=/dev/null", func(p conf.PeerStatus) bool { return p.PresharedKey.IsZero() }},
		{"--rename=B", func(p conf.PeerStatus) bool { return p.Name == "B" }},
	} {
		runOK(t, "wg0 set peer B "+c.options)
		if got := target.Status().Peers; len(got) != 1 || !c.check(got[0]) {
			t.Errorf("%s: %+v", c.options, got)
		}
	}
	runOK(t, "wg0 set peer B --rename=b.2_@-")
	runOK(t, "wg0 show peer b.2_@-")
	runOK(t, "wg0 set fwmark 0xCa6C")
	runOK(t, "wg0 set listen-port 65535")
	if s := target.Status(); s.FirewallMark != 51820 || s.ListenPort != 65535 {
		t.Errorf("%+v", s)
	}
	for _, c := range []struct {
		value string
		off   bool
		line  string
	}{{"off", true, "\tmss-clamp: off\n"}, {"on", false, ""}} {
		runOK(t, "wg0 set mss-clamp "+c.value)
		if got := target.Status().NoMSSClamp; got != c.off {
			t.Errorf("mss-clamp %s: off is %v", c.value, got)
		}
		if out := runOK(t, "wg0"); strings.Contains(out, "mss-clamp") != c.off || !strings.Contains(out, c.line) {
			t.Errorf("mss-clamp %s is shown as\n%s", c.value, out)
		}
	}
	for mark, want := range map[string]uint32{"7": 7, "0xffffffff": 1<<32 - 1, "off": 0, "010": 10, "0": 0} {
		runOK(t, "wg0 set fwmark "+mark)
		if got := target.Status().FirewallMark; got != want {
			t.Errorf("fwmark %s: %d", mark, got)
		}
	}
}

// A key file may end with or without a newline.
func TestKeyFileForms(t *testing.T) {
	target := start(t, conf.Status{})
	for _, text := range []string{private.Base64(), private.Base64() + "\n", private.Base64() + "\r\n"} {
		runOK(t, "wg0 set private-key "+keyFile(t, text, 0o600))
		if s := target.Status(); !s.PrivateKey.Equal(private) {
			t.Errorf("the key file %q was not accepted", text)
		}
	}
	path := keyFile(t, private.Base64(), 0o644)
	status, _, stderr := run("wg0", "set", "private-key", path)
	if want := fmt.Sprintf("wgconfig: warning: %s: others may read this key: chmod 600 %s\n", path, path); status != 0 || stderr != want {
		t.Errorf("exit status %d, %q, want %q", status, stderr, want)
	}
}

// Each error is a sentence that names the thing and the solution, and nothing
// is applied.
func TestErrors(t *testing.T) {
	target := start(t, full())
	own := private.Public().Base64()
	other := key.Public{5}.Base64()
	empty := keyFile(t, "", 0o600)
	wrong := keyFile(t, private.Base64()[:40], 0o600)
	zero := keyFile(t, key.Public{}.Base64(), 0o600)
	const keyInsteadOfFile = "a key was given in place of a file: everybody could see it in the list of processes; " +
		"make a new one with wg-keygen, in a file, and give the name of that file"
	for line, want := range map[string]string{
		"wg1":                                         "wg1: no such interface: create it with `wg-ifconfig wg1 create`",
		"../x":                                        `interface "../x": '/' is not allowed in a name: use letters, digits and _=+.-`,
		"wg0 show peer C":                             "peer C: wg0 has no such peer: `wgconfig wg0` lists them",
		"wg0 show peer deadbeef":                      "peer deadbeef: wg0 has no such peer: `wgconfig wg0` lists them",
		"wg0 delete peer C":                           "peer C: wg0 has no such peer: `wgconfig wg0` lists them",
		"wg0 set peer C --endpoint=x:1":               "peer C: wg0 has no such peer: `wgconfig wg0` lists them",
		"wg0 add peer B " + other:                     "peer B: wg0 has a peer with this name: change it with `wgconfig wg0 set peer B`, or choose another name",
		"wg0 add peer C " + pubkeyB:                   "peer C: wg0 already has this public key, as peer B: change that peer with `wgconfig wg0 set peer B`",
		"wg0 add peer C " + own:                       "peer C: this public key is wg0's own: give that of the other side",
		"wg0 add peer a/b " + other:                   "peer a/b: '/' is not allowed in a name: use letters, digits and ._@-",
		"wg0 set peer deadbeef11 --rename=B":          "peer B: wg0 has another peer with this name: choose another name",
		"wg0 set peer B --rename=":                    "a peer's name is empty: give 1 to 63 letters, digits and ._@-",
		"wg0 set listen-port 65536":                   "listen-port 65536: give a port from 1 to 65535, or 0 for any that is free",
		"wg0 set listen-port x":                       "listen-port x: give a port from 1 to 65535, or 0 for any that is free",
		"wg0 set fwmark 0x100000000":                  "fwmark 0x100000000: give a number of 32 bits, decimal or after 0x, or off",
		"wg0 set peer B --allowed-ips=10.0.0.0/33":    "peer B: allowed-ips 10.0.0.0/33: prefix length over 32",
		"wg0 set peer B --allowed-ips=::1":            "peer B: allowed-ips ::1: no prefix length: write ::1/128 for this one address",
		"wg0 set peer B --allowed-ips=x/8":            `peer B: allowed-ips x/8: not an IP address: write IP/CIDR`,
		"wg0 set peer B --allowed-ips=10.0.0.0/8,":    `peer B: allowed-ips: there is nothing before or after a comma: remove the comma`,
		"wg0 set peer B --allowed-ips=::/x":           `peer B: allowed-ips ::/x: not a prefix length: write IP/CIDR`,
		"wg0 set peer B --persistent-keepalive=65536": "peer B: persistent-keepalive 65536: give 1 to 65535 seconds, or off",
		"wg0 set peer B --endpoint=host":              `peer B: endpoint "host": no port: write HOST:PORT`,
		"wg0 set peer B --endpoint=192.0.2.1:0":       `peer B: endpoint "192.0.2.1:0": port 0: ports are 1 to 65535`,
		"wg0 set private-key /nonexistent":            "/nonexistent: there is no such key file: make one with wg-keygen",
		"wg0 set private-key " + empty:                empty + ": the file is empty: make a key with wg-keygen, or give /dev/null for none",
		"wg0 set private-key /":                       "/: this is a directory: give a file that holds the key in base64",
		"wg0 set private-key " + psk.Base64():         keyInsteadOfFile,
		"wg0 set private-key " + zero: zero + ": the private key is all zeros, which means no key: " +
			"make one with wg-keygen, or give /dev/null for none",
		"wg0 set peer B --preshared-key=" + psk.Base64(): "peer B: " + keyInsteadOfFile,
		"wg0 set private-key " + strings.Repeat("n", 41): "there is no key file of the name that was given, which has 41 characters and looks like a key: " +
			"give the name of a file; if it was a key, make a new one: everybody could see it in the list of processes",
		"wg0 set peer B --preshared-key=":             "peer B: the name of the key file is empty: give a file that holds the key in base64",
		"wg0 show peer " + other:                      "wg0 has no peer with this public key: `wgconfig wg0` lists them",
		"wg0 set peer B --rename=" + private.Base64(): "a peer's name was expected, but this is a key: give a name of 1 to 63 letters, digits and ._@-",
		"wg0 set peer B --rename=" + private.Hex():    "a peer's name was expected, but this is a key: give a name of 1 to 63 letters, digits and ._@-",
		"wg0 set private-key " + wrong:                wrong + ": private key: 40 characters: write the 32 bytes as 44 characters of base64",
		"wg0 set peer B --preshared-key=" + wrong:     "peer B: " + wrong + ": preshared key: 40 characters: write the 32 bytes as 44 characters of base64",
		"wg0 sysctl net.wg.nothing":                   "net.wg.nothing: no such tunable: the names are net.wg.rekey_after_messages, net.wg.rekey_after_time, net.wg.rekey_timeout, net.wg.rekey_attempt_time, net.wg.keepalive_timeout, net.wg.force_underload, net.wg.debug, net.wg.path_mtu_probes",
		"wg0 sysctl net.wg.debug=1 net.wg.nothing":    "net.wg.nothing: no such tunable: the names are net.wg.rekey_after_messages, net.wg.rekey_after_time, net.wg.rekey_timeout, net.wg.rekey_attempt_time, net.wg.keepalive_timeout, net.wg.force_underload, net.wg.debug, net.wg.path_mtu_probes",
		"wg0 sysctl -w net.wg.rekey_timeout=0":        `net.wg.rekey_timeout: "0": give 1 to 86400 whole seconds`,
	} {
		runFails(t, line, 1, "wgconfig: "+want+"\n")
	}
	if n := len(target.Applied()); n != 0 {
		t.Errorf("%d changes were applied, want none", n)
	}
	target.Refuse(fmt.Errorf("port 5 is taken: choose another"))
	runFails(t, "wg0 set listen-port 5", 1, "wgconfig: port 5 is taken: choose another\n")
}

// A usage error has exit status 2 and prints the usage line of the closest form.
func TestUsage(t *testing.T) {
	start(t, full())
	const (
		setOptions = "[--preshared-key=FILE] [--endpoint=HOST:PORT] [--allowed-ips=IP/CIDR[,IP/CIDR]...] [--persistent-keepalive=SECONDS]"
		sysctlLine = "usage: wgconfig INTERFACE sysctl [-w] [NAME[=VALUE]...]\n"
	)
	for line, want := range map[string]string{
		"wg0 add peer " + pubkeyB + " B": "usage: wgconfig INTERFACE add peer NAME PUBKEY " + setOptions + "\n",
		"wg0 add peer " + pubkeyB:        "usage: wgconfig INTERFACE add peer NAME PUBKEY " + setOptions + "\n",
		"wg0 add peer B":                 "usage: wgconfig INTERFACE add peer NAME PUBKEY " + setOptions + "\n",
		"wg0 set peer B":                 "usage: wgconfig INTERFACE set peer NAME " + setOptions + " [--rename=NEW]\n",
		"wg0 set private-key":            "usage: wgconfig INTERFACE set private-key FILE\n",
		"wg0 set listen-port":            "usage: wgconfig INTERFACE set listen-port PORT\n",
		"wg0 set listen-port 1 2":        "usage: wgconfig INTERFACE set listen-port PORT\n",
		"wg0 show peer":                  "usage: wgconfig INTERFACE show peer NAME [--show-preshared-key] [--json]\n",
		"wg0 delete peer":                "usage: wgconfig INTERFACE delete peer NAME\n",
		"wg0 show peer B --rename=":      "usage: wgconfig INTERFACE show peer NAME [--show-preshared-key] [--json]\n",
		"wg0 delete peer B --json":       "usage: wgconfig INTERFACE delete peer NAME\n",
		"wg0 sysctl -w":                  sysctlLine,
		"wg0 sysctl -w net.wg.debug":     sysctlLine,
	} {
		status, stdout, stderr := run(strings.Fields(line)...)
		if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "wgconfig: ") || !strings.HasSuffix(stderr, "\n"+want) {
			t.Errorf("wgconfig %s: exit status %d\n%s%swant\n%s", line, status, stdout, stderr, want)
		}
	}
	for _, line := range []string{"", "wg0 nonsense", "wg0 set", "wg0 --nonsense", "wg0 add"} {
		if status, _, stderr := run(strings.Fields(line)...); status != 2 || !strings.Contains(stderr, "usage: wgconfig INTERFACE") {
			t.Errorf("wgconfig %s: exit status %d\n%s", line, status, stderr)
		}
	}
}

// sysctl prints the same as NetBSD's, when it shows and when it sets.
func TestSysctl(t *testing.T) {
	target := start(t, conf.Status{Tunables: conf.DefaultTunables()})
	for _, c := range []struct{ line, want string }{
		{"wg0 sysctl net.wg.rekey_after_time net.wg.debug", "net.wg.rekey_after_time = 120\nnet.wg.debug = 0\n"},
		{"wg0 sysctl -w net.wg.rekey_after_time=10 net.wg.force_underload=1", "net.wg.rekey_after_time: 120 -> 10\nnet.wg.force_underload: 0 -> 1\n"},
		{"wg0 sysctl net.wg.rekey_attempt_time=20 net.wg.rekey_after_time", "net.wg.rekey_attempt_time: 90 -> 20\nnet.wg.rekey_after_time = 10\n"},
		{"wg0 sysctl net.wg", "net.wg.rekey_after_messages = 1152921504606846976\nnet.wg.rekey_after_time = 10\nnet.wg.rekey_timeout = 5\n" +
			"net.wg.rekey_attempt_time = 20\nnet.wg.keepalive_timeout = 10\nnet.wg.force_underload = 1\nnet.wg.debug = 0\nnet.wg.path_mtu_probes = 1\n"},
	} {
		if got := runOK(t, c.line); got != c.want {
			t.Errorf("wgconfig %s:\n%s\nwant\n%s", c.line, got, c.want)
		}
	}
	if runOK(t, "wg0 sysctl") != runOK(t, "wg0 sysctl net.wg") {
		t.Error("sysctl without a name does not show all tunables")
	}
	if s := target.Status().Tunables; s.RekeyAfterTime != 10*time.Second || !s.ForceUnderload || s.RekeyAttemptTime != 20*time.Second {
		t.Errorf("%+v", s)
	}
}

// The table is complete, and completion offers the right words.
func TestTable(t *testing.T) {
	for _, name := range conf.TunableNames() {
		if values, _ := conf.TunableValues(name); !strings.Contains(placeholders[nameOrValue], name+" ("+values+")") {
			t.Errorf("the manual does not give the values of %s: %s", name, placeholders[nameOrValue])
		}
	}
	if err := cli.Check(command()); err != nil {
		t.Error(err)
	}
	start(t, full())
	for line, want := range map[string]string{
		"":                  "wg0\ncompletion\n",
		"wg0 show peer":     "B\ndeadbeef11\ndeadbeef12\n",
		"wg0 delete peer":   "B\ndeadbeef11\ndeadbeef12\n",
		"wg0 set peer":      "B\ndeadbeef11\ndeadbeef12\n",
		"wg0 sysctl":        strings.Join(conf.TunableNames(), "\n") + "\n",
		"wg0 show":          "all\npeer\nprivate-key\n",
		"wg0 set":           "private-key\nlisten-port\nfwmark\nmss-clamp\npeer\n",
		"wg0 set fwmark":    "",
		"wg0 add peer":      "",
		"wg1 delete peer":   "",
		"wg0 show nonsense": "",
	} {
		args := append(append([]string{"__complete"}, strings.Fields(line)...), "")
		status, stdout, stderr := run(args...)
		if status != 0 || stderr != "" || stdout != want {
			t.Errorf("completion after %q: exit status %d, %q, %q, want %q", line, status, stdout, stderr, want)
		}
	}
	if got := completePeer([]string{"wg0", "add", "peer"}); got != nil {
		t.Errorf("completion of a new peer's name offers %v", got)
	}
}
