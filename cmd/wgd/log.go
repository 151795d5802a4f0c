package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"wgd/conf"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
	"wgd/wg"
)

// A logger is the daemon's log, whose level may change while it runs.
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

// openLog creates the log, with the level in the environment variable LOG_LEVEL. Other
// programs use that variable as well, with words that wireguard-go treats as
// its default.
// So does openLog, but with a warning.
func openLog(w io.Writer, name string) *logger {
	word := os.Getenv(envLogLevel)
	level, known := logLevel(word)
	if f, ok := w.(*os.File); ok {
		w = process.LogFile(f)
	}
	log := newLogger(w, level, name)
	if !known {
		log.Warn(fmt.Sprintf("%s=%q is not a log level of wgd, and counts as error: give silent, error or verbose", envLogLevel, quote.Text(word)))
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

// A target is the interface behind the control socket, and the log, whose level the
// tunable net.wg.debug changes.
type target struct {
	*wg.Interface
	log    *logger
	memory *trimmer
}

// apply applies the change to the interface and to the log level.
func (t target) apply(by conf.Caller, c conf.Change) error {
	if err := t.Interface.ApplyBy(by, c); err != nil {
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
