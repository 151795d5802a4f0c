package wgconf

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"wgd/internal/resolve"
	"wgd/key"
)

// TestBytesAreTheText: every text comes back byte for byte.
func TestBytesAreTheText(t *testing.T) {
	for _, text := range corpus() {
		if got := Parse([]byte(text)).Bytes(); string(got) != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// corpus are texts of all kinds.
func corpus() []string {
	whole := expand(everything)
	return []string{
		"", "\n", "\r\n", "x", "[", "=", "#", "# Name = ", "[Interface]", "[Peer]\n\n\n", " \t[ Peer ] # c\n", "a\x00b=\xff\n", "\xef\xbb\xbf[Interface]\n",
		whole, strings.ReplaceAll(whole, "\n", "\r\n"), strings.TrimSuffix(whole, "\n"), strings.ReplaceAll(whole, " = ", "="),
		expand("[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8,::/0\n[Peer]\nPublicKey=<A>\nEndpoint=a:5\n#x\n[Peer]\nPublicKey=<B>"),
	}
}

func ptr[T any](v T) *T { return &v }

// TestUpdateChangesOnlyTheLinesInQuestion: an edit of the value, and what
// becomes of the text. Lines that begin with - go and those with + come.
func TestUpdateChangesOnlyTheLinesInQuestion(t *testing.T) {
	const newText = "+EwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5Wk="
	newKey, err := key.ParsePrivate(newText)
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix
	for _, c := range []struct {
		about string
		edit  func(f *File)
		want  string
	}{
		{"nothing", func(*File) {}, ""},
		{"the port", func(f *File) { f.Interface.ListenPort = ptr(uint16(5)) }, "-ListenPort = 51820\n+ListenPort = 5\n"},
		{"no port", func(f *File) { f.Interface.ListenPort = nil }, "-ListenPort = 51820\n"},
		{"the mark", func(f *File) { f.Interface.FwMark = ptr(uint32(0)) }, "-FwMark = 0xca6c\n+FwMark = off\n"},
		{"the private key", func(f *File) { f.Interface.PrivateKey = &newKey }, "-PrivateKey = <K>\n+PrivateKey = " + newText + "\n"},
		{"a file for the key", func(f *File) { f.Interface.PrivateKeyFile = "/k" }, "-PrivateKey = <K>\n+PrivateKeyFile = /k\n"},
		{"an address less", func(f *File) { f.Interface.Network.Addresses = f.Interface.Network.Addresses[1:] },
			"-Address = 10.2.0.42/24, fd00:2::42/64\n+Address = fd00:2::42/64\n"},
		{"an address more", func(f *File) {
			f.Interface.Network.Addresses = append(f.Interface.Network.Addresses, p("10.4.0.1/24"))
		}, "-Address = 10.3.0.1\n+Address = 10.3.0.1, 10.4.0.1/24\n"},
		{"no address", func(f *File) { f.Interface.Network.Addresses = nil }, "-Address = 10.2.0.42/24, fd00:2::42/64\n-Address = 10.3.0.1\n"},
		{"a name server less", func(f *File) { f.Interface.Network.DNS.Servers = f.Interface.Network.DNS.Servers[:1] },
			"-DNS = 10.2.0.53, fd00:2::53 corp.example, ~lab.example.\n+DNS = 10.2.0.53, corp.example, ~lab.example.\n"},
		{"the table", func(f *File) { f.Interface.Network.Table = Table{} }, "-Table = 1000\n"},
		{"a hook less", func(f *File) { f.Interface.Network.PostUp = f.Interface.Network.PostUp[1:] }, "-PostUp = first # with a comment\n"},
		{"a hook more", func(f *File) { f.Interface.Network.PreUp = append(f.Interface.Network.PreUp, "z # z") }, "+PreUp = z # z\n"},
		{"clamping", func(f *File) { f.Interface.Network.NoMSSClamp = false }, "-# MSSClamp = off\n"},
		{"a peer's name", func(f *File) { f.Peers[0].Name = "C" }, "-# Name = B\n+# Name = C\n"},
		{"a name for the nameless", func(f *File) { f.Peers[1].Name = "A" }, "+# Name = A\n"},
		{"an endpoint", func(f *File) { f.Peers[0].Endpoint = resolve.Endpoint{Host: "2001:db8::2", Port: "7"} },
			"-Endpoint = vpn.example:51820\n+Endpoint = [2001:db8::2]:7\n"},
		{"a keepalive", func(f *File) { f.Peers[1].PersistentKeepalive = 5 }, "+PersistentKeepalive = 5\n"},
		{"no preshared key", func(f *File) { f.Peers[0].PresharedKey = key.Preshared{} }, "-PresharedKey = <S>\n"},
		{"allowed IPs", func(f *File) {
			f.Peers[0].AllowedIPs = []netip.Prefix{p("10.2.0.0/24"), p("10.5.0.0/16")}
			f.Peers[0].ExcludedIPs = nil
		}, "-AllowedIPs = 10.2.0.0/24, fd00:2::/64\n-AllowedIPs = 0.0.0.0/0\n-ExcludedIPs = 192.168.0.0/16\n+AllowedIPs = 10.2.0.0/24, 10.5.0.0/16\n"},
		{"the last peer goes", func(f *File) { f.Peers = f.Peers[:1] },
			"-\n-[Peer]\n-PublicKey = <A>\n-AllowedIPs = 10.9.0.1\n-Endpoint = [2001:db8::1]:5\n"},
		{"the first peer goes", func(f *File) { f.Peers = f.Peers[1:] },
			"-[Peer]\n-# Name = B\n-PublicKey = <B>\n-PresharedKey = <S>\n-AllowedIPs = 10.2.0.0/24, fd00:2::/64\n-AllowedIPs = 0.0.0.0/0\n-ExcludedIPs = 192.168.0.0/16\n" +
				"-Endpoint = vpn.example:51820\n-PersistentKeepalive = 25\n-\n"},
		{"a peer comes", func(f *File) {
			f.Peers = append(f.Peers, Peer{PublicKey: key.Public{5}, Name: "new", AllowedIPs: []netip.Prefix{p("10.6.0.0/16"), p("fd06::/16")}})
		}, "+\n+[Peer]\n+# Name = new\n+PublicKey = " + key.Public{5}.Base64() + "\n+AllowedIPs = 10.6.0.0/16, fd06::/16\n"},
	} {
		for _, end := range []string{"\n", "\r\n"} {
			text := strings.ReplaceAll(expand(everything), "\n", end)
			from, _ := read(t, text)
			to, _ := read(t, text)
			c.edit(to)
			d := Parse([]byte(text))
			d.Update(from, to)
			after := string(d.Bytes())
			if got, want := changes(text, after, end), strings.ReplaceAll(expand(c.want), "\n", end); sortedChanges(got) != sortedChanges(want) {
				t.Errorf("%s: the lines that changed:\n%swant:\n%s", c.about, got, want)
			}
			again, _ := read(t, after)
			if got, want := summary(again), summary(to); got != want {
				t.Errorf("%s: the text says:\n%swant:\n%s", c.about, got, want)
			}
		}
	}
}

// changes are the lines that went and came, those in common from both ends left
// out.
func changes(before, after, end string) string {
	a, b := strings.SplitAfter(before, end), strings.SplitAfter(after, end)
	// The longest common subsequence, so that it is the same whatever moved.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out.WriteString("-" + a[i])
			i++
		default:
			out.WriteString("+" + b[j])
			j++
		}
	}
	return out.String()
}

