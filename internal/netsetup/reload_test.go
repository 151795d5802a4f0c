package netsetup

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/sys/link"
	"wgd/internal/sys/nft"
	"wgd/internal/wgconf"
)

// reloadable are files that differ in what Plan looks at.
func reloadable(t *testing.T) map[string]*wgconf.File {
	t.Helper()
	const both = "Address = 10.2.0.2/24, fd00:2::2/64\n"
	return map[string]*wgconf.File{
		"plain":             decode(t, both, "AllowedIPs = 10.2.0.0/24, 10.9.0.0/16"),
		"a peer more":       decode(t, both, "AllowedIPs = 10.2.0.0/24, 10.9.0.0/16", "AllowedIPs = 10.10.0.0/16, fd09::/48"),
		"addresses":         decode(t, "Address = 10.3.0.2/24, 10.2.0.2/24, fd00:2::2/48", "AllowedIPs = 10.2.0.0/24, 10.9.0.0/16"),
		"the address gone":  decode(t, "Address = 10.4.0.2/32", "AllowedIPs = 10.2.0.0/24"),
		"MTU":               decode(t, both+"MTU = 1300", "AllowedIPs = 10.2.0.0/24"),
		"small MTU":         decode(t, both+"MTU = 1000", "AllowedIPs = 10.2.0.0/24, fd09::/48"),
		"default":           decode(t, both, allPeer+", ::/0"),
		"default of IPv4":   decode(t, both, allPeer),
		"FwMark":            decode(t, both+"FwMark = 0x77", allPeer+", ::/0"),
		"another FwMark":    decode(t, both+"FwMark = 0x78", allPeer+", ::/0"),
		"FwMark, no route":  decode(t, both+"FwMark = 0x77", "AllowedIPs = 10.2.0.0/24"),
		"Table":             decode(t, both+"Table = 99", allPeer+", ::/0"),
		"Table off":         decode(t, both+"Table = off", allPeer+", ::/0"),
		"firewall, address": decode(t, both+"Address = 10.5.0.2/32", allPeer+", ::/0"),
	}
}

// bringUp brings up a file in a fakeSystem, and returns what is in it.
func bringUp(t *testing.T, file *wgconf.File) (*Setup, *fakeSystem) {
	t.Helper()
	system := &fakeSystem{things: map[string]bool{}}
	s := newSetup(t.TempDir(), system)
	if m := file.Interface.FwMark; m != nil {
		system.things[fmt.Sprintf("link wg0 mark %d", *m)] = true
	}
	mark := facts(file)
	if err := s.Do(append([]Step{{Create: &Created{}}}, Plan("wg0", file, nil, mark)...)...); err != nil {
		t.Fatal(err)
	}
	return s, system
}

// look is what Kernel.Live would say about a fakeSystem.
func (f *fakeSystem) look(steps []Step) Live {
	live := Live{ValidMark: f.validMark, Guards: map[string]bool{}, Rules: []link.Rule{{Priority: 0, Table: 255}, {IPv6: true, Priority: 0, Table: 255}}}
	for thing := range f.things {
		fmt.Sscanf(thing, "link wg0 mark %d", &live.Mark)
		fmt.Sscanf(thing, "link wg0 mtu %d", &live.MTU)
		if name, ok := strings.CutPrefix(thing, "guard "); ok {
			live.Guards[name[:strings.Index(name, ":")]] = true
		}
	}
	for _, s := range steps {
		switch {
		case s.Address.IsValid() && f.things[fmt.Sprintf("link wg0 address %s", s.Address)]:
			live.Addresses = append(live.Addresses, s.Address)
		case s.Route != nil && f.things[fmt.Sprintf("link wg0 route %v", *s.Route)]:
			live.Routes = append(live.Routes, *s.Route)
		case s.Rule != nil && f.things[fmt.Sprintf("rule %v %v", s.Rule.IPv6, s.Rule)]:
			live.Rules = append(live.Rules, *s.Rule)
		}
	}
	live.Rules = append(live.Rules, link.Rule{Priority: 32766, Table: 254})
	live.Rules = append(live.Rules, link.Rule{IPv6: true, Priority: 32766, Table: 254})
	slices.SortStableFunc(live.Rules, func(a, b link.Rule) int {
		if a.IPv6 != b.IPv6 {
			return map[bool]int{false: -1, true: 1}[a.IPv6]
		}
		return int(a.Priority) - int(b.Priority)
	})
	return live
}

