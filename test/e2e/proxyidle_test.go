package e2e

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
	"wgd/test/load"
)

// 10,000 idle connections through SOCKS5, of which each has carried data, take at most
// 40 KB of the proxy's memory each, its TCP/IP stack and its tunnel included. All can
// be used at the same time afterwards.
func TestProxyHoldsManyIdleConnections(t *testing.T) {
	t.Parallel()
	const limit = 40_000 // bytes
	count := possible(t, 10_000)
	a, b, _ := proxyPair(t, "[Socks5]\nBindAddress = "+load.SOCKS5At)
	startProxy(t, b, "")
	server := load.Start(a, load.TCPEcho, load.Job{})
	defer server.Stop()
	load.Start(b, load.IdleSOCKS5, load.Job{Remote: "10.2.0.1", Count: 100}).Stop() // what all connections share
	proxy := b.Daemon(lab.Ours)
	before := proxy.Stat().Resident
	began := time.Now()
	client := load.Start(b, load.IdleSOCKS5, load.Job{Remote: "10.2.0.1", Count: count})
	defer client.Stop()
	took := time.Since(began)
	var each int
	lab.Until(t, 30*time.Second, "an idle connection takes at most 40 KB of the proxy", func() (bool, string) {
		each = (proxy.Stat().Resident - before) * 1024 / count // the proxy frees what it does not need after a moment
		return each <= limit, fmt.Sprintf("%d bytes for each of %d", each, count)
	})
	t.Logf("%d connections were made in %v; the proxy has %d bytes for each, and %d files", count, took, each, proxy.Stat().Files)
	if open := server.Ask().Packets; open != uint64(count) {
		t.Errorf("%d connections are open at the server, want %d", open, count)
	}
	if used := client.Ask().Packets; used != uint64(count) {
		t.Errorf("%d connections could be used, want %d", used, count)
	}
}

// possible returns how many connections a process may have open, at most count.
func possible(t *testing.T, count int) int {
	t.Helper()
	const others = 100 // files of the process
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if n := int(min(files.Max, 1<<20)) - others; n < count {
		t.Logf("LEFT OUT, needs a hard limit of %d open files: more than %d connections", count+others, n)
		return n
	}
	return count
}
