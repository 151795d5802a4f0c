package top

import (
	"fmt"
	"time"
	"unicode/utf8"

	"wgd/internal/cli/show"
	"wgd/internal/live"
)

// A column of the list of peers.
type column struct {
	title   string
	sort    live.Sort // the order in which its title is marked
	width   int
	numbers bool // the title is aligned on the right
	cell    func(r *live.Row, width int) line
}

// The widths of columns. Names and endpoints are as wide as those that are visible, within
// these limits.
const (
	minName, maxName         = 10, 40
	minEndpoint, maxEndpoint = 19, 47
	stateWidth               = 10
	bytesWidth               = 7
	ageWidth                 = 5
	minBars, maxBars         = 8, 30
	minAgeBars               = 5
)

// A layout has the columns that fit on the screen, from left to right. There is a space
// between them.
type layout []column

// The places of columns whose width is not fixed.
const (
	nameColumn = iota
	interfaceColumn
	stateColumn
	inColumn
	outColumn
	totalColumn
	trafficColumn
	handshakeColumn
	endpointColumn
	columns
)

// layout chooses the columns.
func (v *View) layout() layout {
	name, endpoint, device := 0, 0, 0
	for _, r := range v.visible() {
		name = max(name, utf8.RuneCountInString(r.Name))
		endpoint = max(endpoint, utf8.RuneCountInString(endpointText(r)))
	}
	for _, i := range v.table.Sums() {
		device = max(device, len(i.Name))
	}
	var all [columns]column
	all[nameColumn] = column{"PEER", live.ByName, minName, false, nameCell}
	all[interfaceColumn] = column{"IFACE", -1, max(device, len("IFACE")), false, text(func(r *live.Row) string { return r.Interface })}
	all[stateColumn] = column{"STATE", live.ByState, stateWidth, false, stateCell}
	all[inColumn] = column{"IN/s", live.ByRxRate, bytesWidth, true, amount(func(r *live.Row) uint64 { return uint64(r.RxRate) })}
	all[outColumn] = column{"OUT/s", live.ByTxRate, bytesWidth, true, amount(func(r *live.Row) uint64 { return uint64(r.TxRate) })}
	all[totalColumn] = column{"TOTAL", live.ByTotal, bytesWidth, true, amount(func(r *live.Row) uint64 { return r.Rx + r.Tx })}
	all[trafficColumn] = column{"TRAFFIC", live.ByRate, minBars, false, trafficCell}
	all[handshakeColumn] = column{"HANDSHAKE", live.ByHandshake, ageWidth + minAgeBars, false, handshakeCell}
	all[endpointColumn] = column{"ENDPOINT", live.ByEndpoint, minEndpoint, false, text(endpointText)}
	if len(v.table.Sums()) < 2 {
		all[interfaceColumn].width = 0
	}
	free := v.columns + 1
	for _, c := range all {
		free -= taken(c)
	}
	for _, i := range []int{totalColumn, trafficColumn, endpointColumn, handshakeColumn, outColumn, inColumn, interfaceColumn} {
		if free < 0 {
			free += taken(all[i])
			all[i].width = 0
		}
	}
	grow(&all[nameColumn], min(name, maxName), &free)
	grow(&all[endpointColumn], min(endpoint, maxEndpoint), &free)
	bars := all[trafficColumn].width + free/2
	grow(&all[trafficColumn], min(bars, maxBars), &free)
	grow(&all[handshakeColumn], ageWidth+maxBars/2, &free)
	var out layout
	for _, c := range all {
		if c.width > 0 {
			out = append(out, c)
		}
	}
	return out
}

// taken is how many columns of the screen c takes, with the space before the next one.
func taken(c column) int {
	if c.width == 0 {
		return 0
	}
	return c.width + 1
}

// grow makes a column wider, if it is shown, and as far as there is room.
func grow(c *column, width int, free *int) {
	if n := min(width-c.width, *free); c.width > 0 && n > 0 {
		c.width += n
		*free -= n
	}
}