// planReload plans the reload of a file, by another process that knows the record only.
func planReload(t *testing.T, s *Setup, system *fakeSystem, before, file *wgconf.File) (*Setup, []Action, *Record) {
	t.Helper()
	s = again(t, s)
	live := system.look(s.Record.Steps)
	f := facts(file)
	f.Mark = live.Mark
	for _, r := range live.Routes {
		f.Tables[r.Table] = true
		if r.Table == link.MainTable {
			f.Routes = append(f.Routes, r.Prefix)
		}
	}
	for _, a := range live.Addresses {
		f.Routes = append(f.Routes, a.Masked())
	}
	f.ValidMark = live.ValidMark
	f.Priority4, f.Priority6 = 32763, 32763 // before the rules that there are
	var inFile uint32
	if m := before.Interface.FwMark; m != nil {
		inFile = *m
	}
	next, mark := Replan(s.Record, file, nil, f, live, inFile)
	for i := range next { // without rules before, the priority is that of a new interface
		if r := next[i].Rule; r != nil && !slices.ContainsFunc(s.Record.Steps, func(s Step) bool { return s.Rule != nil && s.Rule.IPv6 == r.IPv6 }) {
			r.Priority += 2
		}
	}
	record := *s.Record
	record.Steps, record.Changing = next, false
	return s, Actions(s.Record, next, mark, file.Interface.Network.MTU != 0, live), &record
}

func show(system *fakeSystem) string {
	delete(system.things, "link wg0 mark 0")
	return fmt.Sprint(slices.Sorted(maps.Keys(system.things)), system.validMark)
}

// From any file to any other, the actions make the system what bringing up the other one
// makes it, then there is nothing to do, and down leaves nothing.
func TestReloadIsAFreshUp(t *testing.T) {
	files := reloadable(t)
	for from, before := range files {
		for to, file := range files {
			_, fresh := bringUp(t, file)
			s, system := bringUp(t, before)
			s, actions, next := planReload(t, s, system, before, file)
			if err := s.Change(actions, next); err != nil {
				t.Fatalf("%s to %s: %v", from, to, err)
			}
			if got, want := show(system), show(fresh); got != want {
				t.Errorf("%s to %s: %v\ngot  %s\nwant %s", from, to, actions, got, want)
			}
			if _, actions, _ := planReload(t, s, system, file, file); len(actions) > 0 {
				t.Errorf("%s to %s: a second reload does: %v", from, to, actions)
			}
			if from == to && len(actions) > 0 {
				t.Errorf("%s: a reload of the same file does: %v", from, actions)
			}
			if err := again(t, s).Undo(); err != nil || !system.pristine() {
				t.Errorf("%s to %s: down: %v, left %s", from, to, err, show(system))
			}
		}
	}
}

// Whichever action fails, everything is as before, and the error names it. Whichever is
// the last one before the process is killed, down leaves nothing, and another reload
// completes what the first one began.
func TestReloadFailsAnywhere(t *testing.T) {
	files := reloadable(t)
	for _, pair := range [][2]string{{"plain", "FwMark"}, {"FwMark", "another FwMark"}, {"default", "addresses"}, {"MTU", "Table"}} {
		before, file := files[pair[0]], files[pair[1]]
		_, fresh := bringUp(t, file)
		for _, how := range []ending{fails, killedBefore, killedAfter} {
			for at := 1; ; at++ {
				s, system := bringUp(t, before)
				was := show(system)
				s, actions, next := planReload(t, s, system, before, file)
				system.calls, system.at, system.how = 0, at, how
				err, dead := attempt(func() error { return s.Change(actions, next) })
				system.at = 0
				what := fmt.Sprintf("%v, ending %d at call %d", pair, how, at)
				if !dead && err == nil && system.calls < at {
					break // all were tried
				}
				var failure *ChangeError
				if how == fails && err != nil && (!errors.As(err, &failure) || len(failure.Left) > 0 || show(system) != was) {
					t.Errorf("%s: %v\ngot  %s\nwant %s", what, err, show(system), was)
				}
				if how == fails && err == nil {
					continue // a warning only
				}
				if dead {
					again, actions, next := planReload(t, s, system, before, file)
					if err := again.Change(actions, next); err != nil {
						t.Errorf("%s: %v", what, err)
					}
					if show(system) != show(fresh) {
						t.Errorf("%s: again: %v\ngot  %s\nwant %s", what, actions, show(system), show(fresh))
					}
				}
				if err := again(t, s).Undo(); err != nil || !system.pristine() {
					t.Errorf("%s: down: %v, left %s", what, err, show(system))
				}
			}
		}
	}
}

