package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"wgd/internal/sys/term"
)

// patience is how long something may take before a person is told that it is
// still going on.
const patience = 2 * time.Second

// Color is a style of text on a terminal.
type Color string

// The colours in use.
const (
	Bold   Color = "1"
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
)

// Terminal reports whether what is written to w is seen on a terminal.
func Terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.Is(f)
}

// Paint gives text its colour if w is a terminal and NO_COLOR is not set.
func Paint(w io.Writer, color Color, text string) string {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !Terminal(w) {
		return text
	}
	return "\x1b[" + string(color) + "m" + text + "\x1b[0m"
}

// PrintJSON prints a value for machines: indented, one value a call.
func (c *Call) PrintJSON(value any) error {
	encoder := json.NewEncoder(c.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Progress tells a person at a terminal what the command is waiting for, once
// that takes longer than two seconds. The line disappears when done is called.
func (c *Call) Progress(what string) (done func()) {
	if !Terminal(c.Stderr) {
		return func() {}
	}
	var mu sync.Mutex
	shown, ended := false, false
	timer := time.AfterFunc(patience, func() {
		mu.Lock()
		defer mu.Unlock()
		if !ended {
			shown = true
			fmt.Fprintf(c.Stderr, "%s: %s ...", c.Command.Name, what)
		}
	})
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		if shown && !ended {
			fmt.Fprint(c.Stderr, "\r\x1b[K")
		}
		ended = true
	}
}

// ReadableByOthers reports whether somebody beside its owner may read the
// regular file: a key in it is used, with a warning.
func ReadableByOthers(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0
}
