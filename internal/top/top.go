// Package top is the view of `wgd top`: which keys do what, and what the screen shows. It
// knows no terminal: keys and sizes are passed in, and lines are taken out.
package top

import (
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/explain"
	"wgd/internal/live"
)

// Options are what the terminal can show.
type Options struct {
	Colour bool
	UTF8   bool
}

// A Poll is what was learned at one time.
type Poll struct {
	At       time.Time
	Names    []string       // of the interfaces that run
	Statuses []*conf.Status // of those that answered
	Failures []string       // sentences about those that did not
	Took     time.Duration  // how long the daemons needed for it

	// Explained is about the peer that was shown, if it still exists.
	Explained *Explanation
}

// Pause returns the time until the next poll.
func (p *Poll) Pause() time.Duration { return live.Pause(p.Took) }

// An Explanation says in which state a peer is, and why.
type Explanation struct {
	ID      live.ID
	Text    string
	Reasons []explain.Reason
}

// A mode is what keys mean, and what is shown.
type mode int

const (
	listing mode = iota
	filtering
	helping
	detail
)

// A View is the state of the screen. Use New.
type View struct {
	options       Options
	columns, rows int
	table         live.Table
	query         live.Query
	list          []*live.Row
	poll          Poll // the last one, without the statuses
	polled        bool
	paused        bool
	mode          mode
	before        string // the filter before it was edited

	// The cursor stays on its row, wherever the order puts it. Until it is moved, it
	// stays on the first row of the screen instead.
	cursor int
	moved  bool
	onto   live.ID
	offset int // of the first row that is visible
	scroll int // of the detail
}

// New returns a view that shows the busiest peers first.
func New(o Options) *View {
	return &View{options: o, columns: 80, rows: 24, query: live.Query{Sort: live.ByRate}}
}

// Resize says how large the screen is.
func (v *View) Resize(columns, rows int) {
	v.columns, v.rows = max(1, columns), max(1, rows)
	v.place()
}

// Paused reports whether polls are not wanted.
func (v *View) Paused() bool { return v.paused }

// Shown is the peer of which the reasons are wanted, if there is one.
type Shown struct {
	Wanted bool
	ID     live.ID
}

// Shown returns the peer of which the reasons are wanted.
func (v *View) Shown() Shown {
	if v.mode != detail {
		return Shown{}
	}
	return Shown{true, v.onto}
}

// Update takes a poll. It keeps no secrets of it.
func (v *View) Update(p Poll) {
	v.table.Keep(p.Names)
	for _, status := range p.Statuses {
		v.table.Update(p.At, status)
	}
	p.Statuses = nil
	v.poll, v.polled = p, true
	v.selectRows()
}

// selectRows sorts and filters the rows, and finds the one with the cursor.
func (v *View) selectRows() {
	v.list = v.table.Select(v.query)
	if v.moved {
		if i := slices.IndexFunc(v.list, func(r *live.Row) bool { return r.ID == v.onto }); i >= 0 {
			v.cursor = i
		}
	}
	v.place()
}

// place keeps the cursor on a row, and that row visible.
func (v *View) place() {
	v.cursor = max(0, min(v.cursor, len(v.list)-1))
	height := v.listHeight()
	v.offset = max(0, min(v.offset, v.cursor, len(v.list)-height))
	v.offset = max(v.offset, v.cursor-height+1)
	if v.mode != detail && v.moved && len(v.list) > 0 {
		v.onto = v.list[v.cursor].ID
	}
}

// Press handles a key, and reports whether the user wants to quit.
func (v *View) Press(k Key) (quit bool) {
	switch {
	case v.mode == filtering:
		v.pressFilter(k)
		return false
	case k == 'q':
		return true
	case v.mode == helping:
		v.mode = listing
	case v.mode == detail:
		v.pressDetail(k)
	case !v.pressMove(k):
		v.pressList(k)
	}
	return false
}

// pressFilter edits the filter.
func (v *View) pressFilter(k Key) {
	text := []rune(v.query.Text)
	switch {
	case k == enter:
		v.mode = listing
	case k == Escape:
		v.mode, v.query.Text = listing, v.before
	case k == backspace && len(text) > 0:
		v.query.Text = string(text[:len(text)-1])
	case k == backspace:
		v.mode = listing
	case k == 'U'-'@': // Ctrl-U
		v.query.Text = ""
	case k >= control:
		v.query.Text = clean(v.query.Text + string(rune(k)))
	}
	v.selectRows()
}

// pressDetail handles the keys while one peer is shown.
func (v *View) pressDetail(k Key) {
	switch k {
	case Up, 'k':
		v.scroll--
	case Down, 'j':
		v.scroll++
	case PageUp:
		v.scroll -= v.rows - 1
	case PageDown:
		v.scroll += v.rows - 1
	case ' ':
		v.paused = !v.paused
	case enter, Escape, backspace:
		v.mode = listing
		v.selectRows()
	}
}

// pressMove handles the keys that move the cursor, and reports whether k is one.
func (v *View) pressMove(k Key) bool {
	page := v.listHeight()
	switch k {
	case Up, 'k':
		v.cursor--
	case Down, 'j':
		v.cursor++
	case PageUp:
		v.cursor -= page
		v.offset -= page
	case PageDown:
		v.cursor += page
		v.offset += page
	case Home, 'g':
		v.cursor = 0
	case End, 'G':
		v.cursor = len(v.list) - 1
	default:
		return false
	}
	v.moved = k != Home && k != 'g'
	v.place()
	return true
}

// pressList handles the other keys while the peers are listed.
func (v *View) pressList(k Key) {
	switch k {
	case '?', 'h':
		v.mode = helping
	case '/':
		v.mode, v.before = filtering, v.query.Text
	case Escape:
		v.query.Text = ""
		v.selectRows()
	case ' ':
		v.paused = !v.paused
	case 'r':
		v.query.Reverse = !v.query.Reverse
		v.selectRows()
	case 's':
		i := slices.IndexFunc(orders[:], func(o order) bool { return o.sort == v.query.Sort })
		v.sortBy(orders[(i+1)%len(orders)])
	case enter:
		if len(v.list) > 0 {
			v.onto, v.moved = v.list[v.cursor].ID, true
			v.mode, v.scroll = detail, 0
		}
	default:
		if i := int(k - '1'); i >= 0 && i < len(orders) {
			v.sortBy(orders[i])
		}
	}
}

func (v *View) sortBy(o order) {
	v.query.Sort, v.query.Reverse = o.sort, false
	v.selectRows()
}

// An order is one by which the user can sort: a key and the title of its column.
type order struct {
	sort  live.Sort
	title string
}

// orders has them in the order of the keys 1 to 8.
var orders = [...]order{
	{live.ByName, "PEER"}, {live.ByState, "STATE"}, {live.ByRxRate, "IN/s"}, {live.ByTxRate, "OUT/s"},
	{live.ByRate, "TRAFFIC"}, {live.ByTotal, "TOTAL"}, {live.ByHandshake, "HANDSHAKE"}, {live.ByEndpoint, "ENDPOINT"},
}
