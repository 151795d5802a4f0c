package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"wgd/test/lab"
)

// randomKey returns a public key whose private key is unknown.
func randomKey() [32]byte {
	var k [32]byte
	rand.Read(k[:])
	return k
}

// prefixes returns the allowed IPs of the i-th peer.
func prefixes(i int) (v4, v6 string) {
	return fmt.Sprintf("%d.%d.%d.%d/32", 10+i>>24, i>>16&255, i>>8&255, i&255), fmt.Sprintf("fd00::%x:%x/128", i>>16, i&0xffff)
}

// request returns a set request for n peers with two prefixes each. extra is
// added to each peer.
func request(n int, endpoint bool, extra string) string {
	var b strings.Builder
	private := randomKey()
	fmt.Fprintf(&b, "set=1\nprivate_key=%s\nlisten_port=1234\n", hex.EncodeToString(private[:]))
	for i := range n {
		public := randomKey()
		v4, v6 := prefixes(i)
		fmt.Fprintf(&b, "public_key=%s\n", hex.EncodeToString(public[:]))
		if endpoint {
			fmt.Fprintf(&b, "endpoint=192.0.2.%d:%d\n", 1+i%250, 1000+i%60000)
		}
		fmt.Fprintf(&b, "%sreplace_allowed_ips=true\nallowed_ip=%s\nallowed_ip=%s\n", extra, v4, v6)
	}
	return b.String() + "\n"
}

// file returns such a configuration as a file for wg setconf.
func file(n int) string {
	var b strings.Builder
	private := randomKey()
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nListenPort = 1234\n", base64.StdEncoding.EncodeToString(private[:]))
	for i := range n {
		public := randomKey()
		v4, v6 := prefixes(i)
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nEndpoint = 192.0.2.%d:%d\nAllowedIPs = %s, %s\n",
			base64.StdEncoding.EncodeToString(public[:]), 1+i%250, 1000+i%60000, v4, v6)
	}
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func megabytes(d *lab.Daemon) string {
	return fmt.Sprintf("%.1f MB", float64(d.Stat().Resident)*1024/1e6)
}

// idleCPU measures the CPU time of the daemon while it is idle.
func idleCPU(d *lab.Daemon, o options) string {
	before := d.Stat().CPU
	time.Sleep(o.idle)
	used := d.Stat().CPU - before
	return fmt.Sprintf("%.2f %% of a core (%v in %v)", 100*used.Seconds()/o.idle.Seconds(), used, o.idle)
}

// manyPeers configures many peers in one request, reads them back, and leaves
// them idle.
func manyPeers(t lab.T, o options) (list []figure) {
	h := lab.NewHost(t, "a")
	d := h.StartDaemon(lab.Ours)
	empty := d.Stat().Resident
	text := request(o.peers, true, "")
	_, set := d.Ask(text)
	at := megabytes(d)
	h.Must("ip link set wg0 up")
	time.Sleep(3 * time.Second)
	settled := d.Stat().Resident
	_, read := d.Ask("get=1\n\n")
	_, again := d.Ask(text)
	time.Sleep(3 * time.Second)
	name := fmt.Sprintf("%d peers, two prefixes each: ", o.peers)
	return []figure{
		{name + "set through the socket", seconds(set)},
		{name + "read through the socket", seconds(read)},
		{name + "set again, no change", seconds(again)},
		{name + "resident at once", at},
		{name + "resident 3 s later", fmt.Sprintf("%.1f MB", float64(settled)*1024/1e6)},
		{name + "for each, without the empty daemon", fmt.Sprintf("%d bytes", (settled-empty)*1024/o.peers)},
		{name + "resident after all this", megabytes(d)},
		{name + "idle", idleCPU(d, o)},
	}
}

// manyPeersByWg does the same with wg of wireguard-tools.
func manyPeersByWg(t lab.T, o options) []figure {
	h := lab.NewHost(t, "a")
	d := h.StartDaemon(lab.Ours)
	if err := os.WriteFile(h.Path("/run/many.conf"), []byte(file(o.peers)), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	set := h.RunFor(5*time.Minute, "wg setconf wg0 /run/many.conf", nil)
	show := h.RunFor(5*time.Minute, "wg show wg0 dump >/run/dump && wc -l </run/dump", nil)
	own := h.RunFor(5*time.Minute, "wgconfig wg0 show all >/run/show", nil)
	if set.Code != 0 || own.Code != 0 || strings.TrimSpace(show.Out) != fmt.Sprint(o.peers+1) {
		t.Fatalf("wg: %s%s%s%s", set.Err, show.Out, show.Err, own.Err)
	}
	time.Sleep(3 * time.Second)
	name := fmt.Sprintf("%d peers, two prefixes each: ", o.peers)
	return []figure{
		{name + "wg setconf", seconds(set.Took)},
		{name + "wg show dump", seconds(show.Took)},
		{name + "wgconfig show all", seconds(own.Took)},
		{name + "resident after these", megabytes(d)},
	}
}

// manyKeepalives measures peers with a persistent keepalive of 25 seconds that
// have no endpoint, and others that do not answer.
func manyKeepalives(t lab.T, o options) (list []figure) {
	for _, endpoint := range []bool{false, true} {
		name := "%d peers with a persistent keepalive and no endpoint: idle"
		n := o.peers
		if endpoint {
			name = "%d peers with a persistent keepalive that do not answer: idle"
			n = o.peers / 100
		}
		h := lab.NewHost(t, "a")
		d := h.StartDaemon(lab.Ours)
		d.Ask(request(n, endpoint, "persistent_keepalive_interval=25\n"))
		// A veth pair whose other end does not answer.
		h.Must("ip link add eth0 type veth peer name eth1 && ip addr add 198.51.100.1/24 dev eth0 && ip link set eth0 up && ip link set eth1 up")
		h.Must("ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev eth0 && ip route add 192.0.2.0/24 via 198.51.100.2 && ip link set wg0 up")
		time.Sleep(5 * time.Second)
		list = append(list, figure{fmt.Sprintf(name, n), idleCPU(d, o)})
		h.Halt()
	}
	return list
}

// manyPrefixes measures a million allowed IPs of a thousand peers.
func manyPrefixes(t lab.T, o options) []figure {
	const peers, each = 1000, 1000
	h := lab.NewHost(t, "a")
	d := h.StartDaemon(lab.Ours)
	empty := d.Stat().Resident
	var b strings.Builder
	b.WriteString("set=1\nlisten_port=1234\n")
	for i := range peers {
		public := randomKey()
		fmt.Fprintf(&b, "public_key=%s\n", hex.EncodeToString(public[:]))
		for j := range each {
			v4, v6 := prefixes(i*each + j)
			if j%2 == 0 {
				v4 = v6
			}
			fmt.Fprintf(&b, "allowed_ip=%s\n", v4)
		}
	}
	_, set := d.Ask(b.String() + "\n")
	time.Sleep(3 * time.Second)
	settled := d.Stat().Resident
	_, read := d.Ask("get=1\n\n")
	return []figure{
		{"a million allowed IPs, half of them IPv6: set", seconds(set)},
		{"a million allowed IPs: read", seconds(read)},
		{"a million allowed IPs: for each", fmt.Sprintf("%d bytes", (settled-empty)*1024/peers/each)},
	}
}
