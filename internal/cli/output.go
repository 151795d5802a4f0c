package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"wgd/internal/sys/term"
)

// progressDelay is how long the command may take before Progress prints a line.
const progressDelay = 2 * time.Second

// Terminal reports whether w is a terminal on which a line can be overwritten.
func Terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.Is(f) && os.Getenv("TERM") != "dumb"
}

// Columns returns the width of the terminal that w is, or 0 if it is none, or if its width
// is not known.
func Columns(w any) int {
	if !Terminal(w) {
		return 0
	}
	columns, _ := term.Size(w.(*os.File))
	return columns
}

// PrintJSON prints a value as indented JSON on standard output.
func (c *Call) PrintJSON(value any) error {
	encoder := json.NewEncoder(c.Stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Progress prints on a terminal what the command is waiting for, once that takes
// longer than two seconds. done removes the line.
func (c *Call) Progress(what string) (done func()) {
	if !Terminal(c.Stderr) {
		return func() {}
	}
	var mu sync.Mutex
	shown, ended := false, false
	timer := time.AfterFunc(progressDelay, func() {
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
