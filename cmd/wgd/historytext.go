package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"wgd/internal/cli/show"
	"wgd/internal/explain"
	"wgd/internal/history"
)

// A historyLayout says how a history is printed.
type historyLayout struct {
	columns  int  // of the terminal; 0: it is none
	colour   bool // connections have a colour
	utf8     bool
	location *time.Location
	// cellWidth is how much time a character of the plot stands for.
	cellWidth time.Duration
}

const (
	// historyColumns is the width without a terminal.
	historyColumns = 80
	// maxNameColumns is the width at which names are cut.
	maxNameColumns = 16
	// maxCells is the width of the plot on a wide terminal.
	maxCells = 96
	// tableColumns is the width of the other columns of the table.
	tableColumns = maxNameColumns + 2 + connectedColumns + 2 + timesColumns + 2 + seenColumns + 2

	connectedColumns = len("CONNECTED")
	timesColumns     = len("TIMES")
	seenColumns      = len("119 seconds ago")
)

// cells returns the width of the plot.
func (l *historyLayout) cells() int {
	columns := l.columns
	if columns == 0 {
		columns = historyColumns
	}
	return min(max(columns-tableColumns, 8), maxCells)
}

// The escape sequences of a connection, of what is unknown, and of the end.
const (
	greenText = "\x1b[32m"
	dimText   = "\x1b[2m"
	plainText = "\x1b[0m"
)

// table writes a line about the range, and one for each peer.
func (l *historyLayout) table(w *bufio.Writer, name string, list []*history.Record, r historyRange, now time.Time) {
	noun := "peers"
	if len(list) == 1 {
		noun = "peer"
	}
	fmt.Fprintf(w, "%s from %s to %s; %d %s\n", name, l.time(r.since), l.time(r.until), len(list), noun)
	if len(list) == 0 {
		return
	}
	width := len("PEER")
	for _, p := range list {
		width = max(width, min(utf8.RuneCountInString(p.Name), maxNameColumns))
	}
	fmt.Fprintf(w, "%-*s  %*s  %s  %-*s  WHEN\n", width, "PEER", connectedColumns, "CONNECTED", "TIMES", seenColumns, "LAST SEEN")
	for _, p := range list {
		fmt.Fprintf(w, "%-*s  %*s  %*d  %-*s  %s\n", width, show.Cut(p.Name, width), connectedColumns, history.Lasted(p.Connected),
			timesColumns, p.Connections, seenColumns, seen(p, now), l.plot(p))
	}
}

// seen says when a peer was last seen.
func seen(p *history.Record, now time.Time) string {
	switch {
	case p.AtEnd == history.Connected:
		return "connected"
	case p.LastSeen.IsZero():
		return "never"
	}
	return explain.Ago(now.Sub(p.LastSeen))
}

// plot returns the cells of a peer as characters.
func (l *historyLayout) plot(p *history.Record) string {
	full, part, none := "█", "▄", "·"
	if !l.utf8 {
		full, part, none = "#", "+", "."
	}
	width := l.cellWidth
	var b strings.Builder
	colour := ""
	for _, cell := range p.Cells {
		text, wanted := none, ""
		switch {
		case cell.Connected >= width*95/100:
			text, wanted = full, greenText
		case cell.Connected > 0:
			text, wanted = part, greenText
		case cell.Unknown > width/2:
			text, wanted = "?", dimText
		}
		if l.colour && wanted != colour {
			b.WriteString(plainText + wanted)
			colour = wanted
		}
		b.WriteString(text)
	}
	if colour != "" {
		b.WriteString(plainText)
	}
	return b.String()
}

// spans writes a line for each span of a peer, and one about all.
func (l *historyLayout) spans(w *bufio.Writer, p *history.Record, r historyRange, now time.Time) {
	const form = "%-19s  %-14s  %7s  %-9s  %s"
	if len(p.Spans) > 0 {
		fmt.Fprintf(w, form+"\n", "BEGIN", "END", "LASTED", "ENDED", "ENDPOINT")
	}
	for i := range p.Spans {
		s := &p.Spans[i]
		end := s.To.In(l.location)
		layout := "15:04:05"
		if end.Format(time.DateOnly) != s.From.In(l.location).Format(time.DateOnly) {
			layout = "01-02 15:04:05"
		}
		endText, ended, what := end.Format(layout), string(s.End), endpoints(s.Endpoints)
		if s.End == history.Open {
			endText, ended = "", "not yet"
		}
		if s.State == history.Unknown {
			ended, what = "unknown", ""
		}
		line := strings.TrimRight(fmt.Sprintf(form, l.time(s.From), endText, history.Lasted(s.Duration()), ended, what), " ")
		if l.columns > 0 {
			line = show.Cut(line, l.columns)
		}
		switch {
		case l.colour && s.State == history.Unknown:
			line = dimText + line + plainText
		case l.colour && s.End == history.Open:
			line = greenText + line + plainText
		}
		w.WriteString(line + "\n")
	}
	times := "times"
	if p.Connections == 1 {
		times = "time"
	}
	total := r.until.Sub(r.since)
	fmt.Fprintf(w, "%s was connected %d %s, for %s of %s (%.0f %%)", p.Name, p.Connections, times, history.Lasted(p.Connected), history.Lasted(total), 100*p.Connected.Seconds()/total.Seconds())
	if p.Unknown > 0 {
		fmt.Fprintf(w, "; %s are unknown", history.Lasted(p.Unknown))
	}
	switch text := seen(p, now); {
	case p.AtEnd == history.Connected:
		fmt.Fprintln(w, "; it is connected")
	default:
		fmt.Fprintln(w, "; last seen: "+text)
	}
}

func endpoints(list []netip.AddrPort) string {
	if len(list) == 0 {
		return "(none)"
	}
	var words []string
	for _, a := range list {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// time returns a time to the second.
func (l *historyLayout) time(t time.Time) string {
	return t.In(l.location).Format("2006-01-02 15:04:05")
}
