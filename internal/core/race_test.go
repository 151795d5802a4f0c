//go:build race

package core

// lessUnderRace shortens tests that take minutes under the race detector, which
// has nothing to find in tests with one goroutine.
func lessUnderRace(n int) int { return max(1, n/20) }
