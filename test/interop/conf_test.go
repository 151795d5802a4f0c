package interop

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/internal/wgconf"
	"wgd/key"
	"wgd/test/lab"
)

// toolsEnv is the environment variable with a folder of another version of wg and
// wg-quick to test.
const toolsEnv = "WG_TOOLS"

// probe replaces the part of wg-quick that configures an interface: it prints what was
// read from the file, and checks whether the kernel accepts that.
const probe = `
parse_options "$1"
ip link set mtu 1420 dev wg0
ip addr flush dev wg0
for i in "${ADDRESSES[@]}"; do add_addr "$i" >&2; done
ip -o addr show dev wg0 | while read -r _ _ _ a _; do echo "address $a"; done | sort
[[ -z $MTU ]] || { ip link set mtu "$MTU" dev wg0; read -r MTU < /sys/class/net/wg0/mtu; echo "mtu $MTU"; }
case "$TABLE" in
''|auto) echo "table auto" ;;
off) echo "table off" ;;
*)	ip route add blackhole 198.18.0.0/24 table "$TABLE"
	ip -N route show table all type blackhole | while read -r _ _ t n _; do [[ $t == table ]] || n=254; echo "table $n"; done
	ip route del blackhole 198.18.0.0/24 table "$TABLE" ;;
esac
for i in "${DNS[@]}"; do echo "dns $i"; done
for i in "${DNS_SEARCH[@]}"; do [[ $i == "~." ]] || i=${i%.}; echo "search $i"; done
for i in "${PRE_UP[@]}"; do [[ -z $i ]] || echo "PreUp $i"; done
for i in "${POST_UP[@]}"; do [[ -z $i ]] || echo "PostUp $i"; done
for i in "${PRE_DOWN[@]}"; do [[ -z $i ]] || echo "PreDown $i"; done
for i in "${POST_DOWN[@]}"; do [[ -z $i ]] || echo "PostDown $i"; done
echo "save $SAVE_CONFIG"
`

// The keys of the files below.
const (
	confPrivate = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	confPeerA   = "40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg="
	confPeerB   = "X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU="
	confShared  = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak="
)

var confKeys = strings.NewReplacer("<K>", confPrivate, "<A>", confPeerA, "<B>", confPeerB, "<S>", confShared)

// tools is a host with two interfaces: wg and wg-quick configure wg0, and we wg1.
type tools struct {
	*lab.Host
	old bool // this version truncates hooks at a #
}

func newTools(t *testing.T) *tools {
	h := &tools{Host: lab.NewHost(t, "a")}
	h.Must("wgd wg0 && wgd wg1")
	h.Must(`f=$(PATH="%s:$PATH" command -v wg-quick) && sed '/function override insertion point/,$d' $f >/run/probe`, os.Getenv(toolsEnv))
	h.Write("/run/tail", probe)
	h.Must("cat /run/tail >>/run/probe")
	h.old = !strings.Contains(h.Must("cat /run/probe"), "unstripped_value")
	return h
}

// theirs configures wg0 from a file with wg-quick and wg, and returns the status of wg0
// and the output of the probe.
func (h *tools) theirs(t *testing.T, text string) (status conf.Status, system string, ok bool) {
	h.Write("/etc/wireguard/wg0.conf", text)
	h.apply(t, "wg0", emptyChange())
	r := h.Run(`PATH="` + os.Getenv(toolsEnv) + `:$PATH"; wg-quick strip wg0 >/run/stripped && wg setconf wg0 /run/stripped && bash /run/probe wg0`)
	return h.status(t, "wg0"), r.Out, r.Code == 0
}

// ours does the same with package wgconf and wg1.
func (h *tools) ours(t *testing.T, text string) (status conf.Status, system string, ok bool) {
	file, _ := wgconf.Parse([]byte(text)).Decode(wgconf.Env{})
	if file == nil {
		return conf.Status{}, "", false
	}
	h.apply(t, "wg1", emptyChange())
	h.apply(t, "wg1", file.Change())
	return h.status(t, "wg1"), h.system(&file.Interface.Network), true
}

