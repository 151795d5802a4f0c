package top

import (
	"fmt"
	"strings"

	"wgd/internal/cli/show"
	"wgd/internal/explain"
	"wgd/internal/live"
)

// termWidth is how wide the terms of the detail are.
const termWidth = 13

// A page is the lines of the detail.
type page struct {
	columns int
	lines   []line
}

// term adds a term and a text of as many lines as it needs.
func (p *page) term(name string, look style, text string) {
	for i, part := range wrap(text, max(20, p.columns-termWidth)) {
		var l line
		if i == 0 {
			l.add(dim, name)
		}
		l.padTo(termWidth)
		l.add(look, part)
		p.lines = append(p.lines, l)
	}
}

// plot adds a term, what it is now, how it was, and a remark.
func (p *page) plot(name, now, bars, remark string) {
	var l line
	l.add(dim, name)
	l.padTo(termWidth)
	l.add(plain, right(now, len("1.23 MB/s"))+" ")
	l.add(cyan, bars)
	l.add(plain, "  "+remark)
	p.lines = append(p.lines, l)
}

func (p *page) space() { p.lines = append(p.lines, nil) }

// detailLines are one peer, with the reasons for its state, scrolled.
func (v *View) detailLines() []line {
	r := v.table.Row(v.onto)
	var title line
	if r == nil {
		title.add(bold, "the peer is gone")
		return v.scrolled([]line{title})
	}
	title.add(bold, "peer "+r.Name+" of "+r.Interface)
	if v.paused {
		title.add(plain, "  ")
		title.add(reverse, "PAUSED")
	}
	e := v.poll.Explained
	if e != nil && e.ID != r.ID {
		e = nil
	}
	p := &page{columns: v.columns, lines: []line{title, nil}}
	p.settings(r, e)
	p.space()
	p.traffic(r)
	p.space()
	p.reasons(r, e)
	return v.scrolled(p.lines)
}

// settings adds what the peer is, and its state. e may be nil.
func (p *page) settings(r *live.Row, e *Explanation) {
	state := string(r.State)
	if e != nil {
		state = e.Text
	}
	p.term("state", styles[r.State], state)
	p.term("public key", plain, r.Key.Base64())
	endpoint := endpointText(r)
	if r.EndpointName != "" {
		endpoint += " (" + r.EndpointName + ")"
	}
	p.term("endpoint", plain, endpoint)
	var prefixes []string
	for _, prefix := range r.AllowedIPs[:min(len(r.AllowedIPs), maxPrefixes)] {
		prefixes = append(prefixes, prefix.String())
	}
	if n := len(r.AllowedIPs) - maxPrefixes; n > 0 {
		prefixes = append(prefixes, fmt.Sprintf("and %d more", n))
	}
	p.term("allowed IPs", plain, strings.Join(prefixes, ", "))
}

// traffic adds plots of the rates and of the age of the handshake.
func (p *page) traffic(r *live.Row) {
	bars := max(0, min(live.History, p.columns-termWidth-len("1.23 MB/s ")-len("  1.23 MB in all")))
	rx, tx := rateValues(r.Samples(bars))
	p.plot("received", show.Bytes(uint64(r.RxRate))+"/s", plot(rx, fullRate, bars), show.Bytes(r.Rx)+" in all")
	p.plot("sent", show.Bytes(uint64(r.TxRate))+"/s", plot(tx, fullRate, bars), show.Bytes(r.Tx)+" in all")
	p.plot("handshake", age(r.At, r.Handshake), agePlot(r, bars), "age, up to 3m")
}

// reasons adds the reasons, once they are known.
func (p *page) reasons(r *live.Row, e *Explanation) {
	if e == nil {
		p.term("", dim, "waiting for the reasons")
		return
	}
	for _, reason := range e.Reasons {
		p.term("cause", plain, reason.Text)
		p.term("what to do", bold, reason.Remedy)
		p.space()
	}
	if len(e.Reasons) == 0 && r.State != explain.Down {
		p.term("", green, "nothing is known to be wrong")
	}
}

// maxPrefixes is how many allowed IPs are shown.
const maxPrefixes = 100

// scrolled returns the part of the lines that is visible, and the line of help.
func (v *View) scrolled(lines []line) []line {
	height := max(1, v.rows-1)
	v.scroll = max(0, min(v.scroll, len(lines)-height))
	lines = lines[v.scroll:]
	more := len(lines) > height
	for len(lines) < height {
		lines = append(lines, nil)
	}
	var l line
	l.add(dim, "Enter back  space pause  q quit")
	if more || v.scroll > 0 {
		l.add(dim, "  Up Down scroll")
	}
	return append(lines[:height:height], l)
}
