//go:build !race

package index

import "testing"

// The data plane looks up every run of packets.
func TestLookupAllocatesNothing(t *testing.T) {
	table := New()
	i, _ := table.Reserve(seeded(1), &Entry{})
	if n := testing.AllocsPerRun(100, func() { table.Lookup(i); table.Lookup(i + 1) }); n != 0 {
		t.Errorf("Lookup allocates %v times", n)
	}
}
