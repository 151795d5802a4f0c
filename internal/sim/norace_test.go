//go:build !race

package sim

// scaled returns how often a test repeats something: n times.
func scaled(n int) int { return n }
