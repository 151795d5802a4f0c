package show

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"wgd/internal/explain"
)

// A Layout says how a table of peers is written.
type Layout struct {
	Columns int  // those of the terminal, for which long cells are cut; 0: as many as it takes
	Colour  bool // states have colours
}

// minNameColumns is how many columns of a name are left when it is cut, and
// minEndpointColumns of an IPv6 endpoint: any IPv4 endpoint fits.
const (
	minNameColumns     = 8
	minEndpointColumns = len("255.255.255.255:65535")
)

// titles are those of the table. The last column is the state.
var titles = [...]string{"PEER", "ENDPOINT", "HANDSHAKE", "RECEIVED", "SENT", "STATE"}

const (
	nameColumn     = 0
	endpointColumn = 1
	receivedColumn = 3
	sentColumn     = 4
	stateColumn    = 5
)

type row struct {
	cells [len(titles)]string
	state explain.State
}

// Table writes a line about the interface and one for each peer: those that do not work
// first, then those that work, the others last, each kind sorted by name.
func Table(w *bufio.Writer, f *explain.Facts, l Layout) {
	rows := make([]*row, len(f.Status.Peers))
	count := map[explain.State]int{}
	for i := range rows {
		rows[i] = tableRow(f, i)
		count[rows[i].state]++
	}
	fmt.Fprintf(w, "%s: %s%s\n", f.Status.Name, f.Text(), countText(len(rows), count))
	if f.Status.Fault != "" {
		fmt.Fprintf(w, "fault: %s\n", f.Status.Fault)
	}
	if len(rows) == 0 {
		return
	}
	slices.SortFunc(rows, func(a, b *row) int {
		if a.state != b.state {
			return slices.Index(stateOrder[:], a.state) - slices.Index(stateOrder[:], b.state)
		}
		return CompareNames(a.cells[nameColumn], b.cells[nameColumn])
	})
	widths := fit(rows, l.Columns)
	writeRow(w, &row{cells: titles}, widths, false)
	for i := range rows {
		writeRow(w, rows[i], widths, l.Colour)
	}
}

// stateOrder is the order of the rows.
var stateOrder = [...]explain.State{explain.Trying, explain.Works, explain.Idle, explain.NeverUsed, explain.Down}

// countText says how many peers are in which state.
func countText(peers int, count map[explain.State]int) string {
	if peers == 0 {
		return ""
	}
	noun := "peers"
	if peers == 1 {
		noun = "peer"
	}
	var parts []string
	for _, state := range stateOrder {
		if n := count[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return fmt.Sprintf("; %d %s: %s", peers, noun, strings.Join(parts, ", "))
}

func tableRow(f *explain.Facts, i int) *row {
	p := &f.Status.Peers[i]
	handshake := "never"
	if !p.LastHandshake.IsZero() {
		handshake = explain.Ago(f.Now.Sub(p.LastHandshake))
	}
	state := f.State(i)
	return &row{[...]string{f.Names[i], endpointText(p), handshake, Bytes(p.RxBytes), Bytes(p.TxBytes), string(state)}, state}
}

// fit returns the width of each column. If the table is wider than the terminal, the
// endpoints are cut, then the names.
func fit(rows []*row, columns int) (widths []int) {
	widths = make([]int, len(titles))
	for i, title := range titles {
		widths[i] = len(title)
	}
	for i := range rows {
		for j, cell := range rows[i].cells {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	total := 2 * (len(titles) - 1)
	for _, n := range widths {
		total += n
	}
	if columns > 0 {
		for _, c := range [...]struct{ column, min int }{{endpointColumn, minEndpointColumns}, {nameColumn, minNameColumns}} {
			less := max(0, min(total-columns, widths[c.column]-c.min))
			widths[c.column] -= less
			total -= less
		}
	}
	return widths
}

func writeRow(w *bufio.Writer, r *row, widths []int, colour bool) {
	for i, cell := range r.cells {
		switch i {
		case nameColumn:
			cell = Cut(cell, widths[i])
		case endpointColumn:
			cell = cutMiddle(cell, widths[i])
		}
		padding := widths[i] - utf8.RuneCountInString(cell)
		switch i {
		case receivedColumn, sentColumn:
			pad(w, padding)
			w.WriteString(cell)
		case stateColumn:
			if escape := colours[r.state]; colour && escape != "" {
				cell = escape + cell + "\x1b[0m"
			}
			w.WriteString(cell + "\n")
			return
		default:
			w.WriteString(cell)
			pad(w, padding)
		}
		w.WriteString("  ")
	}
}

func pad(w *bufio.Writer, n int) {
	for range n {
		w.WriteByte(' ')
	}
}

// colours are the escape sequences of states that stand out.
var colours = map[explain.State]string{
	explain.Trying: "\x1b[31m", explain.Works: "\x1b[32m", explain.NeverUsed: "\x1b[2m",
}

// Cut shortens a text to a number of columns.
func Cut(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	return string([]rune(s)[:columns-1]) + "…"
}

// cutMiddle shortens an endpoint, whose end has the port.
func cutMiddle(s string, columns int) string {
	r := []rune(s) // a zone need not be ASCII
	surplus := len(r) - columns
	if surplus <= 0 {
		return s
	}
	begin := (columns - 1) / 2
	return string(r[:begin]) + "…" + string(r[begin+1+surplus:])
}

// Bytes returns a number of bytes with three digits and a unit.
func Bytes(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	for value >= 999.5 && unit < len("kMGTPE") {
		value /= 1000
		unit++
	}
	digits := 0
	switch {
	case value < 9.995:
		digits = 2
	case value < 99.95:
		digits = 1
	}
	return fmt.Sprintf("%.*f %cB", digits, value, "?kMGTPE"[unit])
}

// CompareNames orders names of peers so that peer2 is before peer10.
func CompareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		n, m := digits(x), digits(y)
		if n == 0 || m == 0 {
			if x[0] != y[0] {
				return cmp.Compare(x[0], y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		p, q := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
		if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q)); c != 0 {
			return c
		}
		x, y = x[n:], y[m:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// digits returns how many digits s begins with.
func digits(s string) (n int) {
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}
