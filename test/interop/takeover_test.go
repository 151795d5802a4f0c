package interop

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// service is the address of whichever gateway has it; both have one of their own, which
// the kernel would prefer as a source.
const service = "192.0.2.100"

// A gateway dies while a client sends, and its address moves to another one with the same
// private key, which does not have the client. A program beside that one hears of the
// client's data, and adds it with the stamp of the first gateway and initiate=true. So the
// client, which does nothing about it, has answers again within two seconds, and from the
// address that it knows.
func TestTakeover(t *testing.T) {
	for _, daemon := range []string{lab.Ours, lab.Theirs} {
		t.Run("a client of "+daemon, func(t *testing.T) {
			t.Parallel()
			takeover(t, daemon)
		})
	}
}

func takeover(t *testing.T, daemon string) {
	sw := lab.Switch(t, "sw")
	client, first, second := lab.NewHost(t, "c"), lab.NewHost(t, "g1"), lab.NewHost(t, "g2")
	client.Plug(sw, "eth0", "192.0.2.1/24")
	first.Plug(sw, "eth0", "192.0.2.11/24", service+"/24")
	second.Plug(sw, "eth0", "192.0.2.12/24")
	gateway := lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}}
	t1 := first.Tunnel(gateway)
	second.Tunnel(gateway)
	tc := client.Tunnel(lab.Settings{Daemon: daemon, Addresses: []string{lab.InnerB4 + "/24"}})
	d1, d2 := first.Daemon("wgd"), second.Daemon("wgd")
	d2.Set("private_key=" + hexOf(t, first.Must("cat /etc/wg/wg0")))
	peer := "public_key=" + hexOf(t, tc.Public)
	d1.Set(peer, "allowed_ip="+lab.InnerB4+"/32")
	tc.Add(t1, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: service + ":1234"})
	client.Ping(lab.InnerA4, 1)

	known := stateOf(t, first)
	if len(known["stamp"]) != 24 || known["endpoint"] == "" {
		t.Fatalf("the first gateway says %v", known)
	}
	answered := make(chan string, 100)
	subscribe(t, second, func(want map[string]string) []string {
		if want["want"] != "unknown_session" || want["endpoint"] != known["endpoint"] {
			t.Errorf("an unexpected want: %v", want)
			return nil
		}
		answered <- want["endpoint"]
		return []string{"set=1", peer, "endpoint=" + want["endpoint"], "initiate=true", "stamp=" + known["stamp"], "lent=600", "allowed_ip=" + lab.InnerB4 + "/32"}
	})

	result := make(chan lab.Result, 1)
	go func() { result <- client.Run("ping -D -n -c 200 -i 0.05 -W 1 " + lab.InnerA4) }()
	time.Sleep(2 * time.Second)
	d1.Kill()
	first.Must("ip addr del " + service + "/24 dev eth0")
	second.Must("ip addr add " + service + "/24 dev eth0")
	client.Must("ip neigh flush dev eth0") // as a gratuitous ARP would
	switched := time.Now()
	before, after := repliesAround(t, <-result, switched)
	if len(before) < 10 || len(after) < 20 {
		t.Fatalf("%d pings were answered before the switch, and %d after it\n%s", len(before), len(after), second.Must("cat /run/wgd.log"))
	}
	t.Logf("after the switch, the first ping was answered after %v", after[0])
	if after[0] > 2*time.Second {
		t.Errorf("after the switch, no ping was answered for %v\n%s", after[0], second.Must("cat /run/wgd.log"))
	}
	if at := tc.Peer(t1).Endpoint; at != service+":1234" {
		t.Errorf("the client sends to %s", at)
	}
	if now := stateOf(t, second); now["lent"] != "600" || now["endpoint"] != known["endpoint"] {
		t.Errorf("the second gateway says %v", now)
	}
	if n := len(answered); n != 1 {
		t.Errorf("%d wants, want 1", n)
	}
}

// repliesAround returns when the pings were answered that ping -D has printed, before and
// after a time.
func repliesAround(t *testing.T, r lab.Result, at time.Time) (before, after []time.Duration) {
	t.Helper()
	for line := range strings.Lines(r.Out) {
		if !strings.Contains(line, " time=") {
			continue
		}
		var seconds float64
		if _, err := fmt.Sscanf(line, "[%f]", &seconds); err != nil {
			t.Fatalf("ping says %q", line)
		}
		if d := time.UnixMicro(int64(seconds * 1e6)).Sub(at); d < 0 {
			before = append(before, d)
		} else {
			after = append(after, d)
		}
	}
	return before, after
}

// hexOf turns a key from base64 to the form of the control socket.
func hexOf(t *testing.T, key string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key))
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func dialControl(t *testing.T, h *lab.Host) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", h.Path("/run/wireguard/wg0.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// block reads lines of key=value up to an empty one; nil at the end.
func block(r *bufio.Reader) map[string]string {
	values := map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil
		}
		if line == "\n" {
			return values
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
}

// stateOf returns the state of the daemon, with the last peer.
func stateOf(t *testing.T, h *lab.Host) map[string]string {
	t.Helper()
	conn := dialControl(t, h)
	fmt.Fprint(conn, "get=1\n\n")
	return block(bufio.NewReader(conn))
}

// subscribe gets wants from the daemon, and sends the request that answer returns for each.
func subscribe(t *testing.T, h *lab.Host, answer func(want map[string]string) []string) {
	t.Helper()
	wants, requests := dialControl(t, h), dialControl(t, h)
	fmt.Fprint(wants, "wants=1\n\n")
	r, results := bufio.NewReader(wants), bufio.NewReader(requests)
	if begin := block(r); begin["want"] != "begin" {
		t.Fatalf("the answer to wants=1 begins with %v", begin)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		wants.Close()
		requests.Close()
		<-done
	})
	go func() {
		defer close(done)
		for want := block(r); want != nil; want = block(r) {
			request := answer(want)
			if request == nil {
				continue
			}
			fmt.Fprint(requests, strings.Join(request, "\n")+"\n\n")
			result := block(results)
			if result == nil {
				return // the test has ended
			}
			if result["errno"] != "0" {
				t.Errorf("%v: %v", request, result)
			}
		}
	}()
}