// sortedChanges: which of two equal lines went does not matter.
func sortedChanges(s string) string {
	lines := strings.SplitAfter(s, "\n")
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "")
}

// TestUpdateWritesAsTheNeighboursDo: spacing, ends of lines, comments about
// peers, commented directives.
func TestUpdateWritesAsTheNeighboursDo(t *testing.T) {
	for _, c := range []struct {
		about, before string
		edit          func(f *File)
		after         string
	}{
		{"no spaces, indented", "[Interface]\n\tMTU=1400 # c\n\n", func(f *File) { f.Interface.ListenPort = ptr(uint16(5)) }, "[Interface]\n\tMTU=1400 # c\n\tListenPort=5\n\n"},
		{"a comment after the value", "[Interface]\nMTU  =  1400# c", func(f *File) { f.Interface.Network.MTU = 1380 }, "[Interface]\nMTU  =  1380# c"},
		{"no last line end", "[Interface]\nMTU = 1400", func(f *File) { f.Interface.ListenPort = ptr(uint16(5)) }, "[Interface]\nMTU = 1400\nListenPort = 5"},
		{"no section yet", "# mine\n", func(f *File) { f.Interface.ListenPort = ptr(uint16(5)) }, "# mine\n\n[Interface]\nListenPort = 5\n"},
		{"no [Interface] yet", "# mine\n\n# A\n[Peer]\nPublicKey=<A>\n", func(f *File) { f.Interface.ListenPort = ptr(uint16(5)) },
			"# mine\n\n[Interface]\nListenPort = 5\n\n# A\n[Peer]\nPublicKey=<A>\n"},
		{"a new peer at the end of a file without line end", "[Interface]\r\nMTU=1400", func(f *File) { f.Peers = []Peer{{PublicKey: key.Public{}}} },
			"[Interface]\r\nMTU=1400\r\n\r\n[Peer]\r\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
		{"comments go with the peer below them", "[Peer]\nPublicKey=<A>\n#Endpoint=x:5\n\n# B\n# his phone\n[Peer]\nPublicKey=<B>\n# end\n",
			func(f *File) { f.Peers = f.Peers[:1] }, "[Peer]\nPublicKey=<A>\n#Endpoint=x:5\n"},
		{"and stay with the peer that stays", "[Peer]\nPublicKey=<A>\n#Endpoint=x:5\n# B\n[Peer]\nPublicKey=<B>\n", func(f *File) { f.Peers = f.Peers[1:] }, "# B\n[Peer]\nPublicKey=<B>\n"},
		{"both sections of a peer", "[Peer]\nPublicKey=<A>\n[Peer]\nPublicKey=<B>\n[Peer]\nPublicKey=<A>\n",
			func(f *File) { f.Peers = f.Peers[1:] }, "[Peer]\nPublicKey=<B>\n"},
		{"the section that counts", "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\nPersistentKeepalive=5\n[Peer]\nPublicKey=<A>\nAllowedIPs=11.0.0.0/8\n",
			func(f *File) { f.Peers[0].AllowedIPs, f.Peers[0].PersistentKeepalive = nil, 6 },
			"[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\nPersistentKeepalive=6\n[Peer]\nPublicKey=<A>\n"},
		{"a list with its own commas", "[Interface]\nAddress = 10.0.0.1/8 ,10.1.0.1/8 , 10.2.0.1/8\n", func(f *File) {
			a := f.Interface.Network.Addresses
			f.Interface.Network.Addresses = []netip.Prefix{a[0], a[2], netip.MustParsePrefix("10.3.0.1/8")}
		}, "[Interface]\nAddress = 10.0.0.1/8 ,10.2.0.1/8 ,10.3.0.1/8\n"},
		{"name servers in another order", "[Interface]\nDNS=10.0.0.1 a.example\nDNS=10.0.0.2,10.0.0.3\n", func(f *File) {
			s := f.Interface.Network.DNS.Servers
			f.Interface.Network.DNS.Servers = []netip.Addr{s[1], s[0]}
		}, "[Interface]\nDNS=10.0.0.2, 10.0.0.1, a.example\n"},
		{"an element that is written otherwise stays", "[Peer]\nPublicKey=<A>\nAllowedIPs=10.1.2.3/8,FD00::/08\n", func(f *File) {
			f.Peers[0].AllowedIPs = append(f.Peers[0].AllowedIPs, netip.MustParsePrefix("::/0"))
		}, "[Peer]\nPublicKey=<A>\nAllowedIPs=10.1.2.3/8,FD00::/08,::/0\n"},
	} {
		from, _ := read(t, expand(c.before))
		to, _ := read(t, expand(c.before))
		c.edit(to)
		d := Parse([]byte(expand(c.before)))
		d.Update(from, to)
		if got := string(d.Bytes()); got != expand(c.after) {
			t.Errorf("%s:\n%q, want\n%q", c.about, got, expand(c.after))
		}
	}
}

// TestWritesANewFile: a File that comes from elsewhere becomes a text that says
// the same.
func TestWritesANewFile(t *testing.T) {
	for _, text := range corpus() {
		file, _ := Parse([]byte(text)).Decode(Env{})
		if file == nil {
			continue
		}
		d := Parse(nil)
		d.Update(&File{}, file)
		again, _ := read(t, string(d.Bytes()))
		if got, want := summary(again), summary(file); got != want {
			t.Errorf("%q says:\n%swant:\n%s", d.Bytes(), got, want)
		}
	}
}

// Erase leaves no secret behind, nor does Update in the lines that it replaces
// or removes.
func TestEraseZeroesTheText(t *testing.T) {
	text := expand(everything)
	d := Parse([]byte(text))
	from, _ := read(t, text)
	to, _ := read(t, text)
	swapped, err := key.ParsePrivate(presharedAB)
	if err != nil {
		t.Fatal(err)
	}
	to.Interface.PrivateKey = &swapped
	to.Peers[0].PresharedKey = key.Preshared{}
	before := linesOf(d)
	d.Update(from, to)
	for _, l := range before {
		if bytes.Contains(l.raw, []byte(privateText)) || bytes.Contains(l.raw, []byte(presharedAB)) {
			t.Errorf("Update leaves %q", l.raw)
		}
	}
	after := linesOf(d)
	d.Erase()
	for _, l := range after {
		if len(bytes.Trim(l.raw, "\x00")) > 0 {
			t.Errorf("Erase leaves %q", l.raw)
		}
	}
	if len(d.Bytes()) > 0 {
		t.Error("the document is not empty")
	}
}

func linesOf(d *Document) (lines []*line) {
	for _, s := range d.sections {
		lines = append(lines, s.lines...)
	}
	return lines
}
