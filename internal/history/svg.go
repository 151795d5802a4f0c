package history

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"wgd/internal/cli/show"
)

// A Drawing draws who was connected when, as SVG.
type Drawing struct {
	Title    string
	From, To time.Time
	Location *time.Location // of the times that it shows
	Records  []*Record      // with their spans, the first at the top
}

// The measures of a drawing, in pixels. Its width does not depend on the range.
const (
	drawingWidth = 1200
	plotLeft     = 190.0
	plotRight    = 1180.0
	plotTop      = 74
	axisHeight   = 34
	rowHeight    = 20
	lowRow       = 14  // if there are more than manyRows
	manyRows     = 100 //
	axisEvery    = 40  // rows between two axes
	maxLabel     = 24  // characters of a name
	minBar       = 1.0 // the width of the shortest connection
)

// style has the colours, for light and dark. It is plain enough for programs that know
// little of CSS.
const style = `text{font:12px system-ui,sans-serif;fill:#1f2328}
.ground{fill:#ffffff}.band{fill:#f3f5f7}.grid{stroke:#d1d9e0}.dim{fill:#59636e}.head{font-size:15px;font-weight:600}
.low{font-size:10px}.end{text-anchor:end}.mid{text-anchor:middle}
.on{fill:#1a7f37}.hatch{stroke:#8a939d}.void{fill:#e4e8ec}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}
.ground{fill:#0d1117}.band{fill:#161b22}.grid{stroke:#30363d}.dim{fill:#9aa4af}
.on{fill:#3fb950}.hatch{stroke:#6e7781}.void{fill:#21262d}}
`

// Write writes the drawing.
func (d *Drawing) Write(w *bufio.Writer) error {
	height := rowHeight
	if len(d.Records) > manyRows {
		height = lowRow
	}
	axes := (len(d.Records) + axisEvery - 1) / axisEvery
	total := plotTop + len(d.Records)*height + max(axes, 1)*axisHeight
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", drawingWidth, total, drawingWidth, total)
	fmt.Fprintf(w, "<title>%s</title>\n<style>%s</style>\n", escape(d.Title), style)
	w.WriteString(`<defs><pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">` +
		`<rect class="void" width="6" height="6"/><line class="hatch" stroke-width="2" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>` + "\n")
	fmt.Fprintf(w, `<rect class="ground" width="%d" height="%d"/><text class="head" x="12" y="24">%s</text>`+"\n", drawingWidth, total, escape(d.Title))
	d.legend(w)
	y := plotTop
	for first := 0; first == 0 || first < len(d.Records); first += axisEvery {
		rows := d.Records[first:min(first+axisEvery, len(d.Records))]
		d.bands(w, y, height, len(rows))
		d.axis(w, y, len(rows)*height)
		for i, r := range rows {
			d.row(w, r, y+i*height, height)
		}
		y += len(rows)*height + axisHeight
	}
	_, err := w.WriteString("</svg>\n")
	return err
}

// legend writes what the colours mean.
func (d *Drawing) legend(w *bufio.Writer) {
	w.WriteString(`<rect class="on" x="12" y="36" width="24" height="12"/><text class="dim" x="42" y="46">connected</text>` +
		`<rect x="120" y="36" width="24" height="12" fill="url(#unknown)"/><text class="dim" x="150" y="46">unknown: the log does not say</text>`)
	fmt.Fprintf(w, `<text class="dim end" x="%g" y="46">%s to %s</text>`+"\n", plotRight, d.time(d.From), d.time(d.To))
}

func (d *Drawing) time(t time.Time) string {
	return t.In(d.Location).Format("2 Jan 2006 15:04:05 MST")
}

// bands writes the ground of every other row.
func (d *Drawing) bands(w *bufio.Writer, y, height, rows int) {
	for i := 0; i < rows; i += 2 {
		fmt.Fprintf(w, `<rect class="band" x="0" y="%d" width="%d" height="%d"/>`, y+i*height, drawingWidth, height)
	}
	w.WriteByte('\n')
}

// x returns where a time is.
func (d *Drawing) x(t time.Time) float64 {
	part := t.Sub(d.From).Seconds() / d.To.Sub(d.From).Seconds()
	return plotLeft + part*(plotRight-plotLeft)
}

// axis writes the ticks of rows, with their times below.
func (d *Drawing) axis(w *bufio.Writer, y, height int) {
	bottom := y + height
	day := ""
	for _, tick := range ticks(d.From.In(d.Location), d.To) {
		x := d.x(tick.at)
		fmt.Fprintf(w, `<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text class="dim mid" x="%.1f" y="%d">%s</text>`, x, y, x, bottom+4, x, bottom+16, tick.text)
		if date := tick.at.Format("2 Jan"); date != day && date != tick.text {
			day = date
			fmt.Fprintf(w, `<text class="dim mid" x="%.1f" y="%d">%s</text>`, x, bottom+29, date)
		}
	}
	w.WriteByte('\n')
}

// row writes the name of a peer and its spans.
func (d *Drawing) row(w *bufio.Writer, r *Record, y, height int) {
	class, baseline := "end", y+14
	if height == lowRow {
		class, baseline = "end low", y+11
	}
	fmt.Fprintf(w, `<text class="%s" x="%g" y="%d">%s<title>%s</title></text>`, class, plotLeft-10, baseline, escape(show.Cut(r.Name, maxLabel)),
		escape(fmt.Sprintf("%s, connected for %s", r.Name, Lasted(r.Connected))))
	for i := 0; i < len(r.Spans); {
		n := d.joined(r.Spans[i:])
		d.bar(w, r, r.Spans[i:i+n], y, height)
		i += n
	}
	w.WriteByte('\n')
}

// joined returns how many spans are drawn as one, because no eye can tell them apart.
func (d *Drawing) joined(spans []Span) (n int) {
	for n = 1; n < len(spans) && spans[n].State == spans[0].State && d.x(spans[n].From)-d.x(spans[n-1].To) < minBar; {
		n++
	}
	return n
}

// bar draws spans as one.
func (d *Drawing) bar(w *bufio.Writer, r *Record, spans []Span, y, height int) {
	first, last := &spans[0], &spans[len(spans)-1]
	x := d.x(first.From)
	width := d.x(last.To) - x
	class := `class="on"`
	if first.State == Unknown {
		if width < minBar/2 {
			return
		}
		class = `fill="url(#unknown)"`
	}
	width = max(width, minBar)
	fmt.Fprintf(w, `<rect %s x="%.1f" y="%d" width="%.1f" height="%d"><title>%s</title></rect>`, class, min(x, plotRight-width), y+3, width, height-6,
		escape(d.barTitle(r, spans)))
}

// barTitle says what a bar stands for.
func (d *Drawing) barTitle(r *Record, spans []Span) string {
	first, last := &spans[0], &spans[len(spans)-1]
	text := fmt.Sprintf("%s: %s to %s", r.Name, d.time(first.From), d.time(last.To))
	if first.State == Unknown {
		return text + ": unknown"
	}
	if len(spans) > 1 {
		return fmt.Sprintf("%s: %d connections", text, len(spans))
	}
	text += ": " + Lasted(first.Duration())
	if first.End == Open {
		text += ", not ended yet"
	} else {
		text += ", ended: " + string(first.End)
	}
	for _, a := range first.Endpoints {
		text += "\n" + a.String()
	}
	return text
}

// escape returns a text as XML.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// Lasted returns a duration with its two largest units.
func Lasted(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
