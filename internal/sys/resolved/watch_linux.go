package resolved

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// Watch tries to connect to a bus that has ended after the first of these times, then
	// after twice that, and so on, up to the second.
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// Watch calls started for each systemd-resolved, beginning with the one that is running:
// when it has been started again, or appears on another bus after that was started again.
// It returns when ctx is done. If several are started while started is executed, only the
// last one is reported.
func Watch(ctx context.Context, started func()) {
	for pause := firstPause; ctx.Err() == nil; {
		if watchBus(ctx, started) {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, longPause)
		}
	}
}

// watchBus is Watch until the connection to the bus ends. It reports whether there was one.
func watchBus(ctx context.Context, started func()) (connected bool) {
	conn, err := connect(ctx)
	if err != nil {
		return false
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 1)
	conn.Signal(signals)
	err = conn.AddMatchSignalContext(ctx, dbus.WithMatchSender("org.freedesktop.DBus"),
		dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"),
		dbus.WithMatchArg(0, busName))
	if err != nil {
		return false
	}
	for last := ""; ; {
		owner, err := ownerOf(ctx, conn)
		if err != nil {
			return true
		}
		if owner != "" && owner != last {
			started()
		}
		last = owner
		// Closed when the connection ends. A signal only says that it is time to ask again.
		if _, more := <-signals; !more {
			return true
		}
	}
}