// What is killed in the middle is undone at once as well.
func TestDownAfterAKilledReload(t *testing.T) {
	files := reloadable(t)
	before, file := files["default"], files["another FwMark"]
	for at := 1; ; at++ {
		s, system := bringUp(t, before)
		s, actions, next := planReload(t, s, system, before, file)
		system.calls, system.at, system.how = 0, at, killedAfter
		_, dead := attempt(func() error { return s.Change(actions, next) })
		system.at = 0
		if err := again(t, s).Undo(); err != nil || !system.pristine() {
			t.Errorf("killed at call %d: %v, left %s", at, err, show(system))
		}
		if !dead {
			break
		}
	}
}

// While the mark changes, the tunnel's own datagrams never go into the tunnel, whichever
// mark they have: before each moment with another mark, the bridges are there.
func TestMarkChangesUnderBridges(t *testing.T) {
	files := reloadable(t)
	s, system := bringUp(t, files["FwMark"])
	s, actions, next := planReload(t, s, system, files["FwMark"], files["another FwMark"])
	bridged := map[string]bool{}
	for _, a := range actions {
		bridge := func(s Step) bool { return s.Rule != nil && s.Rule.Goto == 32766 && s.Rule.Priority < 32764 }
		switch {
		case bridge(a.Add):
			bridged[fmt.Sprint(a.Add.Rule.IPv6, a.Add.Rule.Mark)] = true
		case bridge(a.Remove):
			delete(bridged, fmt.Sprint(a.Remove.Rule.IPv6, a.Remove.Rule.Mark))
		case a.Add.Mark != 0, a.Add.Rule != nil, a.Remove.Rule != nil:
			if len(bridged) != 4 {
				t.Errorf("%v under the bridges %v only", a, bridged)
			}
		}
	}
	if len(bridged) > 0 {
		t.Errorf("left: %v", bridged)
	}
	if err := s.Change(actions, next); err != nil {
		t.Error(err)
	}
}

// A mark or an MTU that a hook has set stays, unless the file has one.
func TestReloadKeepsWhatHooksSet(t *testing.T) {
	files := reloadable(t)
	for name, want := range map[string]bool{"plain": true, "MTU": false, "FwMark, no route": false} {
		file := files[name]
		s, system := bringUp(t, file)
		system.SetMark("wg0", 5)
		system.SetMTU("wg0", 1290)
		was := show(system)
		s, actions, next := planReload(t, s, system, file, file)
		if err := s.Change(actions, next); err != nil || (show(system) == was) != want {
			t.Errorf("%s: %v, %v; now %s", name, err, actions, show(system))
		}
	}
}

// What somebody else has removed is added again.
func TestReloadRepairs(t *testing.T) {
	file := reloadable(t)["default"]
	s, system := bringUp(t, file)
	was := show(system)
	for thing := range system.things {
		if !strings.HasPrefix(thing, "link wg0 mark") && thing != "link wg0 up" && thing != "link wg0" {
			delete(system.things, thing)
		}
	}
	system.things["link wg0 mtu 1420"] = true
	system.validMark = false
	s, actions, next := planReload(t, s, system, file, file)
	if err := s.Change(actions, next); err != nil || show(system) != was || len(actions) < 8 {
		t.Errorf("%v, %v\ngot  %s\nwant %s", err, actions, show(system), was)
	}
}

// If undoing fails as well, the error says what is left, and the record has everything.
func TestReloadThatCannotBeUndone(t *testing.T) {
	s, system := bringUp(t, reloadable(t)["plain"])
	port := func(n uint16) conf.Change { return conf.Change{ListenPort: &n} }
	address := netip.MustParsePrefix("10.77.0.1/32")
	actions := []Action{{Tunnel: &Tunnel{port(1), port(2)}}, {Add: Step{Address: address}}, {Add: Step{Guard: &nft.Guard{Interface: "wg0"}}}}
	system.calls, system.at = 0, 3
	failing := &failsFrom{fakeSystem: system}
	s.System = failing
	err := s.Change(actions, &Record{Interface: "wg0"})
	var failure *ChangeError
	if !errors.As(err, &failure) || len(failure.Left) != 1 || !strings.Contains(err.Error(), "not everything") {
		t.Errorf("got %v", err)
	}
	if !slices.ContainsFunc(again(t, s).Record.Steps, func(s Step) bool { return s.Address == address }) {
		t.Error("the record lacks what is left")
	}
	if !system.things["link wg0 port 2"] {
		t.Errorf("the rest is not undone: %s", show(system))
	}
}

// failsFrom removes no addresses.
type failsFrom struct{ *fakeSystem }

func (f *failsFrom) DeletePlainAddress(string, netip.Prefix) error { return errRefused }
