package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// results are the rows that have been measured.
type results struct {
	lines   []line
	notes   []string
	rival   string
	against bool // compared with a program of -against: there are no targets
	took    time.Duration
}

// A line is one row with its samples.
type line struct {
	ID       string    `json:"row"`
	Title    string    `json:"title"`
	Unit     string    `json:"unit"`
	Ours     []float64 `json:"wgd"`
	Theirs   []float64 `json:"rival"`
	Baseline string    `json:"baseline"` // what "rival" has the figures of
	Ratio    summary   `json:"ratio"`    // of the ratios of each round
	Percent  bool      `json:"percent,omitempty"`
	Others   []float64 `json:"other_programs"`
	Target   string    `json:"target,omitempty"`
	OK       *bool     `json:"ok,omitempty"`
}

type summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func newResults(o options) *results {
	return &results{lines: []line{}, rival: o.rival(), against: o.against != ""}
}

// add adds a row, from rounds that have the figures of both of its sides.
func (r *results) add(row row, rounds []round) {
	l := line{ID: row.id, Title: row.title, Unit: row.unit, Percent: row.percent, Baseline: sideNames[row.baseline]}
	if row.baseline == rival {
		l.Baseline = r.rival
	}
	var ratios []float64
	for _, x := range rounds {
		ours, theirs := x.figures[row.side][row.figure], x.figures[row.baseline][row.figure]
		l.Ours, l.Theirs = append(l.Ours, ours), append(l.Theirs, theirs)
		ratios = append(ratios, ours/theirs)
		l.Others = append(l.Others, x.others)
	}
	l.Ratio = summarize(ratios)
	if row.target != nil && !r.against {
		ok := row.target.met(summarize(l.Ours).Median, l.Ratio.Median)
		l.Target, l.OK = row.target.text(row.percent, row.unit), &ok
	}
	r.lines = append(r.lines, l)
	if row.figure == 0 {
		r.remark(row, rounds)
	}
}

// nearly is the share of a rate, from 0 to 1, that counts as all of it.
const nearly = 0.97

// remark adds a note for each side whose load did not reach the rate that it was to
// have, or was the limit of what was measured.
func (r *results) remark(row row, rounds []round) {
	for s, name := range map[side]string{row.side: "wgd", row.baseline: r.rival} {
		median := func(figure int) float64 {
			var list []float64
			for _, x := range rounds {
				list = append(list, x.figures[s][figure])
			}
			return summarize(list).Median
		}
		if want := row.from.wantRate; want > 0 && median(1) < nearly*want {
			r.notes = append(r.notes, fmt.Sprintf("%s: with %s the load reached %s %s, not %g.", row.title, name, short(median(1)), row.from.rateUnit, want))
		}
		if row.from.offers && median(0) > nearly*median(2) {
			r.notes = append(r.notes, fmt.Sprintf("%s: with %s nearly all arrived that the load sent, so the load is the limit.", row.title, name))
		}
	}
	slices.Sort(r.notes)
}

// summarize returns the median and the range of at least one sample.
func summarize(v []float64) summary {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return summary{(s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1]}
}

// others returns the median of the share of the machine that other programs used.
func (r *results) others() float64 {
	var all []float64
	for _, l := range r.lines {
		all = append(all, l.Others...)
	}
	if len(all) == 0 {
		return 0
	}
	return summarize(all).Median
}

// runs returns how many rounds the rows have, without those that need only one. If
// the time was up, some have fewer than others.
func (r *results) runs() (minRounds, maxRounds int) {
	for _, l := range r.lines {
		n := len(l.Ours)
		maxRounds = max(maxRounds, n)
		if n > 1 && (minRounds == 0 || n < minRounds) {
			minRounds = n
		}
	}
	if minRounds == 0 {
		minRounds = maxRounds
	}
	return minRounds, maxRounds
}

// missed reports whether any target is missed.
func (r *results) missed() bool {
	return slices.ContainsFunc(r.lines, func(l line) bool { return l.OK != nil && !*l.OK })
}

func (r *results) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r.lines)
}
