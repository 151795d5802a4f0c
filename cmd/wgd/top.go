package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
	"wgd/internal/netsetup"
	"wgd/internal/quote"
	"wgd/internal/sys/term"
	"wgd/internal/top"
)

var topForm = cli.Form{
	Syntax:  "top [NAME...]",
	Example: "wgd top",
	Summary: "show the peers of all interfaces, or of some, live on the whole screen",
	Options: []cli.Option{{Long: "count", Short: 'n', Value: "COUNT", Text: "print the list so many times, a second apart, and end; this needs no terminal"}},
	Text: []string{
		"Each second, the screen shows each interface, and in a line for each peer its state, as wgd status does, what is received and sent in a second, plots of both and of the age of the last handshake, " +
			"and its endpoint. The busiest peers come first. With many peers, the daemons are asked less often, so that they spend little time on answers. Interfaces and peers that come and go do so on the screen.",
		"Keys sort (s, 1 to 8), reverse (r), filter (/) and pause (space); ? lists all of them. Enter shows one peer and the reasons that wgd explain would give, except that nothing is sent to endpoints that do not answer. q quits.",
		"A terminal of 80 columns and 24 rows suffices. One without colours, or whose locale is not UTF-8, gets none, or plots of ASCII characters. Nothing is changed, and nothing is sent.",
	},
	Run: runTop,
}

const (
	// escapeTime is how long after ESC the rest of the sequence of a key may arrive.
	escapeTime = 100 * time.Millisecond
	// reportColumns is how wide the list is without a terminal.
	reportColumns = 132
)

// The escape sequences that begin and end drawing: the alternate screen, no cursor, and
// no wrapping of lines.
const (
	beginDrawing = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	endDrawing   = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// runTop shows some interfaces, or all, until the user quits.
func runTop(c *cli.Call) error {
	names := c.Args("NAME")
	view := top.New(top.Options{Colour: coloured(c.Stdout) && hasColours(), UTF8: localeUTF8()})
	if text, given := c.Value("count"); given {
		return reportTop(c, view, text)
	}
	in, ok := c.Stdin.(*os.File)
	if !ok || !term.Is(in) || !cli.Terminal(c.Stdout) {
		if t := os.Getenv("TERM"); ok && term.Is(in) && (t == "" || t == "dumb") {
			return fmt.Errorf("wgd top cannot draw on this terminal (TERM=%s): set TERM, xterm for example, or run wgd status, or wgd top -n 1", t)
		}
		return errors.New("wgd top needs a terminal: run wgd top -n 1, or wgd status")
	}
	screen, err := term.Open(in)
	if err != nil {
		return fmt.Errorf("terminal: %w: run wgd top -n 1, or wgd status", err)
	}
	t := &topScreen{Screen: screen, view: view, out: c.Stdout.(*os.File), in: in, names: names, polls: make(chan topPoll, 1), typed: make(chan []byte)}
	defer t.end()
	return t.run()
}

// reportTop prints the list, for a file or a pipe. It asks once more than it prints,
// because rates need two answers.
func reportTop(c *cli.Call, view *top.View, count string) error {
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return cli.UsageOf([]*cli.Form{c.Form}, "count %s: give a number from 1 on", quote.Text(count))
	}
	w, columns := c.Stdout, cli.Columns(c.Stdout)
	if columns == 0 {
		columns = reportColumns
	}
	for i := range n + 1 {
		p := pollTop(c.Args("NAME"), top.Shown{})
		p.update(view)
		if i > 0 {
			for _, failure := range p.Failures {
				fmt.Fprintln(w, failure)
			}
			if _, err := fmt.Fprintf(w, "%s\n\n", strings.Join(view.Report(columns), "\n")); err != nil {
				return err
			}
		}
		if i < n {
			time.Sleep(p.Pause())
		}
	}
	return nil
}

// hasColours reports whether the terminal is not one of those that are known to have none.
func hasColours() bool {
	name := os.Getenv("TERM")
	return !strings.HasPrefix(name, "vt") && !strings.HasSuffix(name, "-m") && !strings.HasSuffix(name, "-mono")
}

// localeUTF8 reports whether the terminal shows UTF-8.
func localeUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}

// A topPoll is a poll with the secrets that the daemons told.
type topPoll struct{ top.Poll }

// update gives the poll to the view, and erases its secrets.
func (p topPoll) update(v *top.View) {
	v.Update(p.Poll)
	for _, status := range p.Statuses {
		status.Erase()
	}
}

