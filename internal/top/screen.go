package top

import (
	"fmt"
	"strings"

	"wgd/internal/cli/show"
	"wgd/internal/explain"
	"wgd/internal/live"
)

// maxInterfaces is how many lines of interfaces there are above the peers.
const maxInterfaces = 3

// Screen returns the lines of the screen, as a terminal needs them: one for each row of
// it, and none longer than it is wide.
func (v *View) Screen() []string {
	var lines []line
	switch v.mode {
	case helping:
		lines = v.helpLines()
	case detail:
		lines = v.detailLines()
	default:
		lines = v.listLines()
	}
	out := make([]string, v.rows)
	for i := range out {
		if i < len(lines) {
			out[i] = lines[i].fit(v.columns).encode(v.options)
		}
	}
	return out
}

// listLines are the summary, the titles, the rows that are visible, and a line of help.
func (v *View) listLines() []line {
	lines := append(v.headLines(), v.layout().titles(v.query, v.columns))
	lines = append(lines, v.rowLines()...)
	for len(lines) < v.rows-1 {
		lines = append(lines, nil)
	}
	return append(lines[:max(0, v.rows-1)], v.bottomLine())
}

// listHeight is how many rows are visible.
func (v *View) listHeight() int { return max(1, v.rows-len(v.headLines())-2) }

// visible are the rows that fit on the screen.
func (v *View) visible() []*live.Row {
	return v.list[v.offset:min(len(v.list), v.offset+v.listHeight())]
}

// headLines are one about everything, and one for each of the first interfaces.
func (v *View) headLines() []line {
	list := v.table.Sums()
	peers, states := 0, map[explain.State]int{}
	for _, i := range list {
		peers += i.Peers
		for state, n := range i.States {
			states[state] += n
		}
	}
	lines := []line{v.summaryLine(len(list), peers, states)}
	for n, i := range list {
		if n == maxInterfaces-1 && len(list) > maxInterfaces {
			var l line
			l.add(dim, fmt.Sprintf("and %d more interfaces", len(list)-n))
			lines = append(lines, l)
			break
		}
		lines = append(lines, interfaceLine(i, v.columns))
	}
	return lines
}

// summaryLine says how many peers are in which state.
func (v *View) summaryLine(interfaces, peers int, states map[explain.State]int) (l line) {
	l.add(bold, "wgd top ")
	if v.polled {
		l.add(plain, v.poll.At.Format("15:04:05")+" ")
	}
	if v.paused {
		l.add(reverse, "PAUSED")
		l.add(plain, " ")
	}
	if interfaces != 1 {
		l.add(plain, count(interfaces, "interface")+", ")
	}
	l.add(plain, count(peers, "peer"))
	separator := ": "
	for _, state := range []explain.State{explain.Trying, explain.Works, explain.Idle, explain.NeverUsed, explain.Down} {
		if n := states[state]; n > 0 {
			l.add(plain, separator)
			l.add(styles[state], fmt.Sprintf("%d %s", n, state))
			separator = ", "
		}
	}
	if pause := v.poll.Pause(); pause > live.Interval {
		l.add(dim, fmt.Sprintf("  every %.1f s", pause.Seconds()))
	}
	return l
}

// styles are those of states that stand out.
var styles = map[explain.State]style{explain.Trying: red, explain.Works: green, explain.NeverUsed: dim}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// interfaceLine is the state of an interface, and its traffic.
func interfaceLine(i *live.Interface, columns int) (l line) {
	l.add(bold, i.Name+" ")
	text, look := strings.TrimPrefix(strings.TrimPrefix(i.Text, "the interface "), "is "), plain
	if i.Fault != "" {
		text = i.Fault
	}
	if i.Fault != "" || i.States[explain.Down] > 0 || i.Peers == 0 {
		look = red
	}
	if i.Peers == 0 && i.Fault == "" {
		look = dim
	}
	l.add(look, text)
	const traffic = 58 // of the columns, at most
	if width := min(traffic, columns-l.width()); look == plain && width >= 40 {
		bars := (width - 2*len("  out 1.23 MB/s ")) / 2
		rx, tx := rateValues(i.Samples(bars))
		for _, d := range []struct {
			name   string
			rate   float64
			values []float64
		}{{"in", i.RxRate, rx}, {"out", i.TxRate, tx}} {
			l.add(plain, fmt.Sprintf("  %s %s ", d.name, right(show.Bytes(uint64(d.rate))+"/s", len("1.23 MB/s"))))
			l.add(cyan, plot(d.values, fullRate, bars))
		}
	}
	return l
}

