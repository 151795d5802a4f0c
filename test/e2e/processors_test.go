package e2e

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

var goMaxProcs = regexp.MustCompile(`gomaxprocs=(\d+)`)

// A daemon that is confined to fewer cores while it runs, as by a change of a
// container's CPU set, has one more of Go's processors than cores. It has all again
// when it may use all cores again. // A44, B49
func TestCoresAreTakenAway(t *testing.T) {
	t.Parallel()
	if runtime.NumCPU() < 2 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this needs two cores, and there is one")
		}
		t.Skip("LEFT OUT: a daemon that is confined to fewer cores; there is only one core")
	}
	a, b := lab.Pair(t)
	// Every 20 ms Go's scheduler writes how many processors it has.
	a.Must("GODEBUG=schedtrace=20 wgd -f wg0 >/run/trace 2>&1 & until wgconfig wg0 >/dev/null 2>&1; do sleep 0.1; done")
	a.Must("umask 077; mkdir -p /etc/wg; wg-keygen >/etc/wg/wg0; wgconfig wg0 set private-key /etc/wg/wg0; wgconfig wg0 set listen-port 1234; " +
		"wg-ifconfig wg0 inet 10.2.0.1/24 up")
	public := strings.TrimSpace(a.Must("wg-keygen --pub </etc/wg/wg0"))
	tb := b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{"10.2.0.2/24"}})
	a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", tb.Public)
	b.Must("wgconfig wg0 add peer a %s --allowed-ips=10.2.0.1/32 --endpoint=192.0.2.1:1234", public)

	// maxProcessors returns the maximum number of processors in the trace since the
	// given length, and the length of the trace now. A request to the daemon needs all
	// of them for a moment. When data flows, the daemon uses only one.
	maxProcessors := func(from int64) (n int, to int64) {
		a.Must("wgconfig wg0 >/dev/null")
		time.Sleep(100 * time.Millisecond)
		b.Must("ping -n -q -c 12 -i 0.1 10.2.0.1")
		text, err := os.ReadFile(a.Path("/run/trace"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range goMaxProcs.FindAllStringSubmatch(string(text[from:]), -1) {
			if got, _ := strconv.Atoi(m[1]); got > n {
				n = got
			}
		}
		return n, int64(len(text))
	}
	cores := strings.TrimSpace(a.Must("taskset -cp $$ | sed 's/.*: //'"))
	one, _, _ := strings.Cut(strings.ReplaceAll(cores, "-", ","), ",")
	pid := a.Daemon(lab.Ours).PID
	all, read := maxProcessors(0)
	if all < 3 || all > runtime.NumCPU()+1 {
		t.Errorf("the daemon has %d of Go's processors on %d cores, want 3 to %d", all, runtime.NumCPU(), runtime.NumCPU()+1)
	}
	expect := func(want int) {
		t.Helper()
		lab.Until(t, 30*time.Second, fmt.Sprintf("the daemon has at most %d of Go's processors", want), func() (bool, string) {
			var n int
			n, read = maxProcessors(read)
			return n == want, fmt.Sprint(n)
		})
	}
	a.Must("taskset -acp %s %d", one, pid)
	expect(2)
	a.Must("taskset -acp %s %d", cores, pid)
	expect(all)
}
