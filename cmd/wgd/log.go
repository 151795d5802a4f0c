package main

import (
	"fmt"
	"io"
	"log/slog"

	"wgd/conf"
	"wgd/wg"
)

// logger is the daemon's log, whose level may change while it runs.
type logger struct {
	*slog.Logger
	level *slog.LevelVar
	usual slog.Level // without net.wg.debug
}

func newLogger(w io.Writer, usual slog.Level, name string) *logger {
	level := new(slog.LevelVar)
	level.Set(usual)
	handler := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
	return &logger{slog.New(handler).With("interface", name), level, usual}
}

// silent is above every level that is used.
const silent = slog.LevelError + 1

func logLevel(word string) (slog.Level, error) {
	switch word {
	case "verbose", "debug":
		return slog.LevelDebug, nil
	case "", "error":
		return slog.LevelWarn, nil
	case "silent":
		return silent, nil
	}
	return 0, fmt.Errorf("%s=%q: no such level: give silent, error or verbose", envLogLevel, word)
}

// target is the interface behind the control socket, and the log, which the
// tunable net.wg.debug makes say more.
type target struct {
	*wg.Interface
	log    *logger
	memory *tidier
}

// apply is the interface's.
func (t target) apply(c conf.Change) error {
	if err := t.Interface.Apply(c); err != nil {
		return err
	}
	if debug := c.Tunables.Debug; debug != nil {
		t.log.level.Set(t.log.usual)
		if *debug {
			t.log.level.Set(slog.LevelDebug)
		}
	}
	return nil
}
