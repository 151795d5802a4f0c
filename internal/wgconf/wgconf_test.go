package wgconf

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/key"
)

const (
	privateText = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	publicA     = "40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg="
	publicB     = "X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU="
	presharedAB = "/UwcSPg38hW/D9Y3tcS1FOV0K1wuURMbS0sesJEP5ak="
)

// expand puts the keys of the tests into a text.
func expand(text string) string {
	return strings.NewReplacer("<K>", privateText, "<A>", publicA, "<B>", publicB, "<S>", presharedAB).Replace(text)
}

// read decodes a text in which there is no error.
func read(t *testing.T, text string) (*File, Problems) {
	t.Helper()
	file, problems := Parse([]byte(text)).Decode(Env{})
	if file == nil {
		t.Fatalf("%q is refused: %v", text, problems)
	}
	return file, problems
}

// told are the problems, one a line, warnings with a w before the line number.
func told(problems Problems) string {
	var b strings.Builder
	for _, p := range problems {
		mark := ""
		if p.Warning {
			mark = "w"
		}
		fmt.Fprintf(&b, "%s%d: %s\n", mark, p.Line, p.Text)
	}
	return b.String()
}

// summary is all that a File says, in short. Keys are named as in expand.
func summary(f *File) string {
	var b strings.Builder
	for _, r := range interfaceRows {
		if values := r.encode(&f.Interface); len(values) > 0 {
			fmt.Fprintf(&b, "%s=%s\n", r.name, strings.Join(values, " | "))
		}
	}
	for i := range f.Peers {
		b.WriteString("peer")
		for _, r := range peerRows {
			if values := r.encode(&f.Peers[i]); len(values) > 0 {
				fmt.Fprintf(&b, " %s=%s", r.name, strings.Join(values, ","))
			}
		}
		b.WriteString("\n")
	}
	return strings.NewReplacer(privateText, "<K>", publicA, "<A>", publicB, "<B>", presharedAB, "<S>").Replace(b.String())
}

const everything = `# The road warrior's file
[Interface]
PrivateKey = <K>
ListenPort = 51820
FwMark = 0xca6c
Address = 10.2.0.42/24, fd00:2::42/64
Address = 10.3.0.1
DNS = 10.2.0.53, fd00:2::53 corp.example, ~lab.example.
MTU = 1380
Table = 1000
PreUp = echo "#1 %i" | cat
PostUp = first # with a comment
PostUp = second a=b
PreDown = x
PostDown = y
SaveConfig = TRUE
# MSSClamp = off

[Peer]
# Name = B
PublicKey = <B>
PresharedKey = <S>
AllowedIPs = 10.2.0.0/24, fd00:2::/64
AllowedIPs = 0.0.0.0/0
ExcludedIPs = 192.168.0.0/16
Endpoint = vpn.example:51820
PersistentKeepalive = 25

[Peer]
PublicKey = <A>
AllowedIPs = 10.9.0.1
Endpoint = [2001:db8::1]:5
`

// Each directive becomes the value that it means.
func TestEveryDirective(t *testing.T) {
	file, problems := read(t, expand(everything))
	if len(problems) > 0 {
		t.Errorf("problems:\n%s", told(problems))
	}
	want := `PrivateKey=<K>
ListenPort=51820
FwMark=0xca6c
Address=10.2.0.42/24 | fd00:2::42/64 | 10.3.0.1/32
DNS=10.2.0.53 | fd00:2::53 | corp.example | ~lab.example
MTU=1380
Table=1000
PreUp=echo "#1 %i" | cat
PostUp=first # with a comment | second a=b
PreDown=x
PostDown=y
SaveConfig=true
MSSClamp=off
peer Name=B PublicKey=<B> PresharedKey=<S> AllowedIPs=10.2.0.0/24,fd00:2::/64,0.0.0.0/0 ExcludedIPs=192.168.0.0/16 Endpoint=vpn.example:51820 PersistentKeepalive=25
peer PublicKey=<A> AllowedIPs=10.9.0.1/32 Endpoint=[2001:db8::1]:5
`
	if got := summary(file); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := file.Interface.Network.PreUp[0].For("wg0"); got != `echo "#1 wg0" | cat` {
		t.Errorf("the hook is %q", got)
	}
	if table := file.Interface.Network.Table; table.Off() || table.Number() != 1000 {
		t.Errorf("the table is %v", table)
	}
}