// fullRate is the rate, in bytes a second, that at least has the height of a whole bar,
// so that a keepalive does not look like much.
const fullRate = 1000

func rateValues(samples []live.Sample) (rx, tx []float64) {
	for _, s := range samples {
		rx, tx = append(rx, float64(s.RxRate)), append(tx, float64(s.TxRate))
	}
	return rx, tx
}

// bottomLine is the filter, what is wrong, or help.
func (v *View) bottomLine() (l line) {
	switch {
	case v.mode == filtering:
		l.add(bold, "filter: ")
		l.add(plain, v.query.Text)
		l.add(reverse, " ")
		l.add(dim, "  Enter: keep it  Esc: as before")
	case len(v.poll.Failures) > 0:
		l.add(red, v.poll.Failures[0])
	case v.query.Text != "":
		l.add(bold, "filter: ")
		l.add(plain, v.query.Text)
		l.add(dim, fmt.Sprintf("  %d of them  Esc: all peers", len(v.list)))
	default:
		l.add(dim, "q quit  ? help  / filter  s 1-8 sort  r reverse  space pause  Enter why")
		if n := len(v.list); n > v.listHeight() {
			position := fmt.Sprintf("%d/%d", v.cursor+1, n)
			if gap := v.columns - l.width() - len(position); gap > 0 {
				l.add(dim, strings.Repeat(" ", gap)+position)
			}
		}
	}
	return l
}

// help are the keys and what they do.
var help = [...][2]string{
	{"Up Down k j", "move by one peer"},
	{"PgUp PgDn", "move by one screen"},
	{"Home g, End G", "move to the first, to the last peer"},
	{"Enter", "show one peer, and why its tunnel works or not"},
	{"/", "show only peers with these words in the name, interface, state,"},
	{"", "key, endpoint or allowed IPs; Esc shows all again"},
	{"s", "sort by the next column"},
	{"1 to 8", "sort by name, state, rate in, rate out, both rates, total bytes,"},
	{"", "last handshake, endpoint"},
	{"r", "reverse the order"},
	{"space", "pause, and go on"},
	{"Ctrl-Z", "stop for a while; fg continues"},
	{"? h", "this help"},
	{"q Ctrl-C", "quit"},
}

// helpLines are the keys, and how to read the columns.
func (v *View) helpLines() (lines []line) {
	var title line
	title.add(bold, "wgd top: keys")
	lines = append(lines, title, nil)
	for _, h := range help {
		var l line
		l.add(bold, h[0])
		l.padTo(15)
		l.add(plain, h[1])
		lines = append(lines, l)
	}
	lines = append(lines, nil)
	for _, text := range []string{
		"Units are 1000. TRAFFIC has a bar for each poll, as high as the highest of them.",
		"HANDSHAKE is the age of the last one. Bars that fall again are renewals; full",
		"bars are three minutes or more.",
	} {
		var l line
		l.add(plain, text)
		lines = append(lines, l)
	}
	var l line
	l.add(dim, "any key: back")
	return append(lines, nil, l)
}

// Report returns the list with all its rows, as lines for a file or a pipe.
func (v *View) Report(columns int) (lines []string) {
	v.Resize(columns, len(v.list)+len(v.headLines())+2)
	v.offset = 0
	plainly := Options{UTF8: v.options.UTF8}
	for _, l := range append(append(v.headLines(), v.layout().titles(v.query, columns)), v.rowLines()...) {
		for i := range l {
			l[i].style = plain
		}
		lines = append(lines, strings.TrimRight(l.fit(columns).encode(plainly), " "))
	}
	return lines
}
