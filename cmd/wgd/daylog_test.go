package main

import (
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
)

// keptByDaemon is how many events a daemon keeps.
const keptByDaemon = 1024

// A dayDaemon is a run of the daemon, as readers of its events see it.
type dayDaemon struct {
	run   string
	kept  []conf.Event    // the latest
	when  []time.Duration // of each of these, since the day began
	last  uint64          // the number of the latest
	ended bool
	up    bool // it answers
}

// emit adds an event.
func (d *dayDaemon) emit(at time.Duration, now clock.Now, e conf.Event) {
	d.last++
	e.Seq, e.Time, e.SinceBoot = d.last, now.Wall.UTC(), time.Duration(now.Mono)
	if d.kept, d.when = append(d.kept, e), append(d.when, at); len(d.kept) > keptByDaemon {
		d.kept, d.when = d.kept[1:], d.when[1:]
	}
}

// A dayLine is a line that was written to the log.
type dayLine struct {
	at      time.Duration // when the event happened
	run     string
	seq     uint64
	kind    conf.EventKind
	damaged bool
}

// isMark reports whether it is about the log.
func (l *dayLine) isMark() bool {
	switch l.kind {
	case conf.EventsBegin, conf.EventsEnd, conf.EventsMissed, conf.WatchStarted:
		return true
	}
	return false
}

// A dayWatch is a wgd watch --log: it follows the daemons as type watching does, in virtual
// time, and writes with the same code.
type dayWatch struct {
	day     *day
	path    string
	log     *eventLog  // nil: it does not run
	daemon  *dayDaemon // from which it reads; nil: from none
	at      position
	blocked bool // it cannot write
	lines   []dayLine
}

// start starts it.
func (w *dayWatch) start() {
	log, err := openEventLog(w.path, w.day.t.Errorf)
	if err != nil {
		w.day.t.Fatal(err)
	}
	log.limit = dayLogLimit
	w.log, w.daemon = log, nil
	w.at, _ = log.last(dayName)
	w.put(w.day.net.Now(), conf.Event{Seq: w.at.seq, Time: w.day.wall(), Kind: conf.WatchStarted})
	w.look()
}

// kill ends it, in the middle of a line if torn is set.
func (w *dayWatch) kill(torn bool) {
	if torn {
		if _, err := w.log.file.WriteAt([]byte(`{"interface":"wg0","run":"`), w.log.size); err != nil {
			w.day.t.Fatal(err)
		}
	}
	w.log.close()
	w.log = nil
}

// look connects, if there is a daemon, and reads what there is.
func (w *dayWatch) look() {
	if w.log == nil || w.blocked {
		return
	}
	if w.daemon != nil && w.daemon.ended {
		w.read()
		w.put(w.day.net.Now(), conf.Event{Seq: w.at.seq, Time: w.day.wall(), Kind: conf.EventsEnd})
		w.daemon = nil
		return // and pause
	}
	if w.daemon == nil {
		d := w.day.daemon
		if !d.up {
			return
		}
		from := w.at.seq
		if from > d.last { // of an earlier run
			from = 0
		}
		if w.at.run != "" && w.at.run != d.run && from != 0 {
			w.at = position{run: d.run}
			return
		}
		w.daemon, w.at = d, position{d.run, from}
		w.put(w.day.net.Now(), conf.Event{Seq: from, Time: w.day.wall(), Kind: conf.EventsBegin, Run: d.run})
	}
	w.read()
}

// read reads the events that the daemon keeps.
func (w *dayWatch) read() {
	d := w.daemon
	for w.at.seq < d.last {
		oldest := d.last - uint64(len(d.kept)) + 1
		if w.at.seq+1 < oldest {
			now := w.day.gateway.Time()
			w.put(w.day.net.Now(), conf.Event{
				Seq: oldest - 1, Time: now.Wall, SinceBoot: time.Duration(now.Mono), Kind: conf.EventsMissed, Missed: oldest - 1 - w.at.seq,
			})
			w.at.seq = oldest - 1
			continue
		}
		i := w.at.seq + 1 - oldest
		w.at.seq++
		w.put(d.when[i], d.kept[i])
	}
}

func (w *dayWatch) put(at time.Duration, e conf.Event) {
	if err := w.log.put(w.day.t.Context(), dayName, w.at.run, &e); err != nil {
		w.day.t.Fatal(err)
	}
	w.lines = append(w.lines, dayLine{at: at, run: w.at.run, seq: e.Seq, kind: e.Kind})
}

// A missingTime is one of which the log does not say everything. Until until, a peer may have
// a session of which nothing was seen.
type missingTime struct{ from, until time.Duration }

// missing returns these times: those between two lines that do not follow each other.
func (w *dayWatch) missing() (list []missingTime) {
	var (
		run          string
		seq          uint64
		last         time.Duration
		ended, alone bool
	)
	add := func(to time.Duration, sessions bool) {
		if sessions {
			to += expiry
		}
		list = append(list, missingTime{last, to})
	}
	for i := range w.lines {
		switch l := &w.lines[i]; {
		case l.damaged:
		case l.kind == conf.WatchStarted:
			alone = true
		case l.kind == conf.EventsEnd:
			if l.seq > seq {
				add(l.at, false)
			}
			ended, seq, last = true, l.seq, l.at
		case l.isMark():
		default:
			if l.run != run {
				if !ended || alone || l.seq != 1 {
					add(l.at, l.seq != 1)
				}
			} else if l.seq != seq+1 {
				add(l.at, true)
			}
			run, seq, last, ended, alone = l.run, l.seq, l.at, false, false
		}
	}
	return list
}

// isMissing reports whether a time is in one of these.
func isMissing(list []missingTime, at time.Duration) bool {
	return slices.ContainsFunc(list, func(m missingTime) bool { return at > m.from-time.Second && at < m.until+time.Second })
}
