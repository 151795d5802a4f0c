package proxyconf

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/internal/wgconf"
)

const (
	private = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	publicA = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	publicB = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
)

// own is a file with everything that wireproxy has.
const own = `# a file of wireproxy
[Interface]
Address = 10.2.0.2/32, fd00:2::2 # a comment
MTU = 1380 ; another one
PrivateKey = $TEST_KEY
DNS = 10.2.0.1
CheckAlive = 10.2.0.1, fd00:2::1
CheckAliveInterval = 3

[Peer]
# Name = server
PublicKey = ` + publicA + `
Endpoint = vpn.example.com:51820
PersistentKeepalive = 25

[TCPClientTunnel]
BindAddress = 127.0.0.1:25565
Target = db.example:5432

[TCPServerTunnel]
ListenPort = 3422
Target = localhost:25545

[TCPServerTunnel]
ListenPort = 3423
Target = 192.0.2.7:80

[STDIOTunnel]
Target = ssh.example:22

[Socks5]
BindAddress = 127.0.0.1:25344
Username = user
Password = $$ecret

[http]
BindAddress = [::1]:25345
CertFile = cert.pem
KeyFile = key.pem

[UDPProxyTunnel]
BindAddress = 127.0.0.1:53
Target = 1.1.1.1:53
InactivityTimeout = 30 # seconds

[UDPProxyTunnel]
BindAddress = :54
Target = 1.1.1.1:53

[Resolve]
ResolveStrategy = ipv4
`

func testEnv() Env {
	return Env{
		LookupEnv: func(name string) (string, bool) {
			value, set := map[string]string{"TEST_KEY": private + "\n", "LINES": "a\nb"}[name]
			return value, set
		},
		ReadFile: func(path string) ([]byte, error) {
			if path == "wg.conf" {
				return []byte("[Interface]\nPrivateKey = " + private + "\nAddress = 10.2.0.2/32\nPostUp = echo # no comment; at all\n" +
					"[Peer]\nPublicKey = " + publicA + "\n"), nil
			}
			return nil, errors.New("no such file")
		},
	}
}

// read reads a text that has no errors.
func read(t *testing.T, text string) (*Config, Problems) {
	t.Helper()
	c, problems := Read("test.conf", []byte(text), testEnv())
	if c == nil {
		t.Fatalf("%s\nis refused: %v", text, problems)
	}
	return c, problems
}