// What wg and wg-quick take, as they were tried: test/interop asks them again.
func TestReadsAsWgDoes(t *testing.T) {
	for _, c := range []struct{ about, text, want string }{
		{"an empty file", "", ""},
		{"capitals, white space within", "[ iNTERFACE ] # x\n\tlisten PORT\v= 12 34 # y\nADDRESS=10.0.0.1/8\n", "ListenPort=1234\nAddress=10.0.0.1/8\n"},
		{"CRLF, no last line end", "[Interface]\r\nListenPort=5\r\nPostUp = a b \r\nMTU=1400", "ListenPort=5\nMTU=1400\nPostUp=a b\n"},
		{"a key with spaces", "[Interface]\nPrivateKey = <K1> <K2>\n", "PrivateKey=<K>\n"},
		{"the last one counts", "[Interface]\nListenPort=5\nMTU=1400\nMTU=\n[Peer]\nPublicKey=<A>\nPublicKey=<B>\n[Interface]\nListenPort=6\nFwMark=010\n",
			"ListenPort=6\nFwMark=0xa\npeer PublicKey=<B>\n"},
		{"a peer twice", "[Peer]\nPublicKey=<A>\nEndpoint=192.0.2.1:5\nPresharedKey=<S>\nPersistentKeepalive=9\nAllowedIPs=10.0.0.0/8\n" +
			"[Peer]\nPublicKey=<B>\n[Peer]\nPublicKey=<A>\nAllowedIPs=10.2.0.0/16\nPersistentKeepalive=OFF\n",
			"peer PublicKey=<A> PresharedKey=<S> AllowedIPs=10.2.0.0/16 Endpoint=192.0.2.1:5\npeer PublicKey=<B>\n"},
		{"a peer twice, the second time without AllowedIPs", "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<A>\n", "peer PublicKey=<A>\n"},
		{"numbers with zeros", "[Interface]\nListenPort=0010\n[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/08\nPersistentKeepalive=0025\n",
			"ListenPort=10\npeer PublicKey=<A> AllowedIPs=10.0.0.0/8 PersistentKeepalive=25\n"},
		{"addresses in other forms", "[Peer]\nPublicKey=<A>\nAllowedIPs=::FFFF:1.2.3.4,10.1.2.3/8\nEndpoint=2001:db8::1:5\n",
			"peer PublicKey=<A> AllowedIPs=::ffff:1.2.3.4/128,10.0.0.0/8 Endpoint=[2001:db8::1]:5\n"},
		{"off", "[Interface]\nFwMark=Off\nTable=off\nSaveConfig=False\n", "FwMark=off\nTable=off\n"},
		{"lists without anything", "[Interface]\nAddress=,\nDNS = \nPostUp=\nTable=\n", ""},
		{"a table by name", "[Interface]\nTable=main\n", "Table=254\n"},
		{"a table in hexadecimal digits", "[Interface]\nTable=0x12d\n", "Table=301\n"},
		{"the root of names", "[Interface]\nDNS=~.,10.0.0.1\n", "DNS=10.0.0.1 | ~.\n"},
		{"a comment like one of our directives", "[Interface]\n# MSSClamping = off\n#Name=x\n[Peer]\nPublicKey=<A>\n#\tname =\tA.b \n", "peer Name=A.b PublicKey=<A>\n"},
		{"an IPv4 address with two lengths", "[Interface]\nAddress=10.0.0.1/8,10.0.0.1/24\n", "Address=10.0.0.1/8 | 10.0.0.1/24\n"},
	} {
		text := strings.NewReplacer("<K1>", privateText[:20], "<K2>", privateText[20:]).Replace(expand(c.text))
		file, _ := read(t, text)
		if got := summary(file); got != c.want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", c.about, got, c.want)
		}
	}
}