func emptyChange() conf.Change {
	port, mark := uint16(0), uint32(0)
	return conf.Change{PrivateKey: new(key.Private), ListenPort: &port, FirewallMark: &mark, ReplacePeers: true}
}

func (h *tools) apply(t *testing.T, name string, change conf.Change) {
	t.Helper()
	conn, err := dialHost(h.Host, "/run/wireguard/"+name+".sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := uapi.WriteChange(bufio.NewWriter(conn), &change); err != nil {
		t.Fatal(err)
	}
	if err := uapi.NewReader(conn).Result(); err != nil {
		t.Fatalf("%s refused a valid change: %v", name, err)
	}
}

func (h *tools) status(t *testing.T, name string) conf.Status {
	t.Helper()
	conn, err := dialHost(h.Host, "/run/wireguard/"+name+".sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := uapi.WriteGet(bufio.NewWriter(conn)); err != nil {
		t.Fatal(err)
	}
	status, err := uapi.NewReader(conn).Status()
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// system returns what the probe would print.
func (h *tools) system(n *wgconf.Network) string {
	var lines []string
	for _, a := range n.Addresses {
		lines = append(lines, "address "+a.String())
	}
	slices.Sort(lines)
	if n.MTU != 0 {
		lines = append(lines, fmt.Sprint("mtu ", n.MTU))
	}
	switch {
	case n.Table.Off():
		lines = append(lines, "table off")
	case n.Table.Number() == 0:
		lines = append(lines, "table auto")
	default:
		lines = append(lines, fmt.Sprint("table ", n.Table.Number()))
	}
	for _, server := range n.DNS.Servers {
		lines = append(lines, "dns "+server.String())
	}
	for _, domain := range n.DNS.Search {
		lines = append(lines, "search "+string(domain))
	}
	for _, domain := range n.DNS.Route {
		lines = append(lines, "search ~"+string(domain))
	}
	for name, hooks := range map[string][]wgconf.Hook{"PreUp": n.PreUp, "PostUp": n.PostUp, "PreDown": n.PreDown, "PostDown": n.PostDown} {
		for _, hook := range hooks {
			line := string(hook)
			if h.old {
				line, _, _ = strings.Cut(line, "#")
			}
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, name+" "+line)
			}
		}
	}
	save := 0
	if n.SaveConfig {
		save = 1
	}
	return strings.Join(append(lines, fmt.Sprint("save ", save)), "\n") + "\n"
}

// confText returns a status as text, without what files do not determine.
func confText(s *conf.Status, port bool) string {
	var b strings.Builder
	if port {
		fmt.Fprintf(&b, "port %d\n", s.ListenPort)
	}
	fmt.Fprintf(&b, "key %v, mark %#x\n", s.PublicKey, s.FirewallMark)
	for _, p := range s.Peers {
		allowed := []string{}
		for _, prefix := range p.AllowedIPs {
			allowed = append(allowed, prefix.String())
		}
		slices.Sort(allowed)
		fmt.Fprintf(&b, "peer %v: %v %v every %d, psk %x\n", p.PublicKey, p.Endpoint, allowed, p.PersistentKeepalive, p.PresharedKey.Bytes()[:4])
	}
	return b.String()
}

// compare passes one text to both. want says which of them must accept it.
func (h *tools) compare(t *testing.T, text string, want acceptedBy) {
	t.Helper()
	theirs, theirSystem, theirOK := h.theirs(t, text)
	ours, ourSystem, ourOK := h.ours(t, text)
	got := acceptedBy{theirOK, ourOK}
	if got != want {
		t.Errorf("%q: accepted by %+v, want %+v\n%s", text, got, want, theirSystem)
		return
	}
	if got != both {
		return
	}
	file, _ := wgconf.Parse([]byte(text)).Decode(wgconf.Env{})
	port := file.Interface.ListenPort != nil && *file.Interface.ListenPort != 0
	if a, b := confText(&theirs, port), confText(&ours, port); a != b {
		t.Errorf("%q:\nconfigured by wg:\n%sby wgconf:\n%s", text, a, b)
	}
	if a, b := sortedText(theirSystem), sortedText(ourSystem); a != b {
		t.Errorf("%q:\nread by wg-quick:\n%sby wgconf:\n%s", text, theirSystem, ourSystem)
	}
}

