package lanes

import (
	"time"

	"wgd/internal/sys/cpu"
)

// A coreMeter measures how the cores of this machine were used since it was read
// last.
type coreMeter struct {
	usage func() (cpu.Times, error) // nil: it is not known
	last  cpu.Times
	known bool // last is
}

// read returns how many cores this process used during span, the time since the
// previous reading, and how many were idle. known reports whether both readings
// succeeded.
func (m *coreMeter) read(span time.Duration) (own, idle float64, known bool) {
	if m.usage == nil {
		return 0, 0, false
	}
	t, err := m.usage()
	last, known := m.last, m.known && err == nil
	m.last, m.known = t, err == nil
	return (t.Own - last.Own).Seconds() / span.Seconds(), (t.Idle - last.Idle).Seconds() / span.Seconds(), known
}

// forget makes the next reading the first.
func (m *coreMeter) forget() { m.known = false }
