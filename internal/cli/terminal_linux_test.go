package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudoterminal. What is written to tty can be read from screen.
func terminal(t *testing.T) (tty, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: output on a terminal, which needs a pseudoterminal: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty, screen
}

func TestProgress(t *testing.T) {
	tty, screen := terminal(t)
	t.Setenv("TERM", "vt100")
	c := &Call{Command: sample(), Stderr: tty}
	done := c.Progress("waiting")
	time.Sleep(progressDelay + 200*time.Millisecond)
	done()
	done()
	fmt.Fprint(tty, "END")
	got := ""
	for buf := make([]byte, 1000); !strings.HasSuffix(got, "END"); {
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	if got != "sample: waiting ...\r\x1b[KEND" {
		t.Errorf("the terminal shows %q", got)
	}
}

// A terminal without escape sequences is treated like a file.
func TestDumbTerminal(t *testing.T) {
	tty, _ := terminal(t)
	for name, want := range map[string]bool{"vt100": true, "dumb": false, "": true} {
		t.Setenv("TERM", name)
		if got := Terminal(tty); got != want {
			t.Errorf("TERM=%q: Terminal: got %v, want %v", name, got, want)
		}
	}
}
