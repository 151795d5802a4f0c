package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want summary
	}{
		{[]float64{3}, summary{3, 3, 3}},
		{[]float64{4, 1, 3, 2}, summary{2.5, 1, 4}},
		{[]float64{9, 1, 5}, summary{5, 1, 9}},
	} {
		if got := summarize(c.in); got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// A figure at its floor is good enough; what is no number never is.
func TestFloors(t *testing.T) {
	least, most, absolute := &floor{least: true, limit: 1.5}, &floor{limit: 0.65}, &floor{absolute: true, limit: 40}
	for _, c := range []struct {
		floor       *floor
		ours, ratio float64
		want        bool
	}{
		{least, 0, 1.5, true}, {least, 9, 1.49, false}, {least, 9, math.NaN(), false},
		{most, 9, 0.65, true}, {most, 0, 0.66, false}, {most, 0, math.NaN(), false},
		{absolute, 40, 9, true}, {absolute, 41, 0.1, false}, {absolute, math.NaN(), 0, false},
	} {
		if got := c.floor.met(c.ours, c.ratio); got != c.want {
			t.Errorf("%v: ours %v, ratio %v: %v", c.floor, c.ours, c.ratio, got)
		}
	}
}

// Every row with a floor is measured without being asked for, every trial has
// the names of its figures, and no name stands for two.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.id] {
			t.Errorf("two rows %s", r.id)
		}
		seen[r.id] = true
		if r.floor != nil && !(options{}).selects(r) {
			t.Errorf("%s has a floor and is left out", r.id)
		}
		if !(options{all: true}).selects(r) || !(options{only: []string{r.id}}).selects(r) || (options{only: []string{"x"}}).selects(r) {
			t.Errorf("%s is selected wrongly", r.id)
		}
	}
}

func TestOptions(t *testing.T) {
	good := options{runs: 1, length: time.Second, only: []string{"tcp", "memory"}}
	if err := good.check(nil); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]options{
		"no runs": {length: time.Second}, "no time": {runs: 1},
		"no row": {runs: 1, length: time.Second, only: []string{"tcp", "nonsense"}},
	} {
		if o.check(nil) == nil {
			t.Error(name, "is accepted")
		}
	}
	if good.check([]string{"tcp"}) == nil {
		t.Error("an argument is accepted")
	}
}

// The table as a person sees it and as a program does, with a floor met and one missed.
func TestTable(t *testing.T) {
	trial := &trial{rows: []row{
		{"tcp", "one stream", "Gbit/s", true, &floor{least: true, limit: 1.5}},
		{"cpu", "its CPU", "s/GB", true, &floor{limit: 0.65}},
		{"ping", "ping", "ms", true, nil},
	}}
	r := &results{rival: "wireguard-go"}
	r.add(trial, options{}, []round{
		{ours: []float64{4, 3, 0.2}, theirs: []float64{2, 4, 0.4}, foreign: 0.02},
		{ours: []float64{3, 2, 0.1}, theirs: []float64{2, 4, 0.5}, foreign: 0.05},
		{ours: []float64{5, 4, 0.3}, theirs: []float64{2, 4, 0.5}, foreign: 0.01},
	})
	var b strings.Builder
	r.write(&b)
	for _, want := range []string{"4.00", "2.00×", "(1.50–2.50)", "≥ 1.5×   ok", "0.750×", "≤ 0.65×  MISS", "0.500×", "2 %"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if !r.missed() {
		t.Error("nothing is missed")
	}
	b.Reset()
	if err := r.writeJSON(&b); err != nil || !json.Valid([]byte(b.String())) || !strings.Contains(b.String(), `"ok": false`) {
		t.Errorf("%v\n%s", err, b.String())
	}
	r = &results{rival: "other"}
	r.add(trial, options{against: "other"}, []round{{ours: []float64{1, 1, 1}, theirs: []float64{1, 1, 1}}})
	if r.missed() {
		t.Error("an older build is held to the floors")
	}
}

// Of more rounds than were asked for, the quietest count.
func TestUndisturbed(t *testing.T) {
	if n := undisturbed([]round{{foreign: 0}, {foreign: busy}, {foreign: busy + 0.01}}); n != 2 {
		t.Error(n)
	}
}

func TestJobsSurviveTheWay(t *testing.T) {
	j := job{Role: "tcp-source", Remote: "fd00::1", Streams: 4, Rate: 2e8, Size: 64}
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var got job
	if err := json.Unmarshal(text, &got); err != nil || got != j {
		t.Errorf("%s: %+v, %v", text, got, err)
	}
	if err := work(`{"Role":"nonsense"}`); err == nil {
		t.Error("a role that does not exist is taken up")
	}
}
