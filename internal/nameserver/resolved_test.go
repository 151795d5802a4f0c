//go:build linux

package nameserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"wgd/internal/sys/resolved"
)

// fakeResolved keeps what is set for each link.
type fakeResolved struct {
	mu              sync.Mutex
	absent, refuses error
	links           map[int]resolved.Link
	calls           int
	deaf            int // how many more calls of Set have no effect
	started         chan bool
	watchers        atomic.Int32
	handled         atomic.Int32 // how often started was called
}

func (f *fakeResolved) Answers(context.Context) error { return f.absent }

func (f *fakeResolved) Set(_ context.Context, l resolved.Link) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if err := errors.Join(f.absent, f.refuses); err != nil {
		return err
	}
	if f.deaf > 0 {
		f.deaf--
		return nil
	}
	if f.links == nil {
		f.links = map[int]resolved.Link{}
	}
	f.links[l.Index] = l
	return nil
}

func (f *fakeResolved) Revert(_ context.Context, index int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	delete(f.links, index)
	return f.absent
}

func (f *fakeResolved) HasServers(_ context.Context, index int) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.links[index].Servers) > 0, nil
}

// Watch reports that it runs, and then each time when started has a value.
func (f *fakeResolved) Watch(ctx context.Context, started func()) {
	started()
	f.handled.Add(1)
	f.watchers.Add(1)
	defer f.watchers.Add(-1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.started:
			started()
			f.handled.Add(1)
		}
	}
}

const stub = "nameserver 127.0.0.53\noptions edns0\n"

// newResolved is a computer whose resolv.conf leads to a systemd-resolved that answers.
func newResolved(t *testing.T) (*Settings, *fakeResolved) {
	t.Helper()
	s, fake := newSettings(t, "file"), &fakeResolved{started: make(chan bool)}
	s.resolved = fake
	must(t, os.WriteFile(s.resolvConf, []byte(stub), 0o644))
	return s, fake
}

