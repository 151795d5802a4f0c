//go:build race

package aead

// raceEnabled: the race detector makes the simulated processor ten times as slow,
// and finds nothing in it. `make kernels` runs the proofs without.
const raceEnabled = true
