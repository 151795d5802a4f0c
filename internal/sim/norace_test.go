//go:build !race

package sim

// part of n is how often a test does what it does over and over: all of it.
func scaled(n int) int { return n }