// sortedText sorts lines by their first word. The sort is stable.
func sortedText(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.SortStableFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return strings.Join(lines, "")
}

// acceptedBy says which programs accept a file.
type acceptedBy struct{ Wg, Wgconf bool }

var (
	both       = acceptedBy{true, true}
	neither    = acceptedBy{false, false}
	onlyWg     = acceptedBy{true, false}
	onlyWgconf = acceptedBy{false, true}
)

// TestFilesMeanTheSame: wg-quick with wg, and package wgconf, accept the same files, and
// the configuration is the same. The list contains the differences, and their reasons.
func TestFilesMeanTheSame(t *testing.T) {
	t.Parallel()
	h := newTools(t)
	const (
		i = "[Interface]\n"
		p = "[Peer]\nPublicKey=<A>\n"
	)
	for _, c := range []struct {
		text string
		want acceptedBy
	}{
		{"", both}, {"# nothing\n\n", both}, {i, both}, {"ListenPort=5\n", neither}, {"[Foo]\n", neither}, {i + "Foo=1\n", neither}, {"[Peer]\n", neither},
		{"[iNTERFACE] # x\n\tlistenPORT\v= 12 # y\nADDRESS=10.0.0.1/8\n[pEER]\nPUBLICkey=<A>\n", both},
		{"[Interface]\r\nListenPort=5\r\nAddress=10.0.0.1/8\r\nPostUp = a b \r\n[Peer]\r\nPublicKey=<A>\r\n", both},
		{i + "PrivateKey=<K>", both}, {i + "Listen Port = 12 34\n", both}, {i + "Post Up = true\n", neither}, {"[ Peer ]\nPublicKey=<A>\n", both},
		{i + "PrivateKey = " + confPrivate[:20] + " " + confPrivate[20:] + "\n", both}, {i + "PrivateKey=" + confPrivate[:42] + "l=\n", neither},
		{i + "PrivateKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", both}, {i + "PrivateKey=\n", neither}, {i + "; x\n", neither},
		{"\xef\xbb\xbf" + i, neither}, {"[Interface]=\n", neither}, {"[Interface] x\n", neither},
		{i + "ListenPort=5\nMTU=1400\n" + p + i + "ListenPort=6\nFwMark=010\nMTU=1390\n", both},
		{i + "ListenPort=0010\n", both}, {i + "ListenPort=\n", neither}, {i + "ListenPort=0x10\n", neither}, {i + "ListenPort=5=6\n", neither}, {i + "ListenPort=-1\n", neither},
		{i + "FwMark=0xCAfe\n", both}, {i + "FwMark=0X10\n", neither}, {i + "FwMark=0x\n", neither}, {i + "FwMark=OFF\n", both}, {i + "FwMark=4294967295\n", both}, {i + "FwMark=4294967296\n", neither},
		{i + "SaveConfig = TRUE\n", both}, {i + "SaveConfig = yes\n", neither}, {i + "SaveConfig =\n", neither},
		{i + "MTU=\nDNS=\nAddress=,\nTable=\nPostUp=\n", both}, {i + "MTU=67\n", neither}, {i + "MTU=68\n", both}, {i + "MTU=65535\n", both}, {i + "MTU=65536\n", neither},
		{i + "Table=off\n", both}, {i + "Table=auto\n", both}, {i + "Table=OFF\n", neither}, {i + "Table=foo\n", neither}, {i + "Table=300\n", both}, {i + "Table=0x12d\n", both},
		{i + "Table=main\n", both}, {i + "Table=local\n", both}, {i + "Table=0\n", both}, {i + "Table=4294967295\n", both}, {i + "Table=4294967296\n", neither},
		{i + "Address=10.0.0.1\nAddress=10.0.0.1/24 fd00::1/64,10.3.0.1/8\n", both}, {i + "Address=fd00::1/64, fd00::1\n", neither}, {i + "Address=10.0.0.1/33\n", neither},
		{i + "Address=::1/128\n", neither}, {i + "Address=ff02::1/64\n", neither}, {i + "Address=::/64\n", neither}, {i + "Address=fe80::1%lo/64\n", neither}, {i + "Address=224.0.0.1/4\n", both},
		{i + "DNS=10.0.0.1, fd00::1 corp.example,~lab.example. ~.\n", both},
		{i + "PreUp=a; b\nPostUp = echo # x = 3 %i\nPostUp=second\nPreDown= a=b\nPostDown=d\n", both},
		{p + "AllowedIPs=10.0.0.0/8,\n", neither}, {p + "AllowedIPs=\n", neither}, {p + "AllowedIPs=10.0.0.0/08, ::ffff:1.2.3.4 , FD00::/7\nAllowedIPs=10.1.2.3/9\n", both},
		{p + "AllowedIPs=010.0.0.0/8\n", neither}, {p + "AllowedIPs=10/8\n", neither}, {p + "AllowedIPs=fe80::1%lo/128\n", neither}, {p + "AllowedIPs=10.0.0.0/\n", neither},
		{p + "AllowedIPs=10.0.0.0/18446744073709551624\n", neither}, {p + "Address=10.0.0.1/8\n", neither}, {p + "PostUp=true\n", neither}, {"[Peer]\nAllowedIPs=::/0\n", neither},
		{p + "Endpoint=2001:db8::1:5\n", both}, {p + "Endpoint=[fe80::1%lo]:5\n", both}, {p + "Endpoint=:5\n", neither}, {p + "Endpoint=192.0.2.1\n", neither}, {p + "Endpoint=192.0.2.1:0\n", neither},
		{p + "Endpoint=[192.0.2.1]:5\n", both}, {p + "Endpoint=\n", neither}, {p + "PersistentKeepalive = Off\n", both}, {p + "PersistentKeepalive=0025\n", both}, {p + "PersistentKeepalive=65536\n", neither},
		{p + "Endpoint=192.0.2.1:5\nPresharedKey=<S>\nPersistentKeepalive=9\nAllowedIPs=10.0.0.0/8,10.1.0.0/16\n[Peer]\nPublicKey=<B>\nAllowedIPs=10.4.0.0/16\n" + p + "AllowedIPs=10.2.0.0/16\n", both},
		{p + "AllowedIPs=10.0.0.0/8\n" + p + "Endpoint=192.0.2.1:5\n", both}, {"[Peer]\nPublicKey=<B>\nPublicKey=<A>\n", both},
		{p + "AllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<B>\nAllowedIPs=10.0.0.0/8\n", both}, {p + "# Name = A\n# Name = two words\n", both},

		// Values that wg misinterprets.
		{i + "ListenPort=70000\n", onlyWg}, {p + "Endpoint=192.0.2.1:70000\n", onlyWg}, // port 4464
		{p + "Endpoint=10.1:5\n", onlyWg}, {i + "Address=10.1/16\n", onlyWg}, {i + "Address=010.7.0.1/8\n", onlyWg}, // 10.0.0.1, 10.1.0.0, 8.7.0.1
		{i + "Table=010\n", onlyWg}, {i + "ListenPort=5\x006\n", onlyWg}, {i + "Table\n", neither}, {i + "Address=0.0.0.0/8\n", onlyWg}, // 8, 56, no address
		{i + "DNS=10.0.0\n", onlyWg}, {i + "DNS=10.0.0.1:53\n", onlyWg}, {i + "DNS=a..b\n", onlyWg}, // passed to resolvconf unchanged
		// Other spellings without use.
		{i + "ListenPort=domain\n", onlyWg}, {i + "ListenPort=+5\n", onlyWg}, {i + "MTU=0x5dc\n", onlyWg}, {i + "Address=10.3.0.1/255.255.255.0\n", onlyWg},
		// Accepted, because they do no harm: the same address twice, wg-quick's directives below [ Interface ].
		{i + "Address=10.0.0.1/8,10.0.0.1/8\n", onlyWgconf}, {"[ Interface ]\nAddress=10.0.0.1/8\n", onlyWgconf},
		// Our own directives, which others must not ignore.
		{p + "AllowedIPs=0.0.0.0/0\nExcludedIPs=10.0.0.0/8\n", onlyWgconf}, {i + "PrivateKeyFile=/etc/wg/wg0\n", onlyWgconf}, {p + "PresharedKeyFile=/etc/wg/psk\n", onlyWgconf},
	} {
		h.compare(t, confKeys.Replace(c.text), c.want)
	}
	signs := onlyWg // of the newer version
	if h.old {
		signs = neither
	}
	h.compare(t, confKeys.Replace(p+"AllowedIPs=+10.0.0.0/8\n"), signs)
}

