package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"wgd/test/lab"
)

// A figure is one thing that is measured.
type figure struct {
	id, text, unit string
	floor          string // what is asked of it, "" nothing
	met            func(ours, ratio float64) bool
}

var figures = []figure{
	{"tcp", "one TCP stream", "Gbit/s", "at least 1.5 times", func(_, ratio float64) bool { return ratio >= 1.5 }},
	{"cpu", "CPU, both daemons", "s/GB", "at most 0.65 times", func(_, ratio float64) bool { return ratio <= 0.65 }},
	{"pps", "UDP of 64 bytes", "1000/s", "", nil},
	{"cpupp", "CPU a small packet", "µs", "", nil},
	{"ping", "ping, idle", "ms", "", nil},
	{"memory", "10,000 idle peers", "MB", "under 40 MB", func(ours, _ float64) bool { return ours < 40 }},
}

// results has the samples of each figure and daemon, in the order of the runs.
type results struct {
	samples map[string]map[string][]float64
}

func newResults() *results { return &results{map[string]map[string][]float64{}} }

func (r *results) add(id, daemon string, v float64) {
	if r.samples[id] == nil {
		r.samples[id] = map[string][]float64{}
	}
	r.samples[id][daemon] = append(r.samples[id][daemon], v)
}

// row is one figure, summed up.
type row struct {
	Figure       string    `json:"figure"`
	Unit         string    `json:"unit"`
	Ours         []float64 `json:"wgd"`
	Theirs       []float64 `json:"wireguard_go"`
	OursMedian   float64   `json:"wgd_median"`
	TheirsMedian float64   `json:"wireguard_go_median"`
	Ratio        float64   `json:"ratio"` // the median of the ratios run by run
	RatioLeast   float64   `json:"ratio_least"`
	RatioMost    float64   `json:"ratio_most"`
	Floor        string    `json:"floor,omitempty"`
	Met          *bool     `json:"met,omitempty"`
}

func (r *results) rows() []row {
	var list []row
	for _, f := range figures {
		ours, theirs := r.samples[f.id][lab.Ours], r.samples[f.id][lab.Theirs]
		if len(ours) == 0 || len(ours) != len(theirs) {
			continue
		}
		ratios := make([]float64, len(ours))
		for i := range ours {
			ratios[i] = ours[i] / theirs[i]
		}
		x := row{Figure: f.text, Unit: f.unit, Ours: ours, Theirs: theirs,
			OursMedian: median(ours), TheirsMedian: median(theirs),
			Ratio: median(ratios), RatioLeast: slices.Min(ratios), RatioMost: slices.Max(ratios), Floor: f.floor}
		if f.met != nil {
			met := f.met(x.OursMedian, x.Ratio)
			x.Met = &met
		}
		list = append(list, x)
	}
	return list
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

func (r *results) MarshalJSON() ([]byte, error) { return json.Marshal(r.rows()) }

func (r *results) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %8s  %-24s %-24s %-22s %s\n", "", "", "wgd", "wireguard-go", "ratio", "floor")
	for _, x := range r.rows() {
		verdict := x.Floor
		if x.Met != nil && *x.Met {
			verdict += ": met"
		} else if x.Met != nil {
			verdict += ": MISSED"
		}
		fmt.Fprintf(&b, "%-20s %8s  %-24s %-24s %-22s %s\n", x.Figure, x.Unit,
			spread(x.OursMedian, slices.Min(x.Ours), slices.Max(x.Ours)),
			spread(x.TheirsMedian, slices.Min(x.Theirs), slices.Max(x.Theirs)),
			spread(x.Ratio, x.RatioLeast, x.RatioMost), verdict)
	}
	b.WriteString("Each is the median (least to most); the ratio is wgd's figure over wireguard-go's, run by run.\n")
	return b.String()
}

func spread(mid, least, most float64) string {
	return fmt.Sprintf("%.2f (%.2f to %.2f)", mid, least, most)
}
