package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ours and Theirs are the daemons that can serve a tunnel.
const (
	Ours   = "wgd"
	Theirs = "wireguard-go"
)

// Settings are those of the interface of a tunnel.
type Settings struct {
	Daemon    string   // "" is ours
	Name      string   // "" is wg0
	Port      int      // 0: any
	Addresses []string // with prefix length
	MTU       int      // 0: the default of the daemon
	Down      bool     // do not bring it up
	Wrapper   string   // a command that runs wg-ifconfig create; "" is none
}

// A Tunnel is a wg interface on a host.
type Tunnel struct {
	Host         *Host
	Name, Public string
	daemon       string
}

// A Peer has the settings of a peer.
type Peer struct {
	Name       string // for wgconfig; "" is the name of the other host
	Endpoint   string
	AllowedIPs string
	PSK        string // a file on the host
	Keepalive  int
}

// Tunnel creates an interface with a new key, which is in the file /etc/wg/NAME of
// its host.
func (h *Host) Tunnel(s Settings) *Tunnel {
	h.t.Helper()
	if s.Name == "" {
		s.Name = "wg0"
	}
	if s.Daemon == "" {
		s.Daemon = Ours
	}
	if d := os.Getenv("LAB_DAEMON"); d != "" {
		s.Daemon = d // to test the lab, or to compare
	}
	t := &Tunnel{Host: h, Name: s.Name, daemon: s.Daemon}
	if s.Daemon == Ours {
		t.makeOurs(s)
	} else {
		t.makeTheirs(s)
	}
	if !s.Down {
		t.Host.AwaitAddresses(t.Name)
	}
	return t
}

// AwaitAddresses waits until the kernel uses the IPv6 addresses of an interface that was
// brought up. It assigns them in the background, and on a loaded machine drops the first
// packets to them.
func (h *Host) AwaitAddresses(name string) {
	h.t.Helper()
	h.Must("for i in $(seq 1000); do ip -6 address show dev %s tentative | grep -q inet6 || exit 0; sleep 0.01; done; exit 1", name)
}

func (t *Tunnel) makeOurs(s Settings) {
	h, file := t.Host, "/etc/wg/"+t.Name
	h.t.Helper()
	t.Public = strings.TrimSpace(h.Must("umask 077; wg-keygen > %s && wg-keygen --pub < %s", file, file))
	line := fmt.Sprintf("LOG_LEVEL=verbose %s wg-ifconfig %s create >>%s 2>&1 || { cat %s >&2; false; } && wgconfig %s set private-key %s",
		s.Wrapper, t.Name, logFile, logFile, t.Name, file)
	if s.Port != 0 {
		line += fmt.Sprintf(" && wgconfig %s set listen-port %d", t.Name, s.Port)
	}
	line += " && wg-ifconfig " + t.Name
	for _, a := range s.Addresses {
		line += " " + family(a) + " " + a
	}
	if s.MTU != 0 {
		line += " mtu " + strconv.Itoa(s.MTU)
	}
	if !s.Down {
		line += " up"
	}
	h.Must("%s", line)
}

func (t *Tunnel) makeTheirs(s Settings) {
	h, file := t.Host, "/etc/wg/"+t.Name
	h.t.Helper()
	t.Public = strings.TrimSpace(h.Must("umask 077; wg genkey > %s && wg pubkey < %s", file, file))
	h.Must("%s %s && wg set %s private-key %s listen-port %d", s.Daemon, t.Name, t.Name, file, s.Port)
	for _, a := range s.Addresses {
		h.Must("ip addr add %s dev %s", a, t.Name)
	}
	if s.MTU != 0 {
		h.Must("ip link set %s mtu %d", t.Name, s.MTU)
	}
	if !s.Down {
		h.Must("ip link set %s up", t.Name)
	}
}

func family(prefix string) string {
	if strings.Contains(prefix, ":") {
		return "inet6"
	}
	return "inet"
}

// Add adds the other tunnel as a peer.
func (t *Tunnel) Add(other *Tunnel, p Peer) {
	t.Host.t.Helper()
	if p.Name == "" {
		p.Name = other.Host.Name
	}
	t.AddKey(other.Public, p)
}

// AddKey adds a peer by its public key.
func (t *Tunnel) AddKey(public string, p Peer) {
	t.Host.t.Helper()
	var line string
	if t.daemon == Ours {
		line = fmt.Sprintf("wgconfig %s add peer %s %s", t.Name, p.Name, public) +
			option(" --preshared-key=", p.PSK) + option(" --endpoint=", p.Endpoint) + option(" --allowed-ips=", p.AllowedIPs)
		if p.Keepalive != 0 {
			line += " --persistent-keepalive=" + strconv.Itoa(p.Keepalive)
		}
	} else {
		line = fmt.Sprintf("wg set %s peer %s", t.Name, public) +
			option(" preshared-key ", p.PSK) + option(" endpoint ", p.Endpoint) + option(" allowed-ips ", p.AllowedIPs)
		if p.Keepalive != 0 {
			line += " persistent-keepalive " + strconv.Itoa(p.Keepalive)
		}
	}
	t.Host.Must("%s", line)
}

func option(name, value string) string {
	if value == "" {
		return ""
	}
	return name + value
}

// A PeerState is a peer as `wg show NAME dump` prints it.
type PeerState struct {
	Public, PSK, Endpoint string
	AllowedIPs            []string
	Handshake             time.Time // zero: never
	Rx, Tx                uint64
	Keepalive             string
}