// A prefix belongs to the last section that asks for it, also where a peer has
// several sections: as for wg, in the order of the file.
func TestEachPrefixHasOnePeer(t *testing.T) {
	file, _ := read(t, expand("[Peer]\nPublicKey=<B>\nAllowedIPs=10.0.0.0/8,10.1.0.0/16,10.2.0.0/16\n[Peer]\nPublicKey=<A>\nAllowedIPs=10.1.0.0/16,10.2.0.0/16\n"+
		"[Peer]\nPublicKey=<A>\nAllowedIPs=10.2.0.0/16\n[Peer]\nPublicKey="+key.Public{5}.Base64()+"\nAllowedIPs=10.0.0.0/14\nExcludedIPs=10.0.0.0/15,10.3.0.0/16\n"))
	got := ""
	for _, p := range file.Peers {
		got += fmt.Sprintln(p.Allowed())
	}
	if want := "[10.0.0.0/8]\n[]\n[10.2.0.0/16]\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	file, _ = read(t, expand("[Peer]\nPublicKey=<B>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<B>\nAllowedIPs=10.0.0.0/8\n"))
	if a, b := file.Peers[1].Allowed(), file.Peers[0].Allowed(); len(a) != 0 || len(b) != 1 {
		t.Errorf("%v, %v", a, b)
	}
}

// Problems name the line and the way out, all at once, in order.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ListenPort=5\nMTU=5\n", "1: a directive before the first section: begin with a line [Interface]"},
		{"\xef\xbb\xbf[Interface]\nMTU=1500\n", "1: the file begins with a byte-order mark: save it as UTF-8 without one"},
		{"\xff\xfe[\x00I\x00n\x00t\x00]\x00\n\x00", "1: the file is in UTF-16: save it as UTF-8 without a byte-order mark"},
		{"\xfe\xff\x00[\x00I\x00n\x00t\x00]\x00\n", "1: the file is in UTF-16: save it as UTF-8 without a byte-order mark"},
		{"x\x00y\n", "1: a NUL byte: this is no text file, or it is damaged"},
		{"[Interface]\nListenPort=70000\nMTU=67\nFwMark=0x\nPostUp\nSaveConfig=yes\n",
			"2: ListenPort 70000: give a number from 0 to 65535\n3: MTU 67: give a number from 68 to 65535, or no such line\n" +
				"4: FwMark 0x: give a number up to 4294967295 or 0xffffffff, or off\n5: no equals sign: write a directive as KEY = VALUE, or begin a comment with #\n" +
				"6: SaveConfig yes: write true or false"},
		{"[Interface]\nListenPort=\n", "2: ListenPort has no value: give PORT, or remove the line"},
		{"[Interface]\nListenPort=5\x006\n", "2: a NUL byte: this is no text file, or it is damaged"},
		{"[Interfaces]\nMTU=1500\n", "1: [Interfaces] is no section: the sections are [Interface] and [Peer]"},
		{"[Interface]=\n", "1: [Interface]= is no section: the sections are [Interface] and [Peer]"},
		{"[Interface]\nListnPort=5\n", "2: there is no directive ListnPort: did you mean ListenPort?"},
		{"[Interface]\nPost Up=true\n", "2: PostUp is one word: write it without spaces"},
		{"[Interface]\nEndpoint=1.2.3.4:5\n", "2: Endpoint belongs in [Peer]: move it below such a line"},
		{"[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\nAddress=10.0.0.1/8\n", "4: Address belongs in [Interface]: move it below such a line"},
		{"[Interface]\nwhatever=5\n", "2: there is no such directive: wgd.conf(5) lists them; a comment begins with #"},
		{"[Peer]\nName=B\nPublicKey=<A>\nAllowedIPs=::/0\n", "2: Name is a directive of wgd alone: write it as a comment, # Name = NAME, so that wg-quick ignores it"},
		{"[Peer]\nAllowedIPs=10.0.0.0/8\n", "1: [Peer] without a PublicKey: a peer is identified by its public key"},
		{"[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/33,10/8,,-10.0.0.0/8\n", "3: AllowedIPs 10.0.0.0/33: write ADDRESS/LENGTH, with a length of at most 32 for IPv4 and 128 for IPv6\n" +
			"3: AllowedIPs 10/8: write ADDRESS/LENGTH, with a length of at most 32 for IPv4 and 128 for IPv6\n" +
			"3: AllowedIPs: there is nothing before or after a comma: remove the comma\n3: AllowedIPs -10.0.0.0/8: signs are for the command wg set: write the prefix without one; ExcludedIPs takes addresses out"},
		{"[Peer]\nPublicKey=<A>\nAllowedIPs=::/0\nEndpoint=10.1:5\nEndpoint=a\nEndpoint=a:0\nPersistentKeepalive=65536\n",
			"4: Endpoint 10.1:5: an IPv4 address has four numbers from 0 to 255\nw5: Endpoint is also on line 4: this one counts\n" +
				"5: Endpoint a: write HOST:PORT or [ADDRESS]:PORT, with a port from 1 to 65535\nw6: Endpoint is also on line 5: this one counts\n" +
				"6: Endpoint a:0: write HOST:PORT or [ADDRESS]:PORT, with a port from 1 to 65535\n7: PersistentKeepalive 65536: give a number of seconds from 1 to 65535, or off"},
		{"[Interface]\nAddress=10.0.0.1/33 0.0.0.0/8 ::1/128 fd00::1 fd00::1/64 010.0.0.1\n", "2: Address 10.0.0.1/33: write ADDRESS/LENGTH: 10.2.0.1/24 or fd00:2::1/64, for example\n" +
			"2: Address 0.0.0.0/8: the kernel gives this address to no interface of this kind: choose one of the tunnel's network\n" +
			"2: Address ::1/128: the kernel gives this address to no interface of this kind: choose one of the tunnel's network\n" +
			"2: Address fd00::1/64: the interface has this address already, as fd00::1/128: remove one of them\n" +
			"2: Address 010.0.0.1: write ADDRESS/LENGTH: 10.2.0.1/24 or fd00:2::1/64, for example"},
		{"[Interface]\nDNS=10.0.0 10.0.0.1:53 a..b .\n", "2: DNS 10.0.0: this is no address: write 10.0.0.53 or fd00::53, without a port\n" +
			"2: DNS 10.0.0.1:53: this is no address: write 10.0.0.53 or fd00::53, without a port\n" +
			"2: DNS a..b: write the address of a name server, a domain to search, or ~DOMAIN\n2: DNS .: this is no address: write 10.0.0.53 or fd00::53, without a port"},
		{"[Interface]\nTable=OFF\nTable=010\nTable=+5\n", "2: Table OFF: write auto, off, main, default, local, or a number from 1 to 4294967295\n" +
			"w3: Table is also on line 2: this one counts\n3: Table 010: write auto, off, main, default, local, or a number from 1 to 4294967295\n" +
			"w4: Table is also on line 3: this one counts\n4: Table +5: write auto, off, main, default, local, or a number from 1 to 4294967295"},
		{"[Interface]\nPrivateKey=<K>\nPrivateKeyFile=/x\n", "3: both PrivateKey (line 2) and PrivateKeyFile (line 3): keep one of them"},
		{"[Peer]\nPublicKey=<A>\nAllowedIPs=::/0\nPresharedKeyFile=/x\nPresharedKey=<S>\n", "5: both PresharedKey (line 5) and PresharedKeyFile (line 4): keep one of them"},
	} {
		file, problems := Parse([]byte(expand(c.text))).Decode(Env{})
		if file != nil {
			t.Errorf("%q is accepted", c.text)
		}
		got := strings.TrimSpace(strings.Replace(told(problems), "w0: no PrivateKey and no PrivateKeyFile: there will be no handshake until another command sets a key\n", "", 1))
		if got != c.want {
			t.Errorf("%q:\ngot:\n%s\nwant:\n%s", c.text, got, c.want)
		}
	}
}

