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

// A daemon that is confined to fewer cores while it runs, as a change of a
// container's CPU set does, has one of Go's processors more than those, and all
// again when it may use all again. A44, B49
func TestCoresAreTakenAway(t *testing.T) {
	t.Parallel()
	if runtime.NumCPU() < 2 {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is one core, and this needs two")
		}
		t.Skip("LEFT OUT: what becomes of a daemon whose cores are taken away; there is one core")
	}
	a, b := lab.Pair(t)
	// The scheduler of Go writes every 20 ms how many processors it has.
	a.Must("GODEBUG=schedtrace=20 wgd -f wg0 >/run/trace 2>&1 & until wgconfig wg0 >/dev/null 2>&1; do sleep 0.1; done")
	a.Must("umask 077; mkdir -p /etc/wg; wg-keygen >/etc/wg/wg0; wgconfig wg0 set private-key /etc/wg/wg0; wgconfig wg0 set listen-port 1234; " +
		"wg-ifconfig wg0 inet 10.2.0.1/24 up")
	public := strings.TrimSpace(a.Must("wg-keygen --pub </etc/wg/wg0"))
	tb := b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{"10.2.0.2/24"}})
	a.Must("wgconfig wg0 add peer b %s --allowed-ips=10.2.0.2/32", tb.Public)
	b.Must("wgconfig wg0 add peer a %s --allowed-ips=10.2.0.1/32 --endpoint=192.0.2.1:1234", public)

	// Of the processors that it has since the trace was so long, the most. A
	// request needs all of them for a moment; data lets all but one go again.
	most := func(from int64) (n int, to int64) {
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
	all, read := most(0)
	if all < 3 || all > runtime.NumCPU()+1 {
		t.Errorf("%d of Go's processors on %d cores", all, runtime.NumCPU())
	}
	expect := func(want int) {
		t.Helper()
		lab.Until(t, 30*time.Second, fmt.Sprintf("%d of Go's processors are the most", want), func() (bool, string) {
			var n int
			n, read = most(read)
			return n == want, fmt.Sprint(n)
		})
	}
	a.Must("taskset -acp %s %d", one, pid)
	expect(2)
	a.Must("taskset -acp %s %d", cores, pid)
	expect(all)
}