// systemd-resolved gets the name servers with the domains, and the domain ~. for all other
// names, unless there are domains to which the servers are limited. The file and
// resolvconf are left alone.
func TestResolved(t *testing.T) {
	s, fake := newResolved(t)
	resolvconf(t, s, "exit 1")
	before := state(t, s)
	for _, c := range []struct {
		route []string
		want  string
	}{
		{nil, "[{corp.example false} {. true}] true"},
		{[]string{"lab.example"}, "[{corp.example false} {lab.example true}] false"},
		{[]string{"lab.example", "."}, "[{corp.example false} {lab.example true} {. true}] true"},
	} {
		d := dns("10.2.0.1")
		d.Route = c.route
		must(t, s.set("wg0", d))
		if l := fake.links[7]; fmt.Sprint(l.Servers, " ", l.Domains, " ", l.DefaultRoute) != "[10.2.0.1] "+c.want {
			t.Errorf("%v: got %v, want %s", c.route, l, c.want)
		}
	}
	must(t, s.set("wg1", dns("10.3.0.1")), s.Unset("wg0"), s.Unset("wg0"))
	if len(fake.links) != 1 || fake.links[8].Index != 8 {
		t.Errorf("wg1 is to stay: %v", fake.links)
	}
	s.index = func(string) (int, error) { return 0, os.ErrNotExist } // the interface is gone
	calls := fake.calls
	must(t, s.Unset("wg1"))
	if fake.calls != calls {
		t.Error("systemd-resolved is asked about an interface that is gone")
	}
	if after := state(t, s); before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// systemd-resolved is in charge if resolv.conf leads there, by a link or by its address,
// or if there is none and libc asks it; and if it answers.
func TestResolvedInCharge(t *testing.T) {
	for _, c := range []struct {
		text, link, nsswitch string // "": there is none
		absent               error
		want                 error
	}{
		{text: stub},
		{text: "# a\nnameserver 127.0.0.54\n"},
		{text: "nameserver 192.0.2.53\n# nameserver 127.0.0.53\n", want: ErrElsewhere},
		{text: "nameserver 127.0.0.1\n", want: ErrElsewhere},
		{text: stub, absent: resolved.ErrNoBus, want: resolved.ErrNoBus},
		{text: stub, absent: resolved.ErrNotRunning, want: resolved.ErrNotRunning},
		{link: "/run/systemd/resolve/stub-resolv.conf"},
		{link: "../../../../../../run/systemd/resolve/resolv.conf"},
		{link: "/run/resolvconf/resolv.conf", want: ErrElsewhere},
		{want: ErrElsewhere},
		{nsswitch: "passwd: files resolve\nhosts: files dns\n", want: ErrElsewhere},
		{nsswitch: "hosts:\tfiles resolve [!UNAVAIL=return] dns\n"},
		{text: "nameserver 192.0.2.53\n", nsswitch: "hosts: resolve\n", want: ErrElsewhere},
	} {
		s := newSettings(t, "none")
		s.resolved = &fakeResolved{absent: c.absent}
		must(t, os.MkdirAll(s.dir, 0o700))
		if c.text != "" {
			must(t, os.WriteFile(s.resolvConf, []byte(c.text), 0o644))
		}
		if c.link != "" {
			must(t, os.Symlink(c.link, s.resolvConf))
		}
		if c.nsswitch != "" {
			must(t, os.WriteFile(s.nsswitch, []byte(c.nsswitch), 0o644))
		}
		if err := s.resolvedInCharge(); !errors.Is(err, c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}

// A systemd-resolved that refuses must forget what it has taken, and the file is replaced.
// For domains with ~ there is no other way.
func TestResolvedRefuses(t *testing.T) {
	refused := errors.New("refused")
	for _, split := range []bool{false, true} {
		s, fake := newResolved(t)
		before := state(t, s)
		fake.refuses = refused
		d := dns("10.2.0.1")
		if split {
			d.Route = []string{"lab.example"}
		}
		warning, err := s.Set("wg0", d)
		if warning != nil || split != (errors.Is(err, refused) && errors.Is(err, ErrSplit)) || !split && err != nil {
			t.Errorf("split %v: %v, %v", split, warning, err)
		}
		if fake.calls != 2 || s.holding() == split {
			t.Errorf("split %v: %d calls, the file is replaced: %v", split, fake.calls, s.holding())
		}
		must(t, s.Unset("wg0"))
		if after := state(t, s); before != after {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
}

// Where resolv.conf leads to the list of all name servers, a warning says what to do.
func TestResolvedIsBypassed(t *testing.T) {
	s, fake := newResolved(t)
	must(t, os.Remove(s.resolvConf), os.Symlink(allLinksFile, s.resolvConf))
	warning, err := s.Set("wg0", dns("10.2.0.1"))
	if err != nil || warning == nil || !strings.Contains(warning.Error(), "link it to "+stubFile) || len(fake.links) != 1 {
		t.Errorf("%v, %v, %v", warning, err, fake.links)
	}
}

// Wherever wgd is killed, another process makes systemd-resolved forget the name servers.
func TestResolvedKilled(t *testing.T) {
	for at := 1; ; at++ {
		s, fake := newResolved(t)
		before := state(t, s)
		killedAt(s, at)
		dead := attempt(func() { must(t, s.set("wg0", dns("10.2.0.1")), s.set("wg0", dns("10.2.0.2")), s.Unset("wg0")) })
		s.changing = nil
		must(t, s.Unset("wg0"))
		if after := state(t, s); before != after || len(fake.links) > 0 || exists(s.path("wg0")) {
			t.Errorf("killed at change %d: before:\n%s\nafter:\n%s\n%v", at, before, after, fake.links)
		}
		if !dead {
			if at < 5 {
				t.Errorf("only %d changes", at)
			}
			break
		}
	}
}