// TestRandomFilesMeanTheSame tests the same for files of random lines.
func TestRandomFilesMeanTheSame(t *testing.T) {
	t.Parallel()
	h := newTools(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	accepted := 0
	for range 60 {
		text := ""
		for range 1 + random.IntN(4) {
			text += randomSection(random)
		}
		text = confKeys.Replace(text)
		_, _, ok := h.ours(t, text)
		if ok {
			accepted++
		}
		h.compare(t, text, acceptedBy{ok, ok})
	}
	if accepted < 10 || accepted > 58 {
		t.Errorf("%d of 60 files were accepted, want 10 to 58 for a meaningful test", accepted)
	}
}

// randomSection returns a section of a few lines in random order, sometimes with one
// that belongs to the other section. It has no address twice.
func randomSection(random *rand.Rand) string {
	interfaceLines := []string{"ListenPort = 5", "listenport=6", "FwMark=0x20", "PrivateKey=<K>", "MTU = 1400", "DNS = 10.0.0.53, a.example", "Table=off", "Table=77",
		"PostUp = one; two", "SaveConfig=true", fmt.Sprintf("Address = 10.%d.%d.1/24, fd00::%x/64", random.IntN(256), random.IntN(256), 1+random.IntN(65535))}
	peerLines := []string{"PublicKey=<B>", "AllowedIPs = 10.0.0.0/8", "AllowedIPs=10.1.0.0/16, fd00::/64", "Endpoint = 192.0.2.1:5", "PresharedKey = <S>", "PersistentKeepalive = 25"}
	text, lines, others := "[Interface]\n", interfaceLines, peerLines
	if random.IntN(2) == 0 {
		text, lines, others = "[ peer ]\nPublicKey = <A>\n", peerLines, interfaceLines
	}
	for _, n := range random.Perm(len(lines))[:random.IntN(len(lines))] {
		text += lines[n] + []string{"\n", "\r\n", " # c\n", "\n\n"}[random.IntN(4)]
	}
	if random.IntN(8) == 0 {
		text += others[random.IntN(len(others))] + "\n"
	}
	return text
}

// The name of the file: what wg-quick refuses we refuse.
func TestFileNamesAreThoseOfWgQuick(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for name, want := range map[string]bool{
		"wg0": true, "a.b": true, "office=1+2_3-4": true, "fifteen-bytes-x": true, "sixteen-bytes-xy": false, "my vpn": false, "ä": false, "a:b": false, "": false,
	} {
		file := path.Join("/etc/wireguard", name+".conf")
		h.Write(file, "[Interface]\nPrivateKey="+confPrivate+"\n")
		for _, command := range []string{"wg-quick strip", "wgd check"} {
			r := h.Run(command + " '" + file + "'")
			if (r.Code == 0) != want {
				t.Errorf("%s %q: exit status %d\n%s", command, file, r.Code, r.Err)
			}
		}
	}
}
