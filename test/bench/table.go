package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// write writes the table for a person.
func (r *results) write(w io.Writer, s surroundings) {
	fmt.Fprintf(w, "%s.\n\n", s)
	table := [][]string{{"", "", "wgd", r.rival, "ratio (min–max)", "target", ""}}
	for _, l := range r.lines {
		table = append(table, append([]string{l.Title, l.Unit}, l.cells(r.rival)...))
	}
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range table {
		var b strings.Builder
		for i, cell := range cells {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if figure := i == 2 || i == 3; figure {
				b.WriteString(space + cell + "  ")
			} else {
				b.WriteString(cell + space + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(r.remarks(), "\n"))
}

// cells returns the columns of a line after its title and unit: the figures of wgd
// and of the baseline, their ratio, the target and the verdict.
func (l *line) cells(rival string) []string {
	baseline := short(summarize(l.Theirs).Median)
	if l.Baseline != rival {
		baseline = l.Baseline + ": " + baseline
	}
	verdict := ""
	if l.OK != nil {
		verdict = "MISSED"
		if *l.OK {
			verdict = "ok"
		}
	}
	number, sign := short, "×"
	if l.Percent {
		number, sign = func(v float64) string { return fmt.Sprintf("%.1f", 100*v) }, " %"
	}
	ratio := number(l.Ratio.Median) + sign
	if len(l.Ours) > 1 {
		ratio += fmt.Sprintf(" (%s–%s)", number(l.Ratio.Min), number(l.Ratio.Max))
	}
	return []string{short(summarize(l.Ours).Median), baseline, ratio, l.Target, verdict}
}

// remarks returns the sentences below the table.
func (r *results) remarks() []string {
	rounds := "One round"
	switch minRounds, maxRounds := r.runs(); {
	case minRounds < maxRounds:
		rounds = fmt.Sprintf("Medians of %d to %d rounds", minRounds, maxRounds)
	case maxRounds > 1:
		rounds = fmt.Sprintf("Medians of %d rounds", maxRounds)
	}
	return append([]string{fmt.Sprintf("%s in %.0f s; each ratio is of two measurements in the same round. "+
		"Other programs used %.0f %% of the machine.", rounds, r.took.Seconds(), 100*r.others())}, r.notes...)
}

// short formats a figure with three significant digits, and at most three decimals.
func short(v float64) string {
	digits := 2 - int(math.Floor(math.Log10(max(math.Abs(v), 0.01))))
	return fmt.Sprintf("%.*f", min(max(digits, 0), 3), v)
}
