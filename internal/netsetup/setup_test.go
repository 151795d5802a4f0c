package netsetup

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/nameserver"
	"wgd/internal/sys/link"
	"wgd/internal/sys/nft"
)

// fakeSystem has a set of things. It fails or ends the process at its call number at.
type fakeSystem struct {
	things    map[string]bool
	validMark bool
	marks     bool // whether something else depends on marks
	calls     int
	at        int
	how       ending
}

type ending int

const (
	fails         ending = iota
	killedBefore         // before the call has an effect
	killedAfter          // after it
	lacksFirewall        // the kernel has no nftables
)

var errRefused = errors.New("refused")

type killed struct{}

// call has an effect, unless it is the one that must fail.
func (f *fakeSystem) call(effect func()) error {
	f.calls++
	if f.calls != f.at {
		effect()
		return nil
	}
	switch f.how {
	case killedBefore:
		panic(killed{})
	case killedAfter:
		effect()
		panic(killed{})
	case lacksFirewall:
		return nft.ErrUnsupported
	}
	return errRefused
}

// add adds a thing that is not there yet.
func (f *fakeSystem) add(format string, args ...any) error {
	thing := fmt.Sprintf(format, args...)
	if f.things[thing] && !strings.HasPrefix(thing, "dns ") {
		return fmt.Errorf("%s: %w", thing, link.ErrExists)
	}
	return f.call(func() { f.things[thing] = true })
}

func (f *fakeSystem) Create(name string) (int, error) {
	if err := f.call(func() { f.things["link "+name] = true }); err != nil {
		return 0, err
	}
	return 7, nil
}

// Delete takes with the interface what belongs to it, as the kernel does.
func (f *fakeSystem) Delete(name string, index int) error {
	return f.call(func() {
		if index == 7 || index == 0 {
			maps.DeleteFunc(f.things, func(thing string, _ bool) bool { return strings.HasPrefix(thing, "link "+name) })
		}
	})
}

func (f *fakeSystem) SetMark(name string, mark uint32) error {
	return f.set("link "+name+" mark ", mark)
}
func (f *fakeSystem) Configure(name string, change conf.Change) error {
	return f.set("link "+name+" port ", *change.ListenPort)
}
func (f *fakeSystem) AddPlainAddress(name string, a netip.Prefix) error {
	return f.add("link %s address %s", name, a)
}
func (f *fakeSystem) DeletePlainAddress(name string, a netip.Prefix) error {
	return f.remove(link.ErrNoAddress, "link %s address %s", name, a)
}
func (f *fakeSystem) SetMTU(name string, mtu int) error { return f.set("link "+name+" mtu ", mtu) }
func (f *fakeSystem) DeleteRoute(name string, r link.StaticRoute) error {
	return f.remove(link.ErrNoRoute, "link %s route %v", name, r)
}

// set sets one value of a kind in place of another.
func (f *fakeSystem) set(kind string, value any) error {
	return f.call(func() {
		maps.DeleteFunc(f.things, func(thing string, _ bool) bool { return strings.HasPrefix(thing, kind) })
		f.things[kind+fmt.Sprint(value)] = true
	})
}

// remove removes a thing; the error is absent if it is not there.
func (f *fakeSystem) remove(absent error, format string, args ...any) error {
	thing := fmt.Sprintf(format, args...)
	if !f.things[thing] {
		return absent
	}
	return f.call(func() { delete(f.things, thing) })
}
func (f *fakeSystem) BringUp(name string) error { return f.add("link %s up", name) }
func (f *fakeSystem) AddRoute(name string, r link.StaticRoute) error {
	return f.add("link %s route %v", name, r)
}
func (f *fakeSystem) AddRule(r link.Rule) error { return f.add("rule %v %v", r.IPv6, r) }

func (f *fakeSystem) DeleteRule(r link.Rule) error {
	return f.remove(link.ErrNoRule, "rule %v %v", r.IPv6, r)
}

func (f *fakeSystem) SetDNS(name string, _ *nameserver.DNS) (warning, err error) {
	return nil, f.add("dns %s", name)
}

func (f *fakeSystem) UnsetDNS(name string) error {
	return f.call(func() { delete(f.things, "dns "+name) })
}

// AddGuard replaces a table of that name.
func (f *fakeSystem) AddGuard(g nft.Guard) error {
	return f.set("guard "+g.String()+": ", fmt.Sprint(g.Mark, g.Addresses))
}
func (f *fakeSystem) DeleteGuard(g nft.Guard) error {
	return f.call(func() {
		maps.DeleteFunc(f.things, func(thing string, _ bool) bool { return strings.HasPrefix(thing, "guard "+g.String()+": ") })
	})
}
func (f *fakeSystem) SetValidMark(on bool) error { return f.call(func() { f.validMark = on }) }
func (f *fakeSystem) MarksInUse() (bool, error)  { return f.marks, nil }

func (f *fakeSystem) pristine() bool { return len(f.things) == 0 && !f.validMark }

