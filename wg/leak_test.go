package wg

import (
	"crypto/rand"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/key"
	"wgd/netstack"
)

// memory returns the bytes of Go's heap that are in use, and, on Linux, those of
// this process that are resident.
func memory(t *testing.T) (heap, resident int) {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		pages, err := strconv.Atoi(strings.Fields(string(text))[1])
		if err != nil {
			t.Fatal(err)
		}
		resident = pages * os.Getpagesize()
	}
	return int(stats.HeapAlloc), resident
}

// B59: a tunnel with a stack that was opened, used and closed leaves nothing, even
// after a thousand times.
func TestAThousandTunnelsLeaveNothing(t *testing.T) {
	const limit = 5 << 20
	use := func() { // two tunnels and one connection, which the Close of a tunnel ends
		a, keyA := openAlone(t, "10.2.0.1/32")
		b, keyB := openAlone(t, "10.2.0.2/32")
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Status().ListenPort)
		connectTo(t, a, conf.PeerChange{PublicKey: keyB.Public()}, "10.2.0.2/32")
		connectTo(t, b, conf.PeerChange{PublicKey: keyA.Public(), Endpoint: &at}, "10.2.0.1/32")
		listener, err := a.stack.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := listener.Accept(); err == nil {
				conn.Write([]byte("x"))
			}
		}()
		conn, err := b.stack.Dial("tcp", "10.2.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		b.Close()
		a.Close()
	}
	for range 25 { // what is made once, such as pools
		use()
	}
	check := asynctest.CheckLeaks(t)
	heap, resident := memory(t)
	times := 500
	if underRace {
		times = 50
	}
	for range times {
		use()
	}
	check()
	heapAfter, residentAfter := memory(t)
	t.Logf("the heap grew by %d bytes, the resident memory by %d", heapAfter-heap, residentAfter-resident)
	if heapAfter-heap > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", heapAfter-heap, limit)
	}
	if residentAfter-resident > limit && !underRace {
		t.Errorf("the resident memory grew by %d bytes, want at most %d", residentAfter-resident, limit)
	}
}

// openAlone is like open, but the test keeps nothing of the tunnel.
func openAlone(t *testing.T, inner string) (end, key.Private) {
	t.Helper()
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix(inner)}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Name: "wg0", Device: stack})
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Apply(conf.Change{PrivateKey: &private}); err != nil {
		t.Fatal(err)
	}
	return end{Interface: w, stack: stack}, private
}

func connectTo(t *testing.T, e end, peer conf.PeerChange, prefix string) {
	t.Helper()
	peer.AllowedIPs = []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix(prefix)}}
	if err := e.Apply(conf.Change{Peers: []conf.PeerChange{peer}}); err != nil {
		t.Fatal(err)
	}
}
