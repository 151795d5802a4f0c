package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"wgd/conf"
	"wgd/internal/sys/process"
	"wgd/wg"
)

// logger is the daemon's log, whose level may change while it runs.
type logger struct {
	*slog.Logger
	level *slog.LevelVar
	base  slog.Level // without net.wg.debug
}

func newLogger(w io.Writer, base slog.Level, name string) *logger {
	level := new(slog.LevelVar)
	level.Set(base)
	handler := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
	return &logger{slog.New(handler).With("interface", name), level, base}
}

// silent is above every level that is used.
const silent = slog.LevelError + 1

// openLog makes the log of the level that the environment names. Other programs
// have levels of that name, too, and words for them that wireguard-go does not
// know and takes for its default: so it is here, but for a warning.
func openLog(w io.Writer, name string) *logger {
	word := os.Getenv(envLogLevel)
	level, known := logLevel(word)
	if f, ok := w.(*os.File); ok {
		w = process.LogFile(f)
	}
	log := newLogger(w, level, name)
	if !known {
		log.Warn(fmt.Sprintf("%s=%q is no level of wgd's, and counts as error: give silent, error or verbose", envLogLevel, word))
	}
	return log
}

func logLevel(word string) (level slog.Level, known bool) {
	switch word {
	case "verbose", "debug":
		return slog.LevelDebug, true
	case "silent":
		return silent, true
	}
	return slog.LevelWarn, word == "" || word == "error"
}

// target is the interface behind the control socket, and the log, which the
// tunable net.wg.debug makes say more.
type target struct {
	*wg.Interface
	log    *logger
	memory *trimmer
}

// apply is the interface's.
func (t target) apply(c conf.Change) error {
	if err := t.Interface.Apply(c); err != nil {
		return err
	}
	if debug := c.Tunables.Debug; debug != nil {
		t.log.level.Set(t.log.base)
		if *debug {
			t.log.level.Set(slog.LevelDebug)
		}
	}
	return nil
}
