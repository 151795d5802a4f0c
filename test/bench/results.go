package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// results is the table as far as it is filled in.
type results struct {
	lines []line
	rival string
}

// line is one row with its samples.
type line struct {
	ID      string    `json:"row"`
	Title   string    `json:"title"`
	Unit    string    `json:"unit"`
	Ours    []float64 `json:"wgd"`
	Theirs  []float64 `json:"rival"`
	Ratio   summary   `json:"ratio"` // of the ratios, round by round
	Foreign []float64 `json:"other_programs"`
	Floor   string    `json:"floor,omitempty"`
	OK      *bool     `json:"ok,omitempty"`
}

type summary struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// add fills in the rows of a trial; each of rounds has a figure for every row.
func (r *results) add(t *trial, o options, rounds []round) {
	for i, row := range t.rows {
		if !o.selects(row) {
			continue
		}
		l := line{ID: row.id, Title: row.title, Unit: row.unit}
		var ratios []float64
		for _, x := range rounds {
			l.Ours, l.Theirs = append(l.Ours, x.ours[i]), append(l.Theirs, x.theirs[i])
			ratios = append(ratios, x.ours[i]/x.theirs[i])
			l.Foreign = append(l.Foreign, x.foreign)
		}
		l.Ratio = summarize(ratios)
		if row.floor != nil && o.against == "" {
			ok := row.floor.met(summarize(l.Ours).Median, l.Ratio.Median)
			l.Floor, l.OK = row.floor.String(), &ok
		}
		r.lines = append(r.lines, l)
	}
}

func summarize(v []float64) summary {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return summary{(s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1]}
}

func (f *floor) met(ours, ratio float64) bool {
	v := ratio
	if f.absolute {
		v = ours
	}
	// Nothing can be said of a figure that is not a number, and so it is missed.
	if f.least {
		return v >= f.limit
	}
	return v <= f.limit
}

func (f *floor) String() string {
	sign, unit := "≤", "×"
	if f.least {
		sign = "≥"
	}
	if f.absolute {
		unit = ""
	}
	return fmt.Sprintf("%s %g%s", sign, f.limit, unit)
}

// foreign is the part of the machine that other programs used in most rounds.
func (r *results) foreign() float64 {
	var all []float64
	for _, l := range r.lines {
		all = append(all, l.Foreign...)
	}
	if len(all) == 0 {
		return 0
	}
	return summarize(all).Median
}

// missed reports whether a floor is missed.
func (r *results) missed() bool {
	return slices.ContainsFunc(r.lines, func(l line) bool { return l.OK != nil && !*l.OK })
}

func (r *results) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r.lines)
}

func (r *results) write(w io.Writer) {
	format := "%-28s %-8s %10s %13s   %-22s %-9s%s\n"
	fmt.Fprintf(w, format, "", "", "wgd", r.rival, "ratio (least–most)", "floor", "")
	for _, l := range r.lines {
		verdict := ""
		if l.OK != nil {
			verdict = "MISS"
			if *l.OK {
				verdict = "ok"
			}
		}
		ratio := fmt.Sprintf("%s× (%s–%s)", short(l.Ratio.Median), short(l.Ratio.Least), short(l.Ratio.Most))
		fmt.Fprintf(w, format, l.Title, l.Unit, short(summarize(l.Ours).Median), short(summarize(l.Theirs).Median), ratio, l.Floor, verdict)
	}
	fmt.Fprintf(w, "Medians; the ratio is wgd's figure over %s's, round by round. Other programs used %.0f %% of the machine.\n", r.rival, 100*r.foreign())
}

// short has three digits that count.
func short(v float64) string {
	digits := 2 - int(math.Floor(math.Log10(max(math.Abs(v), 0.01))))
	return fmt.Sprintf("%.*f", min(max(digits, 0), 3), v)
}
