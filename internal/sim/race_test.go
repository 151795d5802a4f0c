//go:build race

package sim

// scaled returns how often a test repeats something: a twentieth of n. The race
// detector slows key operations down and finds nothing here, because there are
// no goroutines.
func scaled(n int) int { return max(1, n/20) }
