package conf

import (
	"testing"
	"time"
)

// AddTunable gives the table a line more for the time of a test. It has the
// field of net.wg.rekey_timeout.
func AddTunable(t *testing.T, name string) {
	kept := tunables
	t.Cleanup(func() { tunables = kept })
	tunables = append(kept[:len(kept):len(kept)], newTunable(name, seconds,
		func(t *Tunables) *time.Duration { return &t.RekeyTimeout },
		func(c *TunablesChange) **time.Duration { return &c.RekeyTimeout }))
}
