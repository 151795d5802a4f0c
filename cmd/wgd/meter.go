package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"wgd/internal/cli"
)

// A meter counts the bytes that are written to it, and shows the rate while it
// runs: on a terminal in one line that it overwrites, elsewhere in one line per
// second.
type meter struct {
	call  *cli.Call
	limit time.Duration // how long it will run
	bytes atomic.Int64
	begun time.Time
	took  time.Duration
}

func newMeter(c *cli.Call, limit time.Duration) *meter { return &meter{call: c, limit: limit} }

func (m *meter) Write(b []byte) (int, error) {
	m.bytes.Add(int64(len(b)))
	return len(b), nil
}

// start shows the rate until stop is called.
func (m *meter) start() (stop func()) {
	m.begun = time.Now()
	terminal := cli.Terminal(m.call.Stdout)
	interval := time.Second
	if terminal {
		interval /= 5
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		last := int64(0)
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			now := m.bytes.Load()
			m.line(terminal, now-last, interval)
			last = now
		}
	}()
	return func() {
		m.took = time.Since(m.begun)
		close(end)
		<-ended
		if terminal {
			fmt.Fprint(m.call.Stdout, "\r\x1b[K")
		}
	}
}

func (m *meter) line(terminal bool, bytes int64, interval time.Duration) {
	elapsed := time.Since(m.begun)
	text := fmt.Sprintf("%4.1f s  %s", elapsed.Seconds(), rate(bytes, interval))
	if terminal {
		fmt.Fprintf(m.call.Stdout, "\r\x1b[K   %s  %s", bar(elapsed, m.limit), text)
	} else {
		fmt.Fprintf(m.call.Stdout, "   %s\n", text)
	}
}

// bar draws how much of the time is over.
func bar(elapsed, limit time.Duration) string {
	const width = 30
	full := min(int(width*elapsed/limit), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

// coloured reports whether headings stand out: on a terminal, unless the user declines
// (NO_COLOR, see no-color.org).
func coloured(w io.Writer) bool { return cli.Terminal(w) && os.Getenv("NO_COLOR") == "" }

func rate(bytes int64, d time.Duration) string {
	return fmt.Sprintf("%.2f Gbit/s", float64(bytes)*8/d.Seconds()/1e9)
}

// total returns a sentence about the whole transfer.
func (m *meter) total() string {
	n := m.bytes.Load()
	return fmt.Sprintf("%.0f MB arrived in %.1f s: %s.", float64(n)/1e6, m.took.Seconds(), rate(n, m.took))
}
