package conf

import (
	"testing"
	"time"
)

// AddTunable adds a row to the table for the duration of a test. It is stored in
// the field of net.wg.rekey_timeout.
func AddTunable(t *testing.T, name string) {
	old := tunables
	t.Cleanup(func() { tunables = old })
	tunables = append(old[:len(old):len(old)], newTunable(name, seconds,
		func(t *Tunables) *time.Duration { return &t.RekeyTimeout },
		func(c *TunablesChange) **time.Duration { return &c.RekeyTimeout }))
}
