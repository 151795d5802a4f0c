package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"wgd/internal/asynctest"
	"wgd/internal/sys/netns/netnstest"
)

// A list that the kernel marks as interrupted is read again, and never used. If that
// does not end, the error says so.
func TestInterruptedDumpIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name        string
		interrupted int
		err         error
		want        error
	}{
		{"whole at once", 0, nil, nil},
		{"whole at last", readings - 1, nil, nil},
		{"never whole", readings, nil, errChanging},
		{"an error", 2, errors.ErrUnsupported, errors.ErrUnsupported},
	} {
		n := 0
		list, err := again(func() ([]int, error) {
			if n++; n <= c.interrupted {
				return []int{1}, fmt.Errorf("dump: %w", netlink.ErrDumpInterrupted)
			}
			return []int{1, 2}, c.err
		})
		if !errors.Is(err, c.want) || err == nil && len(list) != 2 || n > readings {
			t.Errorf("%s: %v, %v after %d readings", c.name, list, err, n)
		}
	}
}

// A list of routes or rules is read until nothing changed meanwhile. If something always
// changes, two equal lists in succession are accepted, but not soon.
func TestUnmarkedDumpIsReadAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes int // how many readings something changes during
		equal   bool
		want    int // readings
		err     error
	}{
		{"quiet", 0, false, 1, nil},
		{"quiet at last", 7, true, 8, nil},
		{"other changes all the time", 1 << 30, true, strictReadings + 1, nil},
		{"changes all the time", 1 << 30, false, readings, errChanging},
	} {
		n, changed := 0, true // before the first reading
		_, err := settled(func() bool {
			was := changed
			changed = false
			return was
		}, func() ([]int, error) {
			n++
			changed = n <= c.changes
			if c.equal {
				return []int{5}, nil
			}
			return []int{n}, nil
		})
		if n != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v after %d readings, want %v after %d", c.name, err, n, c.err, c.want)
		}
	}
}

// While other interfaces, addresses, routes and rules come and go, no list lacks one
// that was there all the time. (Each of these lists takes several parts.)
func TestListsAreWholeDuringChanges(t *testing.T) {
	netnstest.Isolate(t)
	const stable = 700
	newTUN(t, "wgstable")
	run(t, "link", "set", "wgstable", "up")
	run(t, "link", "set", "lo", "up")
	var batch strings.Builder
	for i := range stable {
		fmt.Fprintf(&batch, "address add fd01::%x/128 dev wgstable nodad\n", i+1)
		fmt.Fprintf(&batch, "route add fd00:%x::/64 dev wgstable table 77\n", 0x100+i)
		fmt.Fprintf(&batch, "rule add from 10.9.9.9 table 77 priority %d\n", 1000+i)
	}
	ipBatch(t, batch.String())
	l, other := openLinks(t), openLinks(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		churn(other, stop)
	}()
	defer func() {
		close(stop)
		<-done
	}()
	for _, c := range []struct {
		what string
		read func() (int, error)
		want int
	}{
		{"addresses", func() (int, error) {
			info, err := l.Get("wgstable")
			return len(slices.DeleteFunc(info.Addresses, func(a Address) bool { return a.Automatic })), err
		}, stable},
		{"routes", func() (int, error) {
			list, err := l.AllRoutesTo("wgstable")
			return len(list), err
		}, stable},
		{"rules", func() (int, error) {
			list, err := l.Priorities(false)
			return len(slices.DeleteFunc(list, func(p uint32) bool { return p < 1000 || p >= 1000+stable })), err
		}, stable},
	} {
		for range 40 {
			if got, err := c.read(); err != nil || got != c.want {
				t.Errorf("%d %s, %v; want %d", got, c.what, err, c.want)
				break
			}
		}
	}
}

func openLinks(t *testing.T) *Links {
	t.Helper()
	l, err := Open()
	must(t, err)
	t.Cleanup(l.Close)
	return l
}

func ipBatch(t *testing.T, text string) {
	t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip -batch: %v\n%.300s", err, out)
	}
}

// churn adds and removes addresses, routes and rules that the kernel lists before the
// others. The pauses between grow to a length in which a slow computer, too, can read a
// list; then short ones follow again.
func churn(l *Links, stop <-chan struct{}) {
	for n := 0; ; n++ {
		for k := range 20 {
			_ = l.AddAddress("lo", passing(k).address)
			_ = l.AddRoute("lo", passing(k).route)
			_ = l.AddRule(passing(k).rule)
		}
		for k := range 20 {
			_ = l.DeleteAddress("lo", Address{Prefix: passing(k).address})
			_ = l.DeleteRoute("lo", passing(k).route)
			_ = l.DeleteRule(passing(k).rule)
		}
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond << (n % 9)):
		}
	}
}

type entries struct {
	address netip.Prefix
	route   StaticRoute
	rule    Rule
}

func passing(k int) entries {
	return entries{
		address: netip.MustParsePrefix(fmt.Sprintf("fd02::%x/128", k+1)),
		route:   StaticRoute{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:%x::/64", k)), Table: 77},
		rule:    Rule{Priority: uint32(100 + k), Table: 77},
	}
}

// When events were lost, the interfaces are read again in the namespace in which the
// routes are watched, whatever thread does that.
func TestLostEventsAreMadeUpForAtHome(t *testing.T) {
	netnstest.Isolate(t)
	w, err := WatchRoutes()
	must(t, err)
	defer w.Close()
	r := w.(*routes)
	newTUN(t, "wglate")
	asynctest.Eventually(t, "the interface is known", func() bool { return r.zone("wglate") != 0 })
	done := make(chan struct{})
	go func() { // on a thread that is not in the namespace
		defer close(done)
		r.handle(received{overrun: true})
	}()
	<-done
	if r.zone("wglate") == 0 {
		t.Error("the interface is no longer known")
	}
}
