package main

import (
	"context"
	"crypto/rand"
	"iter"
	"time"

	"wgd/conf"
	"wgd/wg"
)

// thisRun identifies this run of the daemon, so that a reader of events notices that
// numbers begin again.
var thisRun = rand.Text()[:12]

// EventsAfter returns the interface's events, as control.Watcher wants them.
func (t target) EventsAfter(ctx context.Context, seq uint64) iter.Seq[conf.Event] {
	return func(yield func(conf.Event) bool) {
		switch last := t.Interface.LastEvent(); {
		case seq == conf.FromNow:
			seq = last
		case seq > last: // of an earlier run
			seq = 0
		}
		if !yield(conf.Event{Kind: conf.EventsBegin, Seq: seq, Time: time.Now().Round(0), Run: thisRun}) {
			return
		}
		for e := range t.Interface.EventsAfter(ctx, seq) {
			if !yield(eventValue(&e)) {
				return
			}
		}
	}
}

// eventValue returns an event as a value of the control socket.
func eventValue(e *wg.Event) conf.Event {
	return conf.Event{
		Seq: e.Seq, Time: e.Time.Round(0), SinceBoot: e.SinceBoot, Kind: conf.EventKind(e.Kind.String()),
		Peer: e.Peer, Name: e.Name, Endpoint: e.Endpoint, Initiator: e.Initiator, Renewed: e.Renewed,
		After: e.After, Stamp: e.Stamp, RxBytes: e.RxBytes, TxBytes: e.TxBytes, Count: e.Count, Cause: e.Cause, Reason: e.Reason, Missed: e.Missed, By: e.By,
	}
}
