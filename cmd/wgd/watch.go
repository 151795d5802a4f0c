package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
	"wgd/internal/uapi"
)

var watchForm = cli.Form{
	Syntax:  "watch [NAME...]",
	Example: "wgd watch wg0",
	Summary: "report what happens to an interface and its peers, as it happens",
	Options: []cli.Option{
		{Long: "json", Text: "print the result as JSON"},
		sinceOption,
		eventLogOption,
	},
	Text: []string{
		"A line has the time, the interface, the peer, and a sentence: sessions that are made, renewed and ended (and why), handshakes that fail and why, peers that are silent, are heard again, or have another address, " +
			"names that cannot be looked up, packets that were refused or dropped (how many and why, at first after 5 seconds and then less and less often, up to each 5 minutes), who has changed what about the configuration (never a key), and the interface going up and down. " +
			"Without a NAME, all interfaces are followed. Interfaces may come and go. It ends with SIGINT or SIGTERM.",
		"Each event has a number, which begins with 1 when a daemon starts, and each run of a daemon has a word. The daemon keeps the latest 1,024 events. A reader that is too slow is told how many it missed; " +
			"the tunnel never waits for it. --since takes a number, or RUN:SEQ; if the daemon was restarted after that RUN, it begins with the first event of the new one.",
		"With --json, each event is an object in a line, with the fields `interface`, `run`, `seq`, `time`, `since_boot` (seconds on the clock that is never set), `kind`, `text` (the sentence) and, where they apply, `public_key`, `name`, `endpoint`, `initiator`, `renewed`, " +
			"`after` (seconds), `stamp` (of the peer's initiation, as the control socket has it), `rx_bytes`, `tx_bytes`, `count`, `cause`, `reason`, `missed`, `pid`, `uid` and `command`. The kinds are those of the control socket, and `end` when a daemon has ended.",
		"With --log, the events that the daemons still keep come first, but none that the file has already. A file of 10 MB becomes FILE.1, FILE.1 becomes FILE.2, and so on to FILE.5. " +
			"If the file cannot be written, as on a full disk, a warning says so, and it is tried again each second; meanwhile the daemon keeps the events. One process at a time can write to the file. It begins with a line of the kind `watch-started`.",
	},
	Run: runWatch,
}

const (
	optSince    = "since"
	optEventLog = "log"
)

// The options that wgd watch and wgd history have.
var (
	sinceOption = cli.Option{Long: optSince, Value: "SEQ|TIME",
		Text: "watch: begin after the event with this number; 0: with all that are kept; needs one NAME. history: begin at this time; without it, with the first event"}
	eventLogOption = cli.Option{Long: optEventLog, Value: "FILE",
		Text: "watch: append the events to this file, as --json prints them, instead of printing them. history: read this file, and FILE.1 and so on"}
)

// A position is the last event that was read: its number, and the run of the daemon; ""
// if that is not known.
type position struct {
	run string
	seq uint64
}

func parsePosition(word string) (position, error) {
	run, number, found := strings.Cut(word, ":")
	if !found {
		run, number = "", word
	}
	seq, err := strconv.ParseUint(number, 10, 63)
	switch {
	case err != nil:
		return position{}, cli.Usagef("--since %s: give the number of an event, or RUN:SEQ, as --json shows them", quote.Text(word))
	case found && !validRun(run):
		return position{}, cli.Usagef("--since %s: %s is no run of a daemon: give RUN:SEQ, as --json shows them, or the number alone",
			quote.Text(word), quote.Text(run))
	}
	return position{run, seq}, nil
}

