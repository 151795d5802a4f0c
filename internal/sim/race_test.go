//go:build race

package sim

// part of n: under the race detector, which slows keys down most and has
// nothing to find where there are no goroutines, a twentieth.
func scaled(n int) int { return max(1, n/20) }
