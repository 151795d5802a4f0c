//go:build race

package aead

// thinning is how many lengths go by between those that are proved on the
// simulated processor; the race detector makes it ten times as slow.
const thinning = 331