// Warnings do not keep a file from being used.
func TestWarnings(t *testing.T) {
	const noKey = "w0: no PrivateKey and no PrivateKeyFile: there will be no handshake until another command sets a key\n"
	keyed := "[Interface]\nPrivateKey=<K>\n"
	own := key.Public{}
	if k, err := key.ParsePrivate(privateText); err == nil {
		own = k.Public()
	}
	for _, c := range []struct{ text, want string }{
		{"", noKey},
		{"[Interface]\nPostUp = wg set %i private-key /etc/wg/k\n", ""},
		{keyed + "[Peer]\nPublicKey=<A>\n", "w3: this peer has no AllowedIPs: no packet goes to it, and none from it is accepted\n"},
		{keyed + "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\nExcludedIPs=0.0.0.0/0\n",
			"w6: ExcludedIPs leave nothing of the AllowedIPs: no packet goes to this peer, and none from it is accepted\n"},
		{keyed + "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\nExcludedIPs=11.0.0.0/8\n",
			"w6: ExcludedIPs 11.0.0.0/8: the AllowedIPs of this peer include none of these addresses\n"},
		{keyed + "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<B>\nAllowedIPs=10.0.0.0/8\n",
			"w8: AllowedIPs 10.0.0.0/8: the peer of line 3 has the same: the last one, which is this one, gets it\n"},
		{keyed + "[Peer]\nPublicKey=" + own.Base64() + "\nAllowedIPs=10.0.0.0/8\n",
			"w4: PublicKey: this is the interface's own key: the peer is ignored; give the public key of the other end\n"},
		{keyed + "[Peer]\nPublicKey=" + key.Public{1}.Base64() + "\nAllowedIPs=10.0.0.1/8\n",
			"w4: PublicKey: with this key no handshake can succeed: copy it again\n" +
				"w5: AllowedIPs 10.0.0.1/8: bits of the host are set: 10.0.0.0/8 is meant, or 10.0.0.1/32\n"},
		{keyed + "Address=10.0.0.1/8\nAddress=10.0.0.1/8\nMTU=1279\n", "w4: Address 10.0.0.1/8 is in the file twice: remove one of them\n"},
		{keyed + "Address=fd00::1/64\nMTU=1279\n", "w4: MTU 1279: IPv6 needs 1280 or more, so the interface will have no IPv6 address\n"},
		{keyed + "DNS=~corp.example\n", "w3: DNS: there are domains with ~, but no name server to ask about them\n"},
		{keyed + "# Name = B\n[Peer]\n# MSSClamp = off\nPublicKey=<A>\nAllowedIPs=::/0\n",
			"w3: # Name is above its peer, so it is ignored: move it below the line [Peer]\nw5: # MSSClamp is in [Peer], so it is ignored: move it into [Interface]\n"},
		{keyed + "# MSSClamp = yes\n[Peer]\n# Name = my phone\nPublicKey=<A>\nAllowedIPs=::/0\n# Name =\n",
			"w3: # MSSClamp: ignored: write on or off\nw5: # Name: ignored: " + conf.ValidName("my phone").Error() + "\n" +
				"w8: Name is also on line 5: this one counts\nw8: Name has no value: give NAME, or remove the line\n"},
		{keyed + "[Peer]\n# Name = A\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<B>\n# Name = A\nAllowedIPs=11.0.0.0/8\n",
			"w9: # Name = A: ignored: the peer of line 3 has this name\n"},
		{keyed + "[Peer]\nPublicKey=<A>\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey=<A>\nAllowedIPs=11.0.0.0/8\n",
			"w6: the peer of line 3 again: directives given here replace those given there, and AllowedIPs are always replaced\n"},
	} {
		file, problems := read(t, expand(c.text))
		if got := told(problems); got != c.want {
			t.Errorf("%q:\ngot:\n%swant:\n%s", c.text, got, c.want)
		}
		if change := file.Change(); change.Validate() != nil {
			t.Errorf("%q: the change is refused: %v", c.text, change.Validate())
		}
	}
}