// titles is the line above the rows. It marks the order.
func (l layout) titles(q live.Query, columns int) line {
	var out line
	for i, c := range l {
		title, look := c.title, reverse
		if c.sort == q.Sort {
			title, look = title+"▼", style(string(reverse)+";"+string(bold))
			if q.Reverse {
				title = c.title + "▲"
			}
		}
		title = cut(title, c.width)
		if c.numbers {
			title = right(title, c.width)
		}
		var cell line
		cell.add(look, title)
		cell = append(cell, span{reverse, right("", c.width-cell.width())})
		if i < len(l)-1 {
			cell = append(cell, span{reverse, " "})
		}
		out = append(out, cell...)
	}
	return append(out, span{reverse, right("", columns-out.width())})
}

// rowLines are the rows that are visible. The one with the cursor is marked.
func (v *View) rowLines() (lines []line) {
	if len(v.list) == 0 {
		var l line
		l.add(dim, v.emptyText())
		return []line{l}
	}
	shape := v.layout()
	for n, r := range v.visible() {
		var l line
		for i, c := range shape {
			cell := c.cell(r, c.width).fit(c.width)
			if i < len(shape)-1 {
				cell.padTo(c.width + 1)
			}
			l = append(l, cell...)
		}
		if v.moved && v.offset+n == v.cursor {
			l.padTo(v.columns)
			for i := range l {
				l[i].style = reverse
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// emptyText says why there are no rows.
func (v *View) emptyText() string {
	switch {
	case !v.polled:
		return "waiting for the first answer"
	case v.query.Text != "":
		return "no peer matches the filter"
	case len(v.table.Sums()) == 0:
		return "no interface is running"
	}
	return "there are no peers"
}

func nameCell(r *live.Row, width int) (l line) {
	l.add(plain, cut(r.Name, width))
	return l
}

func stateCell(r *live.Row, _ int) (l line) {
	l.add(styles[r.State], string(r.State))
	return l
}

// text makes a cell out of a text.
func text(of func(*live.Row) string) func(*live.Row, int) line {
	return func(r *live.Row, width int) (l line) {
		l.add(plain, cut(of(r), width))
		return l
	}
}

// amount makes a cell out of a number of bytes. 0 is dim.
func amount(of func(*live.Row) uint64) func(*live.Row, int) line {
	return func(r *live.Row, width int) (l line) {
		n, look := of(r), plain
		if n == 0 {
			look = dim
		}
		l.add(look, right(show.Bytes(n), width))
		return l
	}
}

func trafficCell(r *live.Row, width int) (l line) {
	rx, tx := rateValues(r.Samples(width))
	for i := range rx {
		rx[i] += tx[i]
	}
	l.add(cyan, plot(rx, fullRate, width))
	return l
}

func handshakeCell(r *live.Row, width int) (l line) {
	l.add(plain, right(age(r.At, r.Handshake), ageWidth-1)+" ")
	l.add(plain, agePlot(r, width-ageWidth))
	return l
}

// fullAge is the age, in seconds, that has the height of a whole bar: that at which a
// session ends (A36).
const fullAge = 180

func agePlot(r *live.Row, width int) string {
	var ages []float64
	for _, s := range r.Samples(width) {
		if s.Age == live.Never {
			ages = append(ages, 0)
		} else {
			ages = append(ages, min(fullAge, float64(s.Age)+1))
		}
	}
	return plot(ages, fullAge, width)
}

// age is how long before now a handshake was, in at most 4 columns; "-" is never.
func age(now, handshake time.Time) string {
	d := max(0, now.Sub(handshake))
	switch {
	case handshake.IsZero():
		return "-"
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", min(999, d/(24*time.Hour)))
}

func endpointText(r *live.Row) string {
	if !r.Endpoint.IsValid() {
		return "-"
	}
	return r.Endpoint.String()
}