// steps are those of a file with everything.
func steps(t *testing.T, name string) []Step {
	file := decode(t, "Address = 10.2.0.2/24, fd00::2/64", allPeer+", ::/0, 10.9.0.0/16")
	return append([]Step{{Create: &Created{}}}, Plan(name, file, []Step{{DNS: &nameserver.DNS{}}}, facts(file))...)
}

// attempt does or undoes something, and reports whether the process was killed.
func attempt(f func() error) (err error, dead bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	return f(), false
}

func newSetup(dir string, system System) *Setup {
	return &Setup{Store: Store{dir}, System: system, Record: &Record{Interface: "wg0"}}
}

// again is the Setup of another process, which knows the record only.
func again(t *testing.T, s *Setup) *Setup {
	t.Helper()
	record, err := s.Store.Load("wg0")
	if err != nil || record == nil {
		t.Fatalf("the record: %v, %v", record, err)
	}
	return &Setup{Store: s.Store, System: s.System, Record: record}
}

// Whichever step fails or is the last one before the process is killed: everything can be
// undone, also by another process, and nothing is left, also no record.
func TestUndoAfterAnyStep(t *testing.T) {
	all := steps(t, "wg0")
	for _, how := range []ending{fails, killedBefore, killedAfter} {
		for at := 1; at <= len(all)+1; at++ {
			if how == fails && at <= len(all) && (all[at-1].ValidMark != nil || all[at-1].DNS != nil) {
				continue // a warning only
			}
			system := &fakeSystem{things: map[string]bool{}, at: at, how: how}
			s := newSetup(t.TempDir(), system)
			err, dead := attempt(func() error { return s.Do(steps(t, "wg0")...) })
			system.at = 0
			if complete := at > len(all); complete != (err == nil && !dead) || how == fails && !complete && !errors.Is(err, errRefused) {
				t.Fatalf("%v at step %d: got %v, killed %v", how, at, err, dead)
			}
			if err := again(t, s).Undo(); err != nil || !system.pristine() {
				t.Errorf("%v at step %d: %v, left: %v, src_valid_mark %v", how, at, err, slices.Sorted(maps.Keys(system.things)), system.validMark)
			}
			if record, err := s.Store.Load("wg0"); record != nil || err != nil {
				t.Errorf("%v at step %d: a record is left: %v", how, at, err)
			}
		}
	}
}

// Routes, of which there may be many, are recorded at the same time, before the first one.
func TestRoutesAreRecordedTogether(t *testing.T) {
	system := &fakeSystem{things: map[string]bool{}, at: 1, how: killedBefore}
	s := newSetup(t.TempDir(), system)
	var routes []Step
	for i := range byte(9) {
		routes = append(routes, Step{Route: &link.StaticRoute{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16), Table: link.MainTable}})
	}
	if _, dead := attempt(func() error { return s.Do(routes...) }); !dead {
		t.Fatal("the process was not killed")
	}
	if got := len(again(t, s).Record.Steps); got != len(routes) {
		t.Errorf("%d of %d routes are recorded", got, len(routes))
	}
}

// An interface that another program created, before this one could, is not deleted.
func TestInterfaceOfAnother(t *testing.T) {
	system := &fakeSystem{things: map[string]bool{"link wg0": true}, at: 1}
	s := newSetup(t.TempDir(), system)
	if err := s.Do(steps(t, "wg0")...); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if err := s.Undo(); err != nil || !system.things["link wg0"] {
		t.Errorf("got %v, left %v", err, system.things)
	}
}

// Whatever of undoing fails or is interrupted is undone the next time.
func TestUndoCanBeRepeated(t *testing.T) {
	for _, how := range []ending{fails, killedBefore, killedAfter} {
		for at := 1; ; at++ {
			system := &fakeSystem{things: map[string]bool{}}
			s := newSetup(t.TempDir(), system)
			if err := s.Do(steps(t, "wg0")...); err != nil {
				t.Fatal(err)
			}
			system.calls, system.at, system.how = 0, at, how
			err, dead := attempt(again(t, s).Undo)
			if !dead && err == nil && system.calls >= at {
				if len(system.things) != 1 || !system.things["dns wg0"] {
					t.Errorf("%v at call %d: no error, and left: %v", how, at, system.things)
				}
				continue // the name servers stay, which is a warning only
			}
			if !dead && err == nil {
				if system.calls < 8 {
					t.Fatalf("only %d calls: this test proves little", system.calls)
				}
				break
			}
			system.at = 0
			if err := again(t, s).Undo(); err != nil || !system.pristine() {
				t.Errorf("%v at call %d: %v, left: %v", how, at, err, system.things)
			}
		}
	}
}

// What somebody else has removed meanwhile is no error; an interface that somebody else
// has created in place of ours stays.
func TestUndoWhatIsGone(t *testing.T) {
	system := &fakeSystem{things: map[string]bool{}}
	s := newSetup(t.TempDir(), system)
	if err := s.Do(steps(t, "wg0")...); err != nil {
		t.Fatal(err)
	}
	clear(system.things)
	if err := again(t, s).Undo(); err != nil || !system.pristine() {
		t.Errorf("got %v, left %v", err, system.things)
	}
}

