package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// recreate starts the killed daemon of B again, with the same configuration.
func recreate(b *lab.Host, ta *lab.Tunnel) {
	b.Must("wg-ifconfig wg0 create && wgconfig wg0 set private-key /etc/wg/wg0 && wgconfig wg0 set listen-port 1235 && "+
		"wgconfig wg0 add peer a %s --endpoint=192.0.2.1:1234 --allowed-ips=10.2.0.1/32,fd00:2::1/128 && "+
		"wg-ifconfig wg0 inet 10.2.0.2/24 inet6 fd00:2::2/64 up", ta.Public)
}

// If a peer is killed and started again while the other side sends, the sender notices
// that nothing comes back, and starts a handshake within 15 s plus jitter. // B31, B35
func TestPeerRestartedMidFlow(t *testing.T) {
	t.Parallel()
	a, b, ta, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	in, wire := b.Collect(4000), a.Watch("eth0")
	out := a.StartFlow(lab.Flow{Remote: addrPort("10.2.0.2:4000"), Size: 100, Interval: 20 * time.Millisecond})
	lab.Until(t, 10*time.Second, "packets arrive", func() (bool, string) {
		return len(b.Collected(in)) >= 10, ""
	})
	b.Daemon(lab.Ours).Kill()
	killed := time.Now()
	lab.Until(t, 10*time.Second, "wg0 is gone with its daemon", func() (bool, string) {
		r := b.Run("ip link show wg0")
		return r.Code != 0, r.Out
	})
	recreate(b, ta)
	// Those that were received before it was killed were recorded by then.
	before := len(b.Collected(in))
	lab.Until(t, 40*time.Second, "packets arrive again", func() (bool, string) {
		return len(b.Collected(in)) > before, ""
	})
	a.StopFlow(out)
	var first lab.Packet
	for _, p := range messages(a.WatchedUDP(wire, 1234), initiation, true) {
		if p.At.After(killed) {
			first = p
			break
		}
	}
	if silence := first.At.Sub(killed); first.At.IsZero() || silence > 16*time.Second {
		t.Errorf("the first initiation of A: %v, %v after B was killed, want within 16 s", first, silence)
	} else {
		t.Logf("A starts a handshake after %v", silence)
	}
}

// If the side that was restarted sends first, the tunnel works at once. Its stamps are
// above those from before, although it was killed. // A20, B35
func TestRestartedPeerSpeaks(t *testing.T) {
	t.Parallel()
	a, b, ta, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	for range 3 {
		b.Daemon(lab.Ours).Kill()
		lab.Until(t, 10*time.Second, "wg0 is gone with its daemon", func() (bool, string) {
			return b.Run("ip link show wg0").Code != 0, ""
		})
		recreate(b, ta)
		if took := b.PingWithin(15*time.Second, lab.InnerA4); took > 4*time.Second { // a repeated initiation would come after 5 s
			t.Errorf("the first ping after the restart took %v, want at once", took)
		}
		a.Ping(lab.InnerB4, 1)
	}
	mode := strings.TrimSpace(b.Must("stat -c %%a /var/lib/wgd/* | sort -u"))
	if mode != "600" {
		t.Errorf("the files of /var/lib/wgd have the modes %q, want 600", mode)
	}
}

// Down and up two hundred times: there is a new session each time, the port is closed
// in between, and nothing leaks. // A61, B55, B59
func TestDownUp200(t *testing.T) {
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	d := b.Daemon(lab.Ours)
	before := d.Stat()
	for i := range 200 {
		b.Must("wg-ifconfig wg0 down")
		if i%20 == 0 {
			// The daemon learns from the kernel that the interface is down.
			lab.Until(t, 10*time.Second, "port 1235 is closed while the interface is down", func() (bool, string) {
				out := b.Must("cat /proc/net/udp /proc/net/udp6")
				return !strings.Contains(out, ":04D3 "), out
			})
		}
		time.Sleep(25 * time.Millisecond) // A19: A ignores an initiation within 20 ms of the last
		b.Must("wg-ifconfig wg0 up")
		if r := b.Run("ping -n -c 1 -W 3 " + lab.InnerA4); r.Code != 0 {
			t.Fatalf("round %d: no answer\n%s%s", i, r.Out, r.Err)
		}
	}
	a.Ping(lab.InnerB4, 2)
	after := d.Stat()
	if after.Files > before.Files+2 || after.Threads > before.Threads+8 {
		t.Errorf("before: %+v, after: %+v; want at most 2 more files and 8 more threads", before, after)
	}
}

// stampAhead returns how far the stamp that h accepted last is ahead of the clock. It
// is in the file of the only interface of h (internal/state).
func stampAhead(t *testing.T, h *lab.Host) (ahead time.Duration) {
	t.Helper()
	const heading, record, kindStamp = len("wgd stamps v001\n"), 52, 2
	lab.Until(t, 10*time.Second, "an accepted stamp is in the file", func() (bool, string) {
		data, err := os.ReadFile(h.Path("/var/lib/wgd/wg0.stamps"))
		if err != nil {
			return false, err.Error()
		}
		found := false
		for at := heading; at+record <= len(data); at += record {
			if data[at] == kindStamp {
				seconds := int64(binary.BigEndian.Uint64(data[at+4:])) - 1<<62 - 10
				ahead, found = time.Until(time.Unix(seconds, int64(binary.BigEndian.Uint32(data[at+12:])))), true
			}
		}
		return found, fmt.Sprintf("%d bytes", len(data))
	})
	return ahead
}

// Eight daemons in succession are killed after a handshake each. The stamps that they
// reserved do not add up, so the identity is not locked out when it moves to a machine
// without the file. // A20, B51
func TestKilledEightTimes(t *testing.T) {
	t.Parallel()
	a, b, ta, _ := pair(t)
	for range 8 {
		b.Ping(lab.InnerA4, 1)
		b.Daemon(lab.Ours).Kill()
		lab.Until(t, 10*time.Second, "wg0 is gone with its daemon", func() (bool, string) {
			return b.Run("ip link show wg0").Code != 0, ""
		})
		recreate(b, ta)
	}
	b.Ping(lab.InnerA4, 1)
	time.Sleep(1500 * time.Millisecond) // A21: received stamps are written once a second
	ahead := stampAhead(t, a)
	if ahead > 10*time.Second-1500*time.Millisecond {
		t.Errorf("the stamps are %v ahead of the clock", ahead)
	}
	t.Logf("the stamps are %v ahead of the clock", ahead)
	b.Must("wg-ifconfig wg0 destroy && rm /var/lib/wgd/*")
	recreate(b, ta)
	if took := b.PingWithin(20*time.Second, lab.InnerA4); took > 16*time.Second {
		t.Errorf("the daemon without the file was refused for %v, want 16s at most", took)
	} else {
		t.Logf("the daemon without the file was accepted after %v", took)
	}
}