// Peers returns the peers of the tunnel.
func (t *Tunnel) Peers() []PeerState {
	t.Host.t.Helper()
	lines := strings.Split(strings.TrimSpace(t.Host.Must("wg show %s dump", t.Name)), "\n")
	var list []PeerState
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 8 {
			t.Host.t.Fatalf("wg show %s dump: %d fields: %q", t.Name, len(f), line)
		}
		p := PeerState{Public: f[0], PSK: f[1], Endpoint: f[2], Keepalive: f[7]}
		if f[3] != "(none)" {
			p.AllowedIPs = strings.Split(f[3], ",")
		}
		if sec, _ := strconv.ParseInt(f[4], 10, 64); sec != 0 {
			p.Handshake = time.Unix(sec, 0)
		}
		p.Rx, _ = strconv.ParseUint(f[5], 10, 64)
		p.Tx, _ = strconv.ParseUint(f[6], 10, 64)
		list = append(list, p)
	}
	return list
}

// Peer returns the state of the peer that is the other tunnel.
func (t *Tunnel) Peer(other *Tunnel) PeerState {
	t.Host.t.Helper()
	for _, p := range t.Peers() {
		if p.Public == other.Public {
			return p
		}
	}
	t.Host.t.Fatalf("%s of host %s has no peer %s", t.Name, t.Host.Name, other.Public)
	return PeerState{}
}

// Counts are the numbers of dropped packets by their reasons, and the other counters.
type Counts struct{ Drops, Counters map[string]uint64 }

// Counts returns the counts of the daemon, which must be ours.
func (t *Tunnel) Counts() (c Counts) {
	t.Host.t.Helper()
	text := t.Host.Must("wgconfig %s --json", t.Name)
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Host.t.Fatalf("wgconfig %s --json: %v\n%s", t.Name, err, text)
	}
	return c
}

// The inner addresses of the two ends of Connect.
const (
	InnerA4, InnerA6 = "10.2.0.1", "fd00:2::1"
	InnerB4, InnerB6 = "10.2.0.2", "fd00:2::2"
)

// Connect creates a tunnel on two hosts. A listens on port 1234 by default, and has no
// endpoint for B. B has the endpoint of A.
func Connect(a, b *Host, endpointA string, sa, sb Settings) (*Tunnel, *Tunnel) {
	a.t.Helper()
	if sa.Port == 0 {
		sa.Port = 1234
	}
	sa.Addresses = append(sa.Addresses, InnerA4+"/24", InnerA6+"/64")
	sb.Addresses = append(sb.Addresses, InnerB4+"/24", InnerB6+"/64")
	ta, tb := a.Tunnel(sa), b.Tunnel(sb)
	ta.Add(tb, Peer{AllowedIPs: InnerB4 + "/32," + InnerB6 + "/128"})
	tb.Add(ta, Peer{AllowedIPs: InnerA4 + "/32," + InnerA6 + "/128", Endpoint: endpointA})
	return ta, tb
}

// Ping sends pings, a tenth of a second apart. The test fails unless each is answered
// within two seconds.
func (h *Host) Ping(to string, count int) {
	h.t.Helper()
	times, lost := h.PingTimes(to, count, 100*time.Millisecond)
	if lost > 0 || slices.Max(times) > 2*time.Second {
		h.t.Fatalf("%s# ping %s: %d of %d lost, answered after %v", h.Name, to, lost, count, times)
	}
}

// PingTimes pings until count were answered, but at most five seconds longer than
// that should take. It returns the round trips in order, and how many pings were
// lost.
func (h *Host) PingTimes(to string, count int, every time.Duration) (times []time.Duration, lost int) {
	h.t.Helper()
	limit := 5*time.Second + time.Duration(count)*every
	// Without -w, ping waits for the last answer only twice as long as the slowest took.
	r := h.Run(fmt.Sprintf("ping -n -c %d -i %.4f -w %.0f %s", count, every.Seconds(), limit.Seconds(), to))
	highest := count
	for line := range strings.Lines(r.Out) {
		_, after, ok := strings.Cut(line, " icmp_seq=")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(after, " ")
		n, err := strconv.Atoi(number)
		highest = max(highest, n) // it continues to send while it waits
		_, after, ok = strings.Cut(after, " time=")
		trip, failed := time.ParseDuration(strings.Replace(strings.TrimSpace(after), " ", "", 1))
		if !ok || err != nil || failed != nil {
			h.t.Fatalf("host %s: ping says %q", h.Name, line)
		}
		times = append(times, trip)
	}
	if times == nil && r.Code != 1 { // 1: no answer
		h.t.Fatalf("%s# ping %s\n%s%s", h.Name, to, r.Out, r.Err)
	}
	return times, highest - len(times)
}

// PingWithin pings until one is answered, and returns how long that took.
func (h *Host) PingWithin(limit time.Duration, to string) time.Duration {
	h.t.Helper()
	start := time.Now()
	r := h.Run(fmt.Sprintf("ping -n -c 1 -i 0.2 -w %d %s", int(limit.Seconds()), to))
	if r.Code != 0 {
		h.t.Fatalf("%s# ping %s: no answer within %v\n%s%s", h.Name, to, limit, r.Out, r.Err)
	}
	return time.Since(start)
}

// NoPing fails the test if one of three pings is answered.
func (h *Host) NoPing(to string) {
	h.t.Helper()
	if r := h.Run("ping -n -c 3 -i 0.2 -W 1 " + to); r.Code == 0 {
		h.t.Fatalf("%s# ping %s is answered, want no answer:\n%s", h.Name, to, r.Out)
	}
}
