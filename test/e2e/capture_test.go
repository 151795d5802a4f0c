package e2e

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// startCapture starts wgd capture on a host with these arguments, and waits until it has
// begun to write to file. The returned function ends it and returns what it said.
func startCapture(t *testing.T, h *lab.Host, args, file string) (end func() string) {
	t.Helper()
	h.Must("wgd capture %s > %s 2> /run/capture.said & echo $! > /run/capture.pid", args, file)
	lab.Until(t, 20*time.Second, "the capture begins", func() (bool, string) {
		return h.Run("test -s "+file).Code == 0, h.Run("cat /run/capture.said").Out
	})
	return func() string {
		t.Helper()
		h.Must("kill -INT $(cat /run/capture.pid)")
		return captureSaid(t, h)
	}
}

// captureSaid waits until the capture has ended, and returns the last line of what it said.
func captureSaid(t *testing.T, h *lab.Host) (said string) {
	t.Helper()
	lab.Until(t, time.Minute, "the capture ends", func() (bool, string) {
		said = h.Must("cat /run/capture.said")
		return h.Run("kill -0 $(cat /run/capture.pid)").Code != 0, said
	})
	return h.Must("tail -n 1 /run/capture.said")
}

// A row is what tshark says of a packet. Fields that occur twice, because a packet quotes
// another one, have both values.
type row map[string]string

var tsharkFields = []string{
	"frame.interface_name", "frame.packet_flags_direction", "frame.comment", "frame.protocols", "ip.src", "ipv6.src", "udp.srcport", "udp.dstport",
	"wg.type", "wg.receiver", "wg.sender", "ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status", "icmpv6.checksum.status",
	"dns.qry.name", "udp.payload", "_ws.malformed",
}