// A file of wireproxy is read unchanged: all its sections and keys.
func TestEverythingOfWireproxy(t *testing.T) {
	c, problems := read(t, own)
	for _, p := range problems {
		t.Errorf("a problem: %v", p)
	}
	want := []Service{
		{Kind: Forward, Listen: Listen{Host: "127.0.0.1", Port: 25565}, Target: Target{Host: "db.example", Port: 5432}},
		{Kind: Remote, Listen: Listen{Port: 3422}, Target: Target{Host: "localhost", Port: 25545}},
		{Kind: Remote, Listen: Listen{Port: 3423}, Target: Target{Host: "192.0.2.7", Port: 80}},
		{Kind: Stdio, Target: Target{Host: "ssh.example", Port: 22}},
		{Kind: SOCKS5, Listen: Listen{Host: "127.0.0.1", Port: 25344}, Username: "user", Password: "$ecret"},
		{Kind: HTTP, Listen: Listen{Host: "::1", Port: 25345}, CertFile: "cert.pem", KeyFile: "key.pem"},
		{Kind: UDPForward, Listen: Listen{Host: "127.0.0.1", Port: 53}, Target: Target{Host: "1.1.1.1", Port: 53}, Timeout: 30 * time.Second},
		{Kind: UDPForward, Listen: Listen{Port: 54}, Target: Target{Host: "1.1.1.1", Port: 53}, Forever: true},
	}
	if !reflect.DeepEqual(c.Services, want) {
		t.Errorf("services: got\n%+v, want\n%+v", c.Services, want)
	}
	check := CheckAlive{[]netip.Addr{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fd00:2::1")}, 3 * time.Second}
	if !reflect.DeepEqual(c.Check, check) || c.Preferred != IPv4 {
		t.Errorf("got %+v and family %v, want %+v and IPv4", c.Check, c.Preferred, check)
	}
	i, p := c.Tunnel.Interface, c.Tunnel.Peers[0]
	if i.PrivateKey == nil || i.PrivateKey.Base64() != private || i.Network.MTU != 1380 ||
		fmt.Sprint(i.Network.Addresses) != "[10.2.0.2/32 fd00:2::2/128]" || fmt.Sprint(i.Network.DNS.Servers) != "[10.2.0.1]" {
		t.Errorf("the interface is %+v", i)
	}
	if p.Name != "server" || p.Endpoint.String() != "vpn.example.com:51820" || p.PersistentKeepalive != 25 || fmt.Sprint(p.Allowed()) != "[0.0.0.0/0 ::/0]" {
		t.Errorf("the peer is %+v with %v", p, p.Allowed())
	}
}

// Of several peers, those with AllowedIPs have theirs, and one without has the rest.
func TestPeerWithoutAllowedIPsGetsEverything(t *testing.T) {
	c, _ := read(t, "[Interface]\nPrivateKey="+private+"\n[Peer]\nPublicKey="+publicA+"\nAllowedIPs=10.0.0.0/8\n[Peer]\nPublicKey="+publicB+"\n[Socks5]\nBindAddress=:1080\n")
	if a, b := fmt.Sprint(c.Tunnel.Peers[0].Allowed()), fmt.Sprint(c.Tunnel.Peers[1].Allowed()); a != "[10.0.0.0/8]" || b != "[0.0.0.0/0 ::/0]" {
		t.Errorf("got %s and %s", a, b)
	}
	// A file of wg-quick means what it means to wg-quick.
	c, problems := read(t, "[Interface]\nPrivateKey="+private+"\n[Peer]\nPublicKey="+publicA+"\n")
	if got := c.Tunnel.Peers[0].Allowed(); len(got) != 0 || len(problems) != 1 {
		t.Errorf("a file of wg-quick: got %v, %v", got, problems)
	}
}

// The rules of wireproxy's parser, as seen with go-ini 1.67.
func TestRulesOfINI(t *testing.T) {
	c, _ := read(t, "\ufeff[INTERFACE]\r\naddress : 10.2.0.2\nPostUp : echo a=b\n\"PostDown\"=echo b:c\nPRIVATEKEY = \""+private+"\" ; c\n[ pEEr ]\nPublicKey = '"+publicA+"'\nAllowedIPs = 10.0.0.0/8\nallowedips = 10.1.0.0/16\n"+
		"[SOCKS5]\nBindAddress = :1\nbindaddress = :2\nPassword = `a#b;c`\n\"Username\" = \"\"\"x\"y\"\"\" # c\n[HTTP] ; c\nbindaddress: localhost:80\npassword = 'it'\n")
	want := []Service{{Kind: SOCKS5, Listen: Listen{Port: 1}, Username: `x"y`, Password: "a#b;c"},
		{Kind: HTTP, Listen: Listen{Host: "localhost", Port: 80}, Password: "it"}}
	if !reflect.DeepEqual(c.Services, want) {
		t.Errorf("got %+v, want %+v", c.Services, want)
	}
	if got := fmt.Sprint(c.Tunnel.Interface.Network.PostUp, c.Tunnel.Interface.Network.PostDown); got != "[echo a=b] [echo b:c]" {
		t.Errorf("the hooks are %s", got)
	}
	if got := fmt.Sprint(c.Tunnel.Interface.Network.Addresses, c.Tunnel.Peers[0].Allowed()); got != "[10.2.0.2/32] [10.0.0.0/8 10.1.0.0/16]" {
		t.Errorf("got %s", got)
	}
}

// WGConfig names the file with the tunnel. Hooks in it are left alone.
func TestInclude(t *testing.T) {
	c, problems := read(t, "wgconfig = wg.conf\n[Interface]\nMTU=1\n[Socks5]\nBindAddress = 127.0.0.1:1080\n")
	if c.Included != "wg.conf" || len(c.Services) != 1 || fmt.Sprint(c.Tunnel.Peers[0].Allowed()) != "[0.0.0.0/0 ::/0]" ||
		fmt.Sprint(c.Tunnel.Interface.Network.PostUp) != "[echo # no comment; at all]" {
		t.Errorf("got %+v with %+v", c, c.Tunnel)
	}
	if got := fmt.Sprint(problems); got != "[test.conf:2: [Interface] is ignored: WGConfig in line 1 names the file that has it]" {
		t.Errorf("problems: %s", got)
	}
}

// All that is wrong is reported at once, each with its line and what to do.
func TestProblems(t *testing.T) {
	const peer = "[Peer]\nPublicKey=" + publicA + "\n"
	const tunnel = "[Interface]\nPrivateKey=" + private + "\n" + peer
	for _, c := range []struct{ text, want string }{
		{tunnel + "[Socks5]\nusername = x\n[http]\nBindAddress = 1080\n[TCPServerTunnel]\nListenPort = 0\nTarget = :80\n[TCPServerTunnel]\nListenPort = 0\nTarget = a:80\n",
			"test.conf:5: [Socks5] has no BindAddress: add a line BindAddress = ADDRESS:PORT\n" +
				"test.conf:8: BindAddress 1080: there is no port: write ADDRESS:PORT or unix:PATH\n" +
				"test.conf:11: Target :80: there is no host: write HOST:PORT\n" +
				"test.conf:12: [TCPServerTunnel]: :0: give the port of the tunnel, from 1 to 65535\n"},
		{tunnel + "[http]\nBindAddress = :1\nCertFile = x\n[UDPProxyTunnel]\nBindAddress = unix:/x\nTarget = a:1\nInactivityTimeout = -1\n",
			"test.conf:5: [http] has one of CertFile and KeyFile: give both, or none\n" +
				"test.conf:11: InactivityTimeout -1: give seconds, or 0 for no limit\n"},
		{tunnel + "[UDPProxyTunnel]\nBindAddress = unix:/x\nTarget = a:1\n", "test.conf:5: [UDPProxyTunnel]: unix sockets are for TCP: give ADDRESS:PORT for UDP\n"},
		{tunnel + "[http\n[Socks5]\nBindAddress\nPassword = a\\\n= x\n",
			"test.conf:5: the name of a section ends with ]\n" +
				"test.conf:6: [Socks5] has no BindAddress: add a line BindAddress = ADDRESS:PORT\n" +
				"test.conf:7: no equals sign: write a line as KEY = VALUE, or begin a comment with #\n" +
				"test.conf:8: a value that spans several lines: write it in one line\n" +
				"test.conf:9: there is nothing before the equals sign: write a line as KEY = VALUE\n"},
		{"[Interface]\nPrivateKey = $NO_KEY\nAddress = $LINES\nMTU = 12x\n[Peer]\nPublicKey = x\n",
			"test.conf:2: PrivateKey: the environment variable NO_KEY is not set: set it\n" +
				"test.conf:3: Address: the environment variable LINES has several lines: a value has one\n" +
				"test.conf:4: MTU 12x: give a number from 68 to 65535, or no such line\n" +
				"test.conf:6: PublicKey: "},
		{"[Socks5]\nBindAddress = :1\n", "test.conf: there is no section [Interface], and no WGConfig = FILE that names a file with it\n" +
			"test.conf: there is no section [Peer], and no WGConfig = FILE that names a file with it\n"},
		{"WGConfig = other.conf\nWGConfigs = x\n[Socks5]\nBindAddress = :1\n", "test.conf:1: WGConfig other.conf: no such file: correct the path; a relative one starts at the folder in which wgd runs\n"},
		{"[Interface]\nPrivateKey=" + private + "\nCheckAlive = x, 10.0.0.1\nCheckAliveInterval = 0\n" + peer,
			"test.conf:3: CheckAlive x: give addresses inside the tunnel\ntest.conf:4: CheckAliveInterval 0: give a number of seconds from 1\n"},
		{"[Interface]\nPrivateKey=" + private + "\nCheckAliveInterval = 5\n" + peer,
			"test.conf: CheckAliveInterval without CheckAlive: add a line CheckAlive = ADDRESS, or remove it\n"},
		{tunnel + "[Resolve]\nResolveStrategy = ipx\n", "test.conf:6: ResolveStrategy ipx: give auto, ipv4 or ipv6\n"},
	} {
		config, problems := Read("test.conf", []byte(c.text), testEnv())
		if config != nil || !problems.HasErrors() {
			t.Errorf("%s\nis accepted", c.text)
			continue
		}
		if got := errorsOf(problems); !strings.HasPrefix(got, c.want) || strings.HasSuffix(c.want, "\n") && got != c.want {
			t.Errorf("%s\ngot\n%swant\n%s", c.text, got, c.want)
		}
	}
}

// What wireproxy ignores is ignored, with a warning.
func TestWarnings(t *testing.T) {
	_, problems := read(t, "x = 1\n[Interface]\nPrivateKey="+private+"\nPublicKey=x\nMUT = 1\n[Peer]\nPublicKey="+publicA+"\n[Sock5]\nnothing=1\n"+
		"[Socks5]\nBindAddress=:1\nBindAdress=:2\nPassword=secret#more\n")
	want := "test.conf:1: x is ignored: above the sections there is only WGConfig\n" +
		"test.conf:4: PublicKey is ignored: it belongs in the section [Peer]\n" +
		"test.conf:5: MUT is ignored: there is no such key in this section\n" +
		"test.conf:8: [Sock5] is ignored: there is no such section: did you mean Socks5?\n" +
		"test.conf:12: BindAdress is ignored: there is no such key in this section: did you mean BindAddress?\n" +
		"test.conf:13: Password: what follows the # or ; is a comment: if it belongs to the value, put the value between backquotes (`)\n" +
		"test.conf:13: the Password has no Username, so everybody may use this proxy\n"
	var got strings.Builder
	for _, p := range problems {
		fmt.Fprintln(&got, p)
	}
	if got := got.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// wgd check cannot know the variables of the service, so one that is not set is no error.
func TestCheckOnly(t *testing.T) {
	env := testEnv()
	env.Env = wgconf.Env{CheckOnly: true}
	c, problems := Read("test.conf", []byte("[Interface]\nPrivateKey = $A\n[Peer]\nPublicKey = $B\n[Peer]\nPublicKey = $C\nAllowedIPs = 10.0.0.0/8\n[http]\nBindAddress = $D\n"), env)
	if c == nil || len(c.Tunnel.Peers) != 2 {
		t.Fatalf("refused: %v", problems)
	}
}

// The kinds of files are told apart by what only one of them has.
func TestIsWireproxy(t *testing.T) {
	for text, want := range map[string]bool{
		own: true, "[socks5]": true, "WGConfig=x": true, "[Interface]\nCheckAlive=x": true, "[Interface]\nPrivateKey = $K": true, "[Resolve]": true,
		"": false, "[Interface]\nPrivateKey = x": false, "[Interface]\nPostUp = $x": false, "[Interface]\nPrivateKeyFile = $CREDENTIALS_DIRECTORY/x": false,
		"[Interface]\nWGConfig = x": false, "[Peer]\nCheckAlive = x": false,
	} {
		if got := IsWireproxy([]byte(text)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// errorsOf returns the errors among problems, a line each.
func errorsOf(list Problems) (text string) {
	for _, p := range list {
		if !p.Warning {
			text += p.String() + "\n"
		}
	}
	return text
}

// FuzzRead: no text panics; problems have lines of the text and no control characters;
// what is accepted is a valid tunnel.
func FuzzRead(f *testing.F) {
	f.Add(own)
	f.Add("WGConfig = wg.conf\n[Socks5]\nBindAddress=:1\n")
	f.Add("[Interface]\nPrivateKey = $$\n[Peer]\n[HTTP]\nx\n")
	f.Add("[Interface]\n\"a`=:\n[Peer]\nPublicKey=`x`#`\nPassword='''")
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := Read("test.conf", []byte(text), testEnv())
		if (c == nil) != problems.HasErrors() {
			t.Fatalf("%q: %v, %v", text, c, problems)
		}
		for _, p := range problems {
			if p.Line < 0 || p.Line > strings.Count(text, "\n")+1 && p.File == "test.conf" || strings.ContainsAny(p.Text, "\n\r\x00") {
				t.Fatalf("%q: problem %q in line %d", text, p.Text, p.Line)
			}
		}
		if c == nil {
			return
		}
		if change := c.Tunnel.Change(); change.Validate() != nil {
			t.Fatalf("%q is accepted, and its change refused: %v", text, change.Validate())
		}
		for i := range c.Services {
			if c.Services[i].String() == "nothing" {
				t.Fatalf("%q: a service of no kind", text)
			}
		}
	})
}
