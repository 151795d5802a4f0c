package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"wgd/test/lab"
)

// The session of the manual page wg(4) works, with wg-ifconfig in place of ifconfig,
// and with new keys: A has 192.0.2.123, B has 198.51.100.45, with a router between
// them.
func TestManualPageSession(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "A"), lab.NewHost(t, "B")
	r := lab.NewHost(t, "internet").Router()
	lab.Link(a, "wm0", []string{"192.0.2.123/24"}, r, "eth0", []string{"192.0.2.1/24"})
	lab.Link(b, "bge0", []string{"198.51.100.45/24"}, r, "eth1", []string{"198.51.100.1/24"})
	a.Must("ip route add default via 192.0.2.1")
	b.Must("ip route add default via 198.51.100.1")

	// Generate key pairs on A and B.
	key := map[*lab.Host]string{}
	for _, h := range []*lab.Host{a, b} {
		h.Must("wg-keygen > /etc/wg/wg0")
		h.Must("wg-keygen --pub < /etc/wg/wg0 > /etc/wg/wg0.pub")
		key[h] = strings.TrimSpace(h.Must("cat /etc/wg/wg0.pub"))
	}

	// Configure A to listen on port 1234 and allow connections from B.
	quiet(t, a, "wg-ifconfig wg0 create")
	quiet(t, a, "wg-ifconfig wg0 inet 10.2.0.1/24")
	quiet(t, a, "wg-ifconfig wg0 inet6 fd00:2::1/64")
	quiet(t, a, "wgconfig wg0 set private-key /etc/wg/wg0")
	quiet(t, a, "wgconfig wg0 set listen-port 1234")
	quiet(t, a, "wgconfig wg0 add peer B "+key[b]+" --allowed-ips=10.2.0.42/32,fd00:2::42/128")
	quiet(t, a, "wg-ifconfig wg0 up")
	same(t, a.Must("wg-ifconfig wg0"), `wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420
	status: active
	inet6 fd00:2::1/64 flags 0
	inet 10.2.0.1/24 flags 0
`)
	same(t, a.Must("wgconfig wg0"), `interface: wg0
	private-key: (hidden)
	listen-port: 1234
	peer: B
		public-key: `+key[b]+`
		endpoint: (none)
		preshared-key: (hidden)
		allowed-ips: 10.2.0.42/32,fd00:2::42/128
		latest-handshake: (never)
`)

	// Configure B to connect to A.
	quiet(t, b, "wg-ifconfig wg0 create")
	quiet(t, b, "wg-ifconfig wg0 inet 10.2.0.42/24")
	quiet(t, b, "wg-ifconfig wg0 inet6 fd00:2::42/64")
	quiet(t, b, "wgconfig wg0 set private-key /etc/wg/wg0")
	quiet(t, b, "wgconfig wg0 add peer A "+key[a]+" --allowed-ips=10.2.0.1/32,fd00:2::1/128 --endpoint=192.0.2.123:1234")
	quiet(t, b, "wg-ifconfig wg0 up")
	a.AwaitAddresses("wg0")
	b.AwaitAddresses("wg0")
	same(t, b.Must("wg-ifconfig wg0"), `wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420
	status: active
	inet6 fd00:2::42/64 flags 0
	inet 10.2.0.42/24 flags 0
`)
	contains(t, b.Must("ping -n -c 3 -i 0.2 10.2.0.1"), "64 bytes from 10.2.0.1: icmp_seq=1")
	contains(t, a.Must("ping -n -c 3 -i 0.2 fd00:2::42"), "64 bytes from fd00:2::42: icmp_seq=1")

	// The status of a running tunnel.
	out := a.Must("wgconfig wg0 show peer B")
	if !regexp.MustCompile(`(?m)^peer: B\n\tpublic-key: .*\n\tendpoint: 198\.51\.100\.45:\d+\n\tpreshared-key: \(hidden\)\n` +
		`\tallowed-ips: 10\.2\.0\.42/32,fd00:2::42/128\n\tlatest-handshake: [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\n`).MatchString(out) {
		t.Errorf("wgconfig wg0 show peer B:\n%s", out)
	}
	same(t, a.Must("wg-ifconfig -l"), "wg0\n")
	quiet(t, b, "wg-ifconfig wg0 down")
	contains(t, b.Must("wg-ifconfig wg0"), "<MULTICAST>")
	quiet(t, b, "wg-ifconfig wg0 destroy")
	b.Fails(1, "wg-ifconfig wg0", "wg0: does not exist")
}

// quiet runs a command that must succeed and print nothing, except for a warning about
// a key file, which the umask of the session makes readable.
func quiet(t *testing.T, h *lab.Host, line string) {
	t.Helper()
	r := h.Run(line)
	warned := strings.Contains(r.Err, "/etc/wg/wg0") && strings.Contains(line, "private-key")
	if r.Code != 0 || r.Out != "" || r.Err != "" && !warned {
		t.Fatalf("%s# %s\nexit status %d\n%s%s", h.Name, line, r.Code, r.Out, r.Err)
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("printed:\n%s\nwant:\n%s", got, want)
	}
}

// The examples of our own page wg(4) work, word for word.
func TestExamplesOfTheDevicePage(t *testing.T) {
	t.Parallel()
	blocks := manualExamples(t, "../../docs/man/wg.4")
	if len(blocks) != 4 {
		t.Fatalf("the page has %d examples, want 4", len(blocks))
	}
	hub, laptop := lab.NewHost(t, "hub"), lab.NewHost(t, "laptop")
	lab.Link(hub, "eth0", []string{"203.0.113.7/24"}, laptop, "eth0", []string{"203.0.113.8/24"})
	hubKey := strings.TrimSpace(hub.Must("%s", blocks[0]))
	laptopKey := strings.TrimSpace(laptop.Must("%s", blocks[0]))
	hub.Must("%s", strings.ReplaceAll(blocks[1], "LAPTOP", laptopKey))
	laptop.Must("%s", strings.ReplaceAll(blocks[2], "HUB", hubKey))
	out := laptop.Must("%s", blocks[3])
	for _, want := range []string{"64 bytes from 10.66.0.1", "peer: hub", "endpoint: 203.0.113.7:51820"} {
		contains(t, out, want)
	}
}

// manualExamples returns the lines to type that a manual page has.
func manualExamples(t *testing.T, path string) (blocks []string) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?ms)^\.nf\n(.*?)^\.fi$`).FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, "set -e\n"+strings.ReplaceAll(m[1], `\-`, "-"))
	}
	return blocks
}
