package resolved

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

var someLink = Link{
	Index:        1,
	Servers:      []netip.Addr{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("::ffff:10.2.0.2"), netip.MustParseAddr("fe80::1%wg0")},
	Domains:      []Domain{{Name: "corp.example"}, {Name: ".", RouteOnly: true}},
	DefaultRoute: true,
}

var callsOfSet = []string{
	"SetLinkDNS[1 [{2 [10 2 0 1]} {2 [10 2 0 2]} {10 [254 128 0 0 0 0 0 0 0 0 0 0 0 0 0 1]}]]",
	"SetLinkDomains[1 [{corp.example false} {. true}]]",
	"SetLinkDefaultRoute[1 true]",
}

// Set makes three calls, and Revert one. Nothing is left open.
func TestSet(t *testing.T) {
	newBus(t, "")
	f := newFake(t)
	check := asynctest.CheckLeaks(t)
	if err := Answers(t.Context()); err != nil {
		t.Error(err)
	}
	if err := Set(t.Context(), someLink); err != nil {
		t.Error(err)
	}
	if got := f.take(); !slices.Equal(got, callsOfSet) {
		t.Errorf("the calls are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(callsOfSet, "\n"))
	}
	if err := Set(t.Context(), Link{Index: 7}); err != nil {
		t.Error(err)
	}
	if got, want := f.take(), []string{"SetLinkDNS[7 []]", "SetLinkDomains[7 []]", "SetLinkDefaultRoute[7 false]"}; !slices.Equal(got, want) {
		t.Errorf("without servers: the calls are %q, want %q", got, want)
	}
	if err := Revert(t.Context(), 7); err != nil {
		t.Error(err)
	}
	if got, want := f.take(), []string{"RevertLink[7]"}; !slices.Equal(got, want) {
		t.Errorf("the calls are %q, want %q", got, want)
	}
	check()
}

// A systemd-resolved before version 240 has no SetLinkDefaultRoute.
func TestSetWithoutDefaultRoute(t *testing.T) {
	newBus(t, "")
	f := newFake(t, "SetLinkDefaultRoute")
	if err := Set(t.Context(), someLink); err != nil {
		t.Error(err)
	}
	if got := f.take(); !slices.Equal(got, callsOfSet[:2]) {
		t.Errorf("the calls are %q, want %q", got, callsOfSet[:2])
	}
}

// A link that exists is set as soon as systemd-resolved knows it. For one that does not
// exist, Set does not wait, and Revert has nothing to do.
func TestUnknownLink(t *testing.T) {
	newBus(t, "")
	f := newFake(t)
	f.forget(3)
	if err := Set(t.Context(), someLink); err != nil { // of the loopback interface, which always exists
		t.Error(err)
	}
	if got := f.take(); !slices.Equal(got, callsOfSet) {
		t.Errorf("the calls are %q, want %q", got, callsOfSet)
	}
	f.forget(1)
	if err := Set(t.Context(), Link{Index: 1 << 30}); !errors.Is(err, ErrNoLink) {
		t.Errorf("Set returns %v, want ErrNoLink", err)
	}
	f.forget(1)
	if err := Revert(t.Context(), 1<<30); err != nil {
		t.Error(err)
	}
	if got := f.take(); len(got) > 0 {
		t.Errorf("more calls: %q", got)
	}
}

// An error says what failed, and for which link.
func TestErrorsOfSet(t *testing.T) {
	newBus(t, "")
	f := newFake(t)
	for method, want := range map[string]string{"SetLinkDNS": "name servers of link 1", "SetLinkDomains": "domains of link 1",
		"SetLinkDefaultRoute": "default route of link 1"} {
		f.refuse(method, "org.freedesktop.resolve1.LinkBusy", "Link x is managed.")
		err := Set(t.Context(), someLink)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Link x is managed.") {
			t.Errorf("%s fails: Set returns %v, want %q and the reason", method, err, want)
		}
	}
}

// Without a systemd-resolved on the bus, all calls say so.
func TestNotRunning(t *testing.T) {
	newBus(t, "")
	for name, call := range map[string]func() error{
		"Answers": func() error { return Answers(t.Context()) },
		"Set":     func() error { return Set(t.Context(), someLink) },
		"Revert":  func() error { return Revert(t.Context(), 1) },
	} {
		if err := call(); !errors.Is(err, ErrNotRunning) {
			t.Errorf("%s returns %v, want ErrNotRunning", name, err)
		}
	}
}

// Where systemd-resolved is installed, calls wait for it while it is started again, but do
// not start it themselves.
func TestInstalled(t *testing.T) {
	b := newBus(t, "")
	b.canStart()
	check := asynctest.CheckLeaks(t)
	done := make(chan error)
	go func() { done <- Set(t.Context(), someLink) }()
	time.Sleep(100 * time.Millisecond)
	f := newFake(t)
	if err := <-done; err != nil {
		t.Errorf("while it was started: %v", err)
	}
	if got := f.take(); !slices.Equal(got, callsOfSet) {
		t.Errorf("the calls are %q, want %q", got, callsOfSet)
	}
	f.end()
	if err := Answers(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("when it is not started: Answers returns %v, want ErrNotRunning", err)
	}
	check()
	b.mustNotStart()
}

// It is not started either if it ends between the question whether it runs and the call.
func TestCallStartsNothing(t *testing.T) {
	b := newBus(t, "")
	b.canStart()
	conn, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := call(t.Context(), conn, "RevertLink", int32(1)); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
	b.mustNotStart()
}

// A caller does not wait longer than its context allows.
func TestContext(t *testing.T) {
	newBus(t, "")
	newFake(t)
	check := asynctest.CheckLeaks(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Set(ctx, someLink); !errors.Is(err, context.Canceled) {
		t.Errorf("Set returns %v, want context.Canceled", err)
	}
	check()
}