// validRun reports whether a run may be called so. Of other versions, only the characters
// are known.
func validRun(run string) bool {
	return run != "" && len(run) <= 64 && strings.Trim(run, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// watchPause is the time between two attempts to find interfaces.
const watchPause = time.Second

// A watching is a wgd watch that runs.
type watching struct {
	call *cli.Call
	sink eventSink
	all  bool // all interfaces, also those that come
}

// An eventSink takes events.
type eventSink interface {
	// put takes an event; it may wait until ctx is done. An error ends the command.
	put(ctx context.Context, name, run string, e *conf.Event) error
	// last returns the last event of an interface that it has; ok is false if it has none.
	last(name string) (p position, ok bool)
	// start is called when the command begins to follow an interface.
	start(ctx context.Context, name string) error
}

// runWatch follows the interfaces until a signal.
func runWatch(c *cli.Call) error {
	names := c.Args("NAME")
	start := position{seq: conf.FromNow}
	if word, ok := c.Value(optSince); ok {
		var err error
		if start, err = parsePosition(word); err != nil {
			return err
		}
		if len(names) != 1 {
			return cli.Usagef("--since needs one NAME: each interface has numbers of its own")
		}
	}
	w := &watching{call: c, all: len(names) == 0, sink: &printer{w: c.Stdout, json: c.Has("json")}}
	if path, ok := c.Value(optEventLog); ok {
		log, err := openEventLog(path, c.Warnf)
		if err != nil {
			return err
		}
		defer log.close()
		w.sink = log
		if start.seq == conf.FromNow {
			start.seq = 0
		}
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	return w.run(ctx, names, start)
}

// run follows the named interfaces, or all. It returns the first error.
func (w *watching) run(ctx context.Context, names []string, start position) error {
	ctx, cancel := context.WithCancel(ctx)
	var failed error
	var once sync.Once
	fail := func(err error) {
		once.Do(func() { failed = err })
		cancel()
	}
	var followers sync.WaitGroup
	followed := map[string]bool{}
	for {
		if w.all {
			var err error
			if names, err = control.Names(); err != nil {
				fail(err)
			}
		}
		for _, name := range names {
			if !followed[name] {
				followed[name] = true
				from := start
				followers.Go(func() { w.followOne(ctx, name, from, fail) })
			}
		}
		start = position{} // of interfaces that come, nothing is missed
		if !sleep(ctx, watchPause) {
			break
		}
	}
	cancel()
	followers.Wait()
	return failed
}

// followOne is follow. Of an interface that was named, the error ends the command.
func (w *watching) followOne(ctx context.Context, name string, from position, fail func(error)) {
	switch err := w.follow(ctx, name, from); {
	case err == nil || ctx.Err() != nil:
	case w.all:
		w.call.Warnf("%v", err)
	default:
		fail(err)
	}
}

// sleep waits, and returns false if ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// follow reads the events of an interface, also those of later daemons.
func (w *watching) follow(ctx context.Context, name string, at position) error {
	if kept, ok := w.sink.last(name); ok && at.run == "" {
		at = kept
	}
	if err := w.sink.start(ctx, name); err != nil {
		return err
	}
	for expected := true; ; expected = false {
		client, err := control.Dial(name)
		switch {
		case err == nil:
			at, err = w.read(ctx, client, name, at)
			client.Close()
			if err != nil {
				return err
			}
		case !errors.Is(err, control.ErrNotRunning):
			return err
		case expected && !w.all:
			w.call.Warnf("%s does not run: waiting until it does", name)
			fallthrough
		case at.seq == conf.FromNow:
			at = position{} // nothing of the next daemon is missed
		}
		if !sleep(ctx, watchPause) {
			return nil
		}
	}
}

// read reads the events of a daemon until it ends, and returns where it was. An error
// is one with which it is no use to try again.
func (w *watching) read(ctx context.Context, client *control.Client, name string, at position) (position, error) {
	begun := false
	for e, err := range client.Events(ctx, at.seq) {
		var refused *uapi.Error
		switch {
		case errors.As(err, &refused):
			return at, fmt.Errorf("%s: the daemon gives no events: %w", name, err)
		case err != nil:
			continue // the last of this daemon
		case e.Kind == conf.EventsBegin:
			if at.run != "" && e.Run != at.run && e.Seq != 0 { // it was restarted
				return position{run: e.Run}, nil
			}
			begun, at = true, position{e.Run, e.Seq}
		}
		if err := w.sink.put(ctx, name, at.run, &e); err != nil {
			return at, err
		}
		at.seq = e.Seq
	}
	if begun && ctx.Err() == nil {
		end := conf.Event{Seq: at.seq, Time: time.Now(), Kind: conf.EventsEnd}
		return at, w.sink.put(ctx, name, at.run, &end)
	}
	return at, nil
}

// A printer prints events.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
}

func (*printer) last(string) (position, bool) { return position{}, false }

func (*printer) start(context.Context, string) error { return nil }

func (p *printer) put(_ context.Context, name, run string, e *conf.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		line, err := eventJSON(name, run, e)
		if err == nil {
			_, err = p.w.Write(line)
		}
		return err
	}
	if e.Kind == conf.EventsBegin {
		return nil // there is nothing to say to a person
	}
	_, err := fmt.Fprintln(p.w, show.EventLine(name, e))
	return err
}

// eventJSON returns an event as a line of JSON.
func eventJSON(name, run string, e *conf.Event) ([]byte, error) {
	line, err := json.Marshal(show.EventJSON(name, run, e))
	return append(line, '\n'), err
}
