//go:build race

package core

// lessUnderRace shortens what takes minutes under the race detector, which has
// nothing to find in tests of one goroutine.
func lessUnderRace(n int) int { return max(1, n/20) }