// Key files: what they hold, who may read them, and credentials of systemd.
func TestKeyFiles(t *testing.T) {
	files := map[string]KeyFile{
		"/etc/wg/k":         {Text: []byte(privateText + "\n")},
		"/etc/wireguard/s":  {Text: []byte(presharedAB), Exposed: true},
		"/run/credential/k": {Text: []byte(privateText)},
		"/bad":              {Text: []byte("no key")},
	}
	env := Env{Dir: "/etc/wireguard", ReadKey: func(path string) (KeyFile, error) {
		file, ok := files[path]
		if !ok {
			return KeyFile{}, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		file.Text = append([]byte{}, file.Text...)
		return file, nil
	}}
	text := "[Interface]\nPrivateKeyFile = /etc/wg/k\n[Peer]\nPublicKey=<A>\nAllowedIPs=::/0\nPresharedKeyFile=s\n"
	file, problems := Parse([]byte(expand(text))).Decode(env)
	if got := told(problems); got != "w6: PresharedKeyFile s: others may read this file: chmod 600 it\n" {
		t.Fatalf("problems: %s", got)
	}
	if file.Interface.PrivateKey.Base64() != privateText || file.Peers[0].PresharedKey.Base64() != presharedAB {
		t.Error("the keys are not those of the files")
	}
	for _, c := range []struct {
		path, credentials string
		checkOnly         bool
		want              string
	}{
		{"/none", "", false, "2: PrivateKeyFile /none: file does not exist: correct the path, or its permissions"},
		{"/bad", "", false, "2: PrivateKeyFile /bad: private key: 6 characters: write the 32 bytes as 44 characters of base64"},
		{"$CREDENTIALS_DIRECTORY/k", "/run/credential", false, ""},
		{"$CREDENTIALS_DIRECTORY/k", "", false, "2: PrivateKeyFile $CREDENTIALS_DIRECTORY/k: not read: $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential="},
		{"$CREDENTIALS_DIRECTORY/k", "", true, "w2: PrivateKeyFile $CREDENTIALS_DIRECTORY/k: not read: $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential="},
		{privateText, "", false, "2: PrivateKeyFile yAnz…: file does not exist: correct the path, or its permissions"},
	} {
		env.Credentials, env.CheckOnly = c.credentials, c.checkOnly
		_, problems := Parse([]byte("[Interface]\nPrivateKeyFile = " + c.path + "\n")).Decode(env)
		if got := strings.TrimSpace(told(problems)); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

// No problem repeats a secret, wherever in the file it stands.
func TestProblemsHideSecrets(t *testing.T) {
	lines := strings.SplitAfter(expand(everything), "\n")
	shapes := []string{"%s\n", "%s = x\n", "x = %s\n", "PrivateKey %s\n", "Private Key: %s\n", "[%s]\n", "# Name = %s\n", "# MSSClamp = %s\n", "%s"}
	for _, d := range append(InterfaceDirectives(), PeerDirectives()...) {
		shapes = append(shapes, d.Name+" = %s\n", d.Name+" = x%s\n", d.Name+" = 10.0.0.1, %s\n", d.Name+"%s = 5\n")
	}
	told := 0
	for i := 0; i < len(lines); i += 7 { // in each section, and above and below all
		for _, shape := range shapes {
			for _, secret := range []string{privateText, privateText[1:], strings.Replace(privateText, "+", " ", 1), privateText[24:]} {
				text := strings.Join(lines[:i], "") + fmt.Sprintf(shape, secret) + strings.Join(lines[i:], "")
				_, problems := Parse([]byte(text)).Decode(Env{ReadKey: func(string) (KeyFile, error) { return KeyFile{}, errors.New("none") }})
				for _, p := range problems {
					told++
					for at := 0; at+6 <= len(secret); at++ {
						if strings.Contains(p.Text, secret[at:at+6]) {
							t.Fatalf("%q: %s", fmt.Sprintf(shape, secret), p.Text)
						}
					}
				}
			}
		}
	}
	if told == 0 {
		t.Error("no problem was told")
	}
}

func TestLocate(t *testing.T) {
	for word, want := range map[string]string{
		"wg0":                "/etc/wireguard/wg0.conf wg0",
		"wg0.conf":           "wg0.conf wg0",
		"./a b.conf":         "",
		"/tmp/x":             "",
		"/tmp/my vpn.conf":   "",
		"/tmp/.conf":         "",
		"/tmp/office.1.conf": "/tmp/office.1.conf office.1",
		"my vpn":             "",
		"sixteen-bytes-xy":   "",
		"":                   "",
	} {
		file, name, err := Locate(word)
		if got := strings.TrimSpace(file + " " + name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", word, got, err)
		}
	}
}

// The names that lines know apart from the tables are those of the tables.
func TestNamesOfTheTables(t *testing.T) {
	for _, d := range InterfaceDirectives() {
		checkNames(t, interfaceRows, d)
	}
	for _, d := range PeerDirectives() {
		checkNames(t, peerRows, d)
	}
}

func checkNames[T any](t *testing.T, rows []row[T], d Directive) {
	for _, r := range rows {
		if r.name != d.Name {
			continue
		}
		if isVerbatim(r.name) != (r.style == verbatim) || isExtension(r.name) != (r.style == remark) {
			t.Errorf("%s: the lists and the table differ", r.name)
		}
		if r.meaning == "" || r.value == "" || r.many && r.style != verbatim && r.same == nil {
			t.Errorf("%s: something is missing in its row", r.name)
		}
	}
}
