package control_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
)

// A reporter is a Target that reports who changes it, and when it begins again.
type reporter struct {
	*controltest.Target
	changes chan conf.Event
}

func (r reporter) EventsAfter(ctx context.Context, seq uint64) iter.Seq[conf.Event] {
	return func(yield func(conf.Event) bool) {
		if !yield(conf.Event{Kind: conf.EventsBegin, Seq: seq, Run: "R"}) {
			return
		}
		for {
			select {
			case e := <-r.changes:
				if !yield(e) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (r reporter) LastEvent() uint64 { return 0 }

func (r reporter) ApplyBy(by conf.Caller, c conf.Change) error {
	err := r.Target.Apply(c)
	r.changes <- conf.Event{Seq: 1, Kind: conf.ConfigurationChanged, By: by}
	return err
}

// The client gets the events, and who has changed the configuration is known by the
// socket itself. Both wg show and wg set of wireguard-tools work beside a stream.
func TestEvents(t *testing.T) {
	useTempDir(t)
	target := reporter{controltest.New(conf.Status{Tunables: conf.DefaultTunables()}), make(chan conf.Event, 10)}
	serve(t, "wg0", target)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watcher, changer := dial(t, "wg0"), dial(t, "wg0")
	next, stop := iter.Pull2(watcher.Events(ctx, 7))
	defer stop()
	if e, err, _ := next(); err != nil || e.Kind != conf.EventsBegin || e.Seq != 7 || e.Run != "R" {
		t.Fatalf("the first event: %+v, %v", e, err)
	}
	if err := changer.Apply(conf.Change{ListenPort: ptr(uint16(5))}); err != nil {
		t.Fatal(err)
	}
	e, err, _ := next()
	comm, _ := os.ReadFile("/proc/self/comm")
	want := conf.Caller{PID: os.Getpid(), UID: uint32(os.Getuid()), Command: strings.TrimSpace(string(comm))}
	if err != nil || e.By != want {
		t.Errorf("changed by %+v, %v, want %+v", e.By, err, want)
	}
	requireWg(t)
	mustWg(t, "set", "wg0", "listen-port", "77")
	if text := mustWg(t, "show", "wg0", "listen-port"); text != "77\n" {
		t.Errorf("wg show beside a stream: %q", text)
	}
	if e, err, _ := next(); err != nil || e.By.Command != "wg" || e.By.PID == want.PID || e.By.PID == 0 {
		t.Errorf("changed by %+v, %v, want wg", e.By, err)
	}
	cancel()
	if e, err, ok := next(); ok {
		t.Errorf("after the end of the context: %+v, %v", e, err)
	}
}

// Errors of a stream are sentences.
func TestEventsEndWithTheDaemon(t *testing.T) {
	useTempDir(t)
	server := serve(t, "wg0", controltest.New(conf.Status{}))
	for _, err := range dial(t, "wg0").Events(t.Context(), 0) {
		if fmt.Sprint(err) != "this daemon reports no events" {
			t.Errorf("got %v", err)
		}
	}
	client := dial(t, "wg0")
	server.Close()
	got := 0
	for _, err := range client.Events(t.Context(), 0) {
		if got++; err == nil || !strings.HasPrefix(err.Error(), "wg0: ") {
			t.Errorf("after the daemon's end: %v", err)
		}
	}
	if got != 1 {
		t.Errorf("%d errors, want 1", got)
	}
	var _ control.Watcher = reporter{}
}