// pollTop asks some interfaces, or all, and explains the peer that is shown.
func pollTop(names []string, shown top.Shown) topPoll {
	p := top.Poll{At: time.Now()}
	all := len(names) == 0
	if all {
		var err error
		if names, err = control.Names(); err != nil {
			p.Failures = append(p.Failures, err.Error())
		}
	}
	for _, r := range control.Statuses(names) {
		gone := errors.Is(r.Err, control.ErrNotRunning)
		if !gone {
			p.Names = append(p.Names, r.Name)
		}
		switch {
		case r.Err == nil:
			p.Statuses = append(p.Statuses, &r.Status)
			if shown.Wanted && shown.ID.Interface == r.Status.Name {
				p.Explained = explainShown(p.At, &r.Status, shown)
			}
		case !gone || !all:
			p.Failures = append(p.Failures, r.Err.Error())
		}
	}
	p.Took = time.Since(p.At)
	return topPoll{p}
}

// explainShown explains a peer, or returns nil if it is gone. Nothing is sent to find out
// more.
func explainShown(now time.Time, status *conf.Status, shown top.Shown) *top.Explanation {
	i := slices.IndexFunc(status.Peers, func(p conf.PeerStatus) bool { return p.PublicKey == shown.ID.Key })
	if i < 0 {
		return nil
	}
	one := *status // of the host, only what concerns this peer is asked
	one.Peers = status.Peers[i : i+1]
	facts := explain.Facts{Now: now, Status: status, Names: show.Names(status.Peers), Host: explain.Host(netsetup.Diagnose(&one))}
	peer := facts.Peer(i)
	return &top.Explanation{ID: shown.ID, Text: peer.Text, Reasons: append(peer.Reasons, facts.Shared(i)...)}
}

// A topScreen connects a view with a terminal.
type topScreen struct {
	*term.Screen
	view    *top.View
	in, out *os.File
	names   []string
	polls   chan topPoll
	polling bool
	shown   top.Shown // in the last request
	typed   chan []byte
	drawn   []string // the lines that the terminal shows; nil: not known
}

// run runs until the user quits.
func (t *topScreen) run() error {
	go t.read()
	if err := t.begin(); err != nil {
		return err
	}
	next := time.NewTimer(0)
	escape := time.NewTimer(time.Hour)
	var pending []byte
	for {
		select {
		case <-next.C:
			t.startPoll()
		case p := <-t.polls:
			t.polling = false
			p.update(t.view)
			next.Reset(p.Pause())
		case b, ok := <-t.typed:
			if !ok { // the terminal is gone
				return nil
			}
			pending = append(pending, b...)
			escape.Reset(escapeTime)
			if t.press(&pending, false) {
				return nil
			}
		case <-escape.C:
			if t.press(&pending, true) {
				return nil
			}
		case <-t.Resized:
			t.resize()
		case <-t.Suspended:
			if err := t.suspend(); err != nil {
				return err
			}
		case <-t.Ended:
			return nil
		}
		if t.view.Shown() != t.shown {
			t.startPoll()
		}
		if err := t.draw(); err != nil {
			return err
		}
	}
}

// read passes on what is typed.
func (t *topScreen) read() {
	defer close(t.typed)
	for {
		b := make([]byte, 256)
		n, err := t.in.Read(b)
		if err != nil {
			return
		}
		t.typed <- b[:n]
	}
}

// startPoll begins a poll, unless one is in progress, or none is wanted.
func (t *topScreen) startPoll() {
	shown := t.view.Shown()
	if t.polling || t.view.Paused() && shown == t.shown {
		return
	}
	t.polling, t.shown = true, shown
	go func() { t.polls <- pollTop(t.names, shown) }()
}

// press gives keys to the view, and reports whether the user quits.
func (t *topScreen) press(pending *[]byte, final bool) bool {
	keys, rest := top.Decode(*pending, final)
	*pending = rest
	for _, k := range keys {
		if t.view.Press(k) {
			return true
		}
	}
	return false
}

// begin takes over the screen.
func (t *topScreen) begin() error {
	if _, err := t.out.WriteString(beginDrawing); err != nil {
		return err
	}
	t.resize()
	return t.draw()
}

// end gives the screen and the terminal back.
func (t *topScreen) end() {
	t.out.WriteString(endDrawing)
	t.Restore()
}

func (t *topScreen) suspend() error {
	if _, err := t.out.WriteString(endDrawing); err != nil {
		return err
	}
	if err := t.Suspend(); err != nil {
		return err
	}
	return t.begin()
}

func (t *topScreen) resize() {
	t.drawn = nil
	if columns, rows := term.Size(t.out); columns > 0 && rows > 0 {
		t.view.Resize(columns, rows)
	}
}

// draw writes the lines that have changed, in one write, so that nothing flickers and ssh
// has little to send.
func (t *topScreen) draw() error {
	var b strings.Builder
	lines := t.view.Screen()
	if t.drawn == nil {
		b.WriteString("\x1b[0m\x1b[2J")
	}
	for i, l := range lines {
		if t.drawn == nil || t.drawn[i] != l {
			// To erase after the text would erase the last column of a line that fills the row.
			fmt.Fprintf(&b, "\x1b[%d;1H\x1b[K%s", i+1, l)
		}
	}
	t.drawn = lines
	_, err := t.out.WriteString(b.String())
	return err
}
