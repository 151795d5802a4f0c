package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/history"
	"wgd/internal/quote"
	"wgd/key"
)

var historyForm = cli.Form{
	Syntax:  "history NAME [PEER]",
	Example: "wgd history wg0 --log /var/log/wgd.events --since 24h",
	Summary: "tell which peers were connected when, from the log of wgd watch",
	Options: []cli.Option{
		eventLogOption,
		sinceOption,
		{Long: "until", Value: "TIME", Text: "end there; without it, now"},
		{Long: "json", Text: "print the result as JSON"},
		{Long: optSVG, Value: "FILE", Text: "draw who was connected when, instead of printing it; - is standard output"},
	},
	Text: []string{
		"Without PEER, each peer has a line: how long it was connected and how often, when it was last seen, and a plot of the whole time, from left to right. In the plot, a column is full " +
			"where the peer was connected, half as high where it was connected for a part of the column, a dot where it was not, and ? where that is unknown. With PEER, each connection has a line, and why it ended. " +
			"PEER is a name, the digits that are shown if a peer has none, or a public key.",
		"TIME is a date, a time of today, both, or an age: 2026-11-29, 14:30, \"2026-11-29 14:30:05\", 90m, 24h, 7d.",
		"A peer is connected from a completed handshake until the first of these: its session is 180 seconds old, and no other one was made (expired); data was sent to it and nothing came back, " +
			"and it is not heard within ten more seconds (quiet); a handshake with it was given up (no-answer); it was removed (removed); its session ended for another reason (ended); the interface went down (down); its daemon ended (stopped). " +
			"A peer that says nothing when it leaves, and to which nothing is sent, therefore counts as connected for up to 180 seconds more.",
		"What the log does not say is unknown: where events are missing, before it begins, and after it ends unless a wgd watch still writes to it; also up to 180 seconds after such a time, because a peer may have had a session that was not seen. " +
			"Durations are right although the clock was set meanwhile: times before that are shown as if it had been right already.",
		"With --svg, the drawing has a row for each peer, or for PEER only. It shows what is unknown as hatched, has the times and endpoints of each connection as tooltips, and is for light and dark screens. FILE is replaced in one step.",
		"The JSON value is an object with `interface`, `since`, `until` and `peers`. Each peer has `name`, `named`, `public_key`, `connected` and `unknown` (seconds), `connections`, `state` (connected, not-connected or unknown: at the end), `last_seen` if it ever was, and `spans`. " +
			"Each of these has `state` (connected or unknown), `begin`, `end`, `seconds`, `reason` (a word of those above, or missed, known, open), `sessions` and `endpoints`; `since`, if it began before the range.",
	},
	Run: runHistory,
}

const optSVG = "svg"

// A historyRange is a range of time. Its zero values stand for the first event, and now.
type historyRange struct{ since, until time.Time }

// runHistory reads the log twice: first to know its runs, clocks and peers, then for the
// spans of time.
func runHistory(c *cli.Call) error {
	name := c.Arg("NAME")
	if err := conf.ValidInterfaceName(name); err != nil {
		return err
	}
	path, ok := c.Value(optEventLog)
	if !ok {
		return cli.Usagef("give the log: --log=FILE, which `wgd watch --log FILE` writes")
	}
	if c.Has(optSVG) && c.Has("json") {
		return cli.Usagef("--svg and --json: give one of them")
	}
	now := time.Now()
	wanted, err := parseRange(c, now)
	if err != nil {
		return err
	}
	log, err := openHistory(path)
	if err != nil {
		return err
	}
	defer log.close()
	survey := history.NewSurvey(name)
	if err := log.read(survey.Add); err != nil {
		return err
	}
	if log.damaged > 0 {
		c.Warnf("%s: lines that are not events were ignored: %d", quote.Path(path), log.damaged)
	}
	if err := wanted.fit(path, survey, name, now, log.live); err != nil {
		return err
	}
	peers, err := wantedPeers(survey.Peers(), c.Arg("PEER"), path)
	if err != nil {
		return err
	}
	layout := historyLayout{columns: cli.Columns(c.Stdout), colour: coloured(c.Stdout), utf8: localeUTF8(), location: now.Location()}
	keep := func(public key.Public) bool {
		return c.Has("json") || c.Has(optSVG) || c.Arg("PEER") != "" && public == peers[0].Key
	}
	records := history.NewRecords(wanted.since, wanted.until, layout.cells(), keep)
	layout.cellWidth = records.CellWidth()
	replay := history.NewReplay(survey, records.Add)
	if err := log.read(replay.Add); err != nil {
		return err
	}
	known := time.Time{} // the last event
	if log.live {
		known = now
	}
	replay.Finish(known, wanted.until)
	return layout.print(c, name, records.Finish(replay, peers), wanted, now)
}

// print prints what is known about peers in the form that the options ask for.
func (l historyLayout) print(c *cli.Call, name string, list []*history.Record, wanted historyRange, now time.Time) error {
	if c.Has("json") {
		return c.PrintJSON(historyJSON(name, wanted, list))
	}
	if drawing, ok := c.Value(optSVG); ok {
		return writeDrawing(c, &history.Drawing{
			Title: name + ": which peers were connected when",
			From:  wanted.since, To: wanted.until, Location: l.location, Records: list,
		}, drawing)
	}
	w := bufio.NewWriter(c.Stdout)
	if c.Arg("PEER") != "" {
		l.spans(w, list[0], wanted, now)
	} else {
		l.table(w, name, list, wanted, now)
	}
	return w.Flush()
}

// fit replaces the zero values of a range, and compares it with the events that there
// are.
func (r *historyRange) fit(path string, s *history.Survey, name string, now time.Time, live bool) error {
	first, last, ok := s.Bounds()
	switch others := s.Others(); {
	case !ok && len(others) > 0:
		return fmt.Errorf("%s has no event of %s, but of %s: choose one of these, or another file", quote.Path(path), name, strings.Join(others, ", "))
	case !ok:
		return fmt.Errorf("%s has no events yet: `wgd watch --log FILE` writes them", quote.Path(path))
	}
	if live || now.After(last) {
		last = now
	}
	if r.since.IsZero() {
		r.since = first
	}
	if r.until.IsZero() || r.until.After(last) {
		r.until = last
	}
	text := func(t time.Time) string { return t.In(now.Location()).Format(time.DateTime) }
	switch {
	case !r.until.After(first):
		return fmt.Errorf("%s has no event of %s before %s: the first is of %s", quote.Path(path), name, text(r.until), text(first))
	case !r.since.Before(r.until):
		return fmt.Errorf("nothing is known of %s: it is not over yet: give --since an earlier time", text(r.since))
	}
	return nil
}

// wantedPeers returns all peers, or the one that the user names.
func wantedPeers(peers []history.NamedPeer, wanted, path string) ([]history.NamedPeer, error) {
	if wanted == "" {
		return peers, nil
	}
	public, notKey := key.ParsePublic(wanted)
	for i := range peers {
		if peers[i].Name == wanted || notKey == nil && peers[i].Key == public {
			return peers[i : i+1], nil
		}
	}
	if notKey == nil { // do not print it: it may be a private key
		return nil, errors.New(quote.Path(path) + " has no peer with this public key: without PEER, all are shown")
	}
	return nil, fmt.Errorf("peer %s: %s has no such peer: without PEER, all are shown", quote.Name(wanted), quote.Path(path))
}