// tshark returns what tshark reads from a file of a host, a row for each packet.
func tshark(t *testing.T, h *lab.Host, file string) (rows []row) {
	t.Helper()
	args := []string{"-n", "-r", h.Path(file), "-T", "fields", "-E", "separator=|", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"}
	for _, f := range tsharkFields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || strings.Contains(errs.String(), "cut short") {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	for line := range strings.Lines(string(out)) {
		values := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		r := row{}
		for i, f := range tsharkFields {
			r[f] = values[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// count returns how many rows have these values, which are given as field=value.
func count(rows []row, want ...string) (n int) {
	for _, r := range rows {
		matches := func(w string) bool {
			field, value, _ := strings.Cut(w, "=")
			return r[field] == value
		}
		if !slices.ContainsFunc(want, func(w string) bool { return !matches(w) }) {
			n++
		}
	}
	return n
}

const (
	inward  = "frame.packet_flags_direction=0x00000001"
	outward = "frame.packet_flags_direction=0x00000002"
	// tshark takes some ports for those of a protocol, such as 5000, and also 34980, which the
	// kernel may give to a socket.
	sinkPort   = 41000
	clientPort = 41001

	outside = "frame.interface_name=wg0 outer"
	inside  = "frame.interface_name=wg0 inner"
)

// query is a question for the address of example.org.
var query = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01"

// A capture that begins in the middle of a session shows tshark the types of the messages
// outside, over IPv4 and IPv6, and the protocols inside, in both directions, with the right
// checksums; and the handshakes as they are on the wire.
func TestCapture(t *testing.T) {
	for _, c := range []struct{ name, endpoint, address string }{
		{"over IPv4", "192.0.2.1:1234", "ip.src=192.0.2.1"},
		{"over IPv6", "[fd01::1]:1234", "ipv6.src=fd01::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			lab.Connect(a, b, c.endpoint, lab.Settings{}, lab.Settings{Port: clientPort})
			a.Sink(sinkPort)
			a.Echo()
			b.Ping(lab.InnerA4, 1) // the session
			end := startCapture(t, b, "wg0 a", "/run/a.pcapng")
			wire := b.Watch("eth0")
			b.Ping(lab.InnerA4, 3)
			b.Ping(lab.InnerA6, 3)
			b.Sweep(lab.Sweep{Remote: netip.MustParseAddr(lab.InnerA4), From: 600, To: 620})
			b.Stream(lab.Stream{Remote: netip.AddrPortFrom(netip.MustParseAddr(lab.InnerA4), sinkPort), Bytes: 1 << 20})
			b.Stream(lab.Stream{Remote: netip.AddrPortFrom(netip.MustParseAddr(lab.InnerA6), sinkPort), Bytes: 1 << 20})
			b.Socket("", lab.InnerA4+":53").Send("", []byte(query))
			b.Must("wg-ifconfig wg0 down && wgconfig wg0 set peer a --persistent-keepalive=1 && wg-ifconfig wg0 up")
			lab.Until(t, 20*time.Second, "keepalives are sent", func() (bool, string) {
				seen := b.WatchedUDP(wire, 1234)
				return slices.ContainsFunc(seen[max(0, len(seen)-3):], func(p lab.Packet) bool { return p.Out && p.Length == 32 }), fmt.Sprint(len(seen), " packets")
			})
			said := end()
			rows := tshark(t, b, "/run/a.pcapng")
			if want := fmt.Sprintf("%d packets captured (%d outside, %d inside), 0 dropped\n", len(rows), count(rows, outside), count(rows, inside)); said != want {
				t.Errorf("wgd capture says %q, want %q", said, want)
			}
			for _, want := range []struct {
				what string
				min  int
				rows []string
			}{
				{"data that arrived", 30, []string{outside, inward, c.address, "wg.type=4", "udp.srcport=1234"}},
				{"data that was sent", 900, []string{outside, outward, "wg.type=4", "udp.dstport=1234"}},
				{"an initiation", 1, []string{outside, "wg.type=1"}},
				{"a response", 1, []string{outside, "wg.type=2"}},
				{"a keepalive", 1, []string{outside, outward, "wg.type=4", "udp.payload=keepalive"}},
				{"pings over IPv4", 3, []string{inside, outward, "frame.protocols=raw:ip:icmp:data"}},
				{"their answers", 3, []string{inside, inward, "frame.protocols=raw:ip:icmp:data"}},
				{"pings over IPv6", 3, []string{inside, outward, "frame.protocols=raw:ipv6:icmpv6:data"}},
				{"UDP", 21, []string{inside, outward, "frame.protocols=raw:ip:udp:echo"}},
				{"TCP", 600, []string{inside, outward, "frame.protocols=raw:ip:tcp:data"}},
				{"TCP over IPv6", 600, []string{inside, outward, "frame.protocols=raw:ipv6:tcp:data"}},
				{"its acknowledgements", 2, []string{inside, inward, "frame.protocols=raw:ip:tcp"}},
				{"DNS", 1, []string{inside, outward, "frame.protocols=raw:ip:udp:dns", "dns.qry.name=example.org"}},
			} {
				if n := count(keepalives(rows), want.rows...); n < want.min {
					t.Errorf("%s: tshark names %d packets, want %d", want.what, n, want.min)
				}
			}
			for i, r := range rows {
				if problem := rowProblem(r); problem != "" {
					t.Fatalf("packet %d: %s: %v", i+1, problem, r)
				}
			}
			sameHandshakes(t, rows, b.WatchedUDP(wire, 1234))
		})
	}
}

// keepalives marks the rows that are keepalives.
func keepalives(rows []row) []row {
	for _, r := range rows {
		if r["wg.type"] == "4" && len(r["udp.payload"]) == 2*32 {
			r["udp.payload"] = "keepalive"
		}
	}
	return rows
}

// rowProblem returns what is wrong with a packet.
func rowProblem(r row) string {
	for field, value := range r {
		if strings.HasSuffix(field, ".checksum.status") && strings.Trim(value, "1,") != "" {
			return field + " is not 1, good"
		}
	}
	switch {
	case r["_ws.malformed"] != "":
		return "malformed"
	case r["frame.interface_name"] == "wg0 outer" && r["wg.type"] == "":
		return "tshark does not take it for WireGuard"
	}
	return ""
}

// sameHandshakes checks that the handshake messages of a capture are those that a packet
// socket has seen on the wire.
func sameHandshakes(t *testing.T, rows []row, wire []lab.Packet) {
	t.Helper()
	var got, want []string
	for _, r := range rows {
		if r["wg.type"] == "1" || r["wg.type"] == "2" {
			got = append(got, r["udp.payload"])
		}
	}
	for _, p := range wire {
		if len(p.Payload) > 0 && (p.Payload[0] == 1 || p.Payload[0] == 2) {
			want = append(want, hex.EncodeToString(p.Payload))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("the capture has %d handshake messages, and the wire had %d, or others", len(got), len(want))
	}
}

// On a disk that becomes full, what is in the file is whole, and what is missing is said.
func TestCaptureOnFullDisk(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	a.Sink(sinkPort)
	b.Must("mkdir /run/small && mount -t tmpfs -o size=1M none /run/small && mountpoint -q /run/small")
	b.Must("wgd capture wg0 -w /run/small/a.pcapng > /dev/null 2> /run/capture.said & echo $! > /run/capture.pid")
	lab.Until(t, 20*time.Second, "the capture begins", func() (bool, string) {
		said := b.Must("cat /run/capture.said")
		return said == "capturing wg0, into /run/small/a.pcapng: Ctrl-C ends it\n", said
	})
	b.Stream(lab.Stream{Remote: netip.AddrPortFrom(netip.MustParseAddr(lab.InnerA4), sinkPort), Bytes: 4 << 20})
	captureSaid(t, b)
	said := b.Must("cat /run/capture.said")
	var captured, outer, inner, dropped, unwritten int
	_, figures, _ := strings.Cut(said, "Ctrl-C ends it\n")
	if _, err := fmt.Sscanf(figures, "%d packets captured (%d outside, %d inside), %d dropped, %d not written\n", &captured, &outer, &inner, &dropped, &unwritten); err != nil ||
		!strings.HasSuffix(said, "/run/small/a.pcapng: no space left on device\n") || captured < 100 || unwritten < 1 {
		t.Errorf("wgd capture says %q", said)
	}
	if rows := tshark(t, b, "/run/small/a.pcapng"); len(rows) != captured {
		t.Errorf("tshark reads %d packets, and %d were captured", len(rows), captured)
	}
}

// A reader that stops reading makes the capture lose packets, which it counts, and the
// tunnel none.
func TestCaptureWithSlowReader(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	_, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	a.Sink(sinkPort)
	b.Must("mkfifo /run/pipe; { dd bs=1 count=1 of=/run/a.pcapng; until test -e /run/read; do sleep 0.1; done; exec cat >> /run/a.pcapng; } > /dev/null 2>&1 < /run/pipe &")
	b.Must("wgd capture wg0 > /run/pipe 2> /run/capture.said & echo $! > /run/capture.pid")
	lab.Until(t, 20*time.Second, "the capture begins", func() (bool, string) {
		return b.Run("test -s /run/a.pcapng").Code == 0, b.Run("cat /run/capture.said").Out
	})
	// Packets that wait for a busy system to send them may be dropped without a capture too.
	drops := func() map[string]uint64 {
		m := maps.Clone(tb.Counts().Drops)
		delete(m, "backlog")
		delete(m, "send")
		return m
	}
	before := drops()
	stream := lab.Stream{Remote: netip.AddrPortFrom(netip.MustParseAddr(lab.InnerA4), sinkPort), Bytes: 30 << 20}
	b.Stream(stream)
	if after := drops(); !maps.Equal(before, after) {
		t.Errorf("the tunnel has dropped packets: %v before the stream, and %v after it", before, after)
	}
	b.Must("touch /run/read; kill -TERM $(cat /run/capture.pid)")
	said := captureSaid(t, b)
	var captured, outer, inner, dropped int
	if _, err := fmt.Sscanf(said, "%d packets captured (%d outside, %d inside), %d dropped", &captured, &outer, &inner, &dropped); err != nil {
		t.Fatalf("wgd capture says %q: %v", said, err)
	}
	// 30 MB are more than 22,000 packets, which are inside as well as outside.
	if captured == 0 || dropped < 20_000 || captured+dropped < 44_000 {
		t.Errorf("wgd capture says %q", said)
	}
	if rows := tshark(t, b, "/run/a.pcapng"); len(rows) != captured {
		t.Errorf("tshark reads %d packets of %d", len(rows), captured)
	}
}
