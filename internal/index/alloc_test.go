//go:build !race

package index

import "testing"

// The data plane calls Lookup for each section of a batch.
func TestLookupAllocatesNothing(t *testing.T) {
	table := New()
	i, _ := table.Reserve(seeded(1), &Entry{})
	if n := testing.AllocsPerRun(100, func() { table.Lookup(i); table.Lookup(i + 1) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
