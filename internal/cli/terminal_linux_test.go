package cli

import (
	"testing"
	"time"

	"wgd/internal/sys/term/termtest"
)

func TestProgress(t *testing.T) {
	tty, screen := termtest.Open(t, 80)
	t.Setenv("TERM", "vt100")
	c := &Call{Command: sample(), Stderr: tty}
	done := c.Progress("waiting")
	time.Sleep(progressDelay + 200*time.Millisecond)
	done()
	done()
	if got := screen(); got != "sample: waiting ...\r\x1b[K" {
		t.Errorf("the terminal shows %q", got)
	}
}

// A terminal without escape sequences is treated like a file.
func TestDumbTerminal(t *testing.T) {
	tty, _ := termtest.Open(t, 80)
	for name, want := range map[string]bool{"vt100": true, "dumb": false, "": true} {
		t.Setenv("TERM", name)
		if got := Terminal(tty); got != want {
			t.Errorf("TERM=%q: Terminal: got %v, want %v", name, got, want)
		}
	}
}
