package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/history"
	"wgd/internal/sim"
)

var (
	dayCount = flag.Int("days", 1, "how many simulated days wgd history is compared with")
	daySeed  = flag.Uint64("day-seed", 1, "the seed of the first; 0: a random one")
)

// compareDays compares what wgd history tells from the log of wgd watch with the truth of
// simulated days: it is unknown only where the log does not say it, and never wrong.
func compareDays(t *testing.T, length time.Duration) {
	seed := *daySeed
	if seed == 0 {
		seed = rand.Uint64N(1e9) + 1
	}
	for i := range uint64(*dayCount) {
		t.Logf("seed %d", seed+i)
		compareDay(t, seed+i, length)
		if t.Failed() {
			t.Fatalf("-day-seed %d repeats it", seed+i)
		}
	}
}

const wholeDay = 24 * time.Hour

// compareDay lets a day pass, and compares.
func compareDay(t *testing.T, seed uint64, length time.Duration) {
	d := newDay(t, seed, length)
	d.run()
	d.damage()
	if length == wholeDay {
		d.checkLines()
	}
	got := d.history()
	if d.watch.log != nil {
		d.watch.log.close()
	}
	missing := d.watch.missing()
	for public, truth := range d.truth.of {
		if i := slices.IndexFunc(got.Peers, func(p jsonPeerRecord) bool { return p.PublicKey == public.String() }); i >= 0 {
			d.compare(got.Peers[i].Name, truth, got.Peers[i].Spans, missing)
			continue
		}
		for second, connected := range truth.sessions { // it is not in the log at all
			if connected && !isMissing(missing, moment(second)) {
				t.Errorf("%v: the log says nothing about the peer %v", moment(second), public)
			}
		}
	}
}

// checkLines checks that a whole day has something of everything.
func (d *day) checkLines() {
	for kind, min := range map[conf.EventKind]int{
		conf.HandshakeDone: 1000, conf.HandshakeFailed: 10, conf.SessionEnded: 100, conf.PeerQuiet: 20, conf.PeerBack: 10, conf.EndpointMoved: 20, conf.WentDown: 2,
		conf.EventsEnd: 4, conf.WatchStarted: 5, conf.EventsMissed: 1,
	} {
		n := 0
		for i := range d.watch.lines {
			if d.watch.lines[i].kind == kind {
				n++
			}
		}
		if n < min {
			d.t.Errorf("the log has %d lines of the kind %s, want %d at least", n, kind, min)
		}
	}
}

// history returns what wgd history says.
func (d *day) history() (h jsonHistory) {
	status, out, errs := run("history", dayName, "--log", d.watch.path, "--json",
		"--since", d.shown(0).Format(time.RFC3339Nano), "--until", d.shown(d.length).Format(time.RFC3339Nano))
	if err := json.Unmarshal([]byte(out), &h); err != nil {
		d.t.Fatalf("exit status %d, %v: %s", status, err, errs)
	}
	return h
}

// compare compares what is said about a peer with the truth, in each second. Around its
// end, a state may be a second longer or shorter.
func (d *day) compare(name string, truth *peerTruth, spans []jsonSpan, missing []missingTime) {
	begin := d.shown(0)
	want, also := truth.connected(d.length, false), truth.connected(d.length, true)
	near := func(second int, state bool) bool {
		return slices.Contains(want[second-1:second+2], state) || slices.Contains(also[second-1:second+2], state)
	}
	wrong := 0
	for second := 1; second < len(want)-1; second++ {
		at := moment(second)
		for len(spans) > 0 && spans[0].End.Sub(begin) <= at {
			spans = spans[1:]
		}
		said, ok := stateWords[0], near(second, false)
		if len(spans) > 0 && spans[0].Begin.Sub(begin) <= at {
			if said = spans[0].State; said == stateWords[history.Connected] {
				ok = near(second, true)
			} else {
				ok = isMissing(missing, at) || truth.silentAt(at) && isMissing(missing, at+backWithin)
			}
		}
		if !ok {
			if wrong++; wrong == 1 {
				d.t.Errorf("%v (%v): %s is said to be %s; connected: %v", at, d.shown(at), name, said, want[second])
			}
		}
	}
	if wrong > 1 {
		d.t.Errorf("%s: wrong in %d seconds", name, wrong)
	}
}

// shown returns a time of the day as wgd history shows it: as if the clock had been right
// all the time.
func (d *day) shown(at time.Duration) time.Time { return sim.Epoch.Add(d.gateway.Wall + at) }

// damage cuts lines of the log. What a mark or one of the last lines says cannot be told
// without it.
func (d *day) damage() {
	lines := d.watch.lines
	var cut []int
	for i := 1; i < len(lines)-100; i++ {
		if lines[i].kind == conf.EventsEnd && !lines[i-1].isMark() && d.chance(0.5) {
			cut = append(cut, i-1)
		}
	}
	for range 5 {
		if i := d.random.IntN(len(lines) - 100); !lines[i].isMark() {
			cut = append(cut, i)
		}
	}
	files, err := filepath.Glob(d.watch.path + "*")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, i := range cut {
			text = d.cutLine(text, &lines[i])
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, i := range cut {
		if !lines[i].damaged {
			d.t.Fatalf("the log has no line %+v", lines[i])
		}
	}
}

// cutLine cuts a line in a part of the log, if it is there.
func (d *day) cutLine(text []byte, line *dayLine) []byte {
	start := fmt.Appendf(nil, `{"interface":"%s","run":"%s","seq":%d,`, dayName, line.run, line.seq)
	for at := 0; ; at++ {
		found := bytes.Index(text[at:], start)
		if found < 0 {
			return text
		}
		at += found
		end := at + bytes.IndexByte(text[at:], '\n')
		if bytes.Contains(text[at:end], []byte(`"kind":"`+string(line.kind)+`"`)) {
			line.damaged = true
			return slices.Delete(text, at+d.random.IntN(end-at), end)
		}
	}
}