// src_valid_mark stays as long as something needs it, and then becomes what it was before
// the first tunnel.
func TestValidMarkIsShared(t *testing.T) {
	dir := t.TempDir()
	bringUp := func(system *fakeSystem, name string) *Setup {
		s := &Setup{Store: Store{dir}, System: system, Record: &Record{Interface: name}}
		before := s.Store.ValidMarkBefore(name, system.validMark)
		if err := s.Do(Step{ValidMark: &ValidMark{Before: before}}); err != nil || !system.validMark {
			t.Fatalf("%v, src_valid_mark %v", err, system.validMark)
		}
		return s
	}
	for _, c := range []struct{ before, marks, after bool }{{false, false, false}, {true, false, true}, {false, true, true}} {
		for _, firstDown := range []int{0, 1} {
			system := &fakeSystem{things: map[string]bool{}, validMark: c.before, marks: c.marks}
			both := []*Setup{bringUp(system, "wg0"), bringUp(system, "wg1")}
			if err := both[firstDown].Undo(); err != nil || !system.validMark {
				t.Errorf("%+v: after the first: %v, src_valid_mark %v", c, err, system.validMark)
			}
			if err := both[1-firstDown].Undo(); err != nil || system.validMark != c.after {
				t.Errorf("%+v: in the end: %v, src_valid_mark %v", c, err, system.validMark)
			}
		}
	}
}

// Without nftables, or where /proc/sys cannot be written, there is a warning that says
// what is lacking, and the tunnel comes up.
func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		step Step
		how  ending
		want string
	}{
		{Step{Guard: &nft.Guard{Interface: "wg0"}}, lacksFirewall, "load the modules nf_tables"},
		{Step{ValidMark: &ValidMark{}}, fails, "rp_filter"},
		{Step{DNS: &nameserver.DNS{}}, fails, "DNS is not set"},
	} {
		system := &fakeSystem{things: map[string]bool{}, at: 1, how: c.how}
		s := newSetup(t.TempDir(), system)
		var warning error
		s.Warn = func(w error) { warning = w }
		if err := s.Do(c.step); err != nil || warning == nil || !strings.Contains(warning.Error(), c.want) {
			t.Errorf("%v: error %v, warning %v, want one with %q", c.step, err, warning, c.want)
		}
		testNotDone(t, c.step, c.how)
	}
	refused := &fakeSystem{things: map[string]bool{}, at: 1}
	if err := newSetup(t.TempDir(), refused).Do(Step{Guard: &nft.Guard{}}); !errors.Is(err, errRefused) {
		t.Errorf("a firewall that refuses: %v", err)
	}
}

// testNotDone tests that Change tells which of its actions were not done.
func testNotDone(t *testing.T, step Step, how ending) {
	for at, want := range []int{0: 0, 1: 1} {
		s := newSetup(t.TempDir(), &fakeSystem{things: map[string]bool{}, at: at, how: how})
		action := Action{Add: step}
		if err := s.Change([]Action{action}, s.Record); err != nil {
			t.Error(err)
		}
		if len(s.NotDone) != want || want > 0 && s.NotDone[0] != action.String() {
			t.Errorf("%v, call %d fails: not done: %q, want %d", step, at, s.NotDone, want)
		}
	}
}

// Each step is recorded before it is done, in a file that only the owner can read; a
// damaged record is an error that names it.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	s := newSetup(dir, &fakeSystem{things: map[string]bool{}})
	s.Note = func(string) {
		if record, _ := s.Store.Load("wg0"); len(s.Record.Steps) > 0 && len(record.Steps) != len(s.Record.Steps) {
			t.Errorf("%d steps were begun, the record has %d", len(s.Record.Steps), len(record.Steps))
		}
	}
	all := steps(t, "wg0")
	if err := s.Do(all...); err != nil {
		t.Fatal(err)
	}
	got := again(t, s).Record
	if got.Steps[0].Create.Index != 7 || fmt.Sprint(got.Steps) != fmt.Sprint(all) {
		t.Errorf("the record: index %d, %v", got.Steps[0].Create.Index, got.Steps)
	}
	path := filepath.Join(dir, "wg0.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, text := range []string{"", "{", `{"interface":"wg1"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Store.Load("wg0"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, %v", text, r, err)
		}
	}
}

// One process at a time works on an interface.
func TestLock(t *testing.T) {
	store := Store{t.TempDir()}
	release, err := store.Lock("wg0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lock("wg0"); !errors.Is(err, ErrBusy) {
		t.Errorf("a second lock: %v", err)
	}
	if other, err := store.Lock("wg1"); err != nil {
		t.Errorf("another interface: %v", err)
	} else {
		other()
	}
	release()
	if release, err = store.Lock("wg0"); err != nil {
		t.Errorf("after release: %v", err)
	} else {
		release()
	}
}
