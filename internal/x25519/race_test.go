//go:build race

package x25519

// raceEnabled shortens or skips proofs on the simulated processor: the race
// detector makes it ten times slower and finds nothing in it. `make kernels`
// runs all proofs without the race detector.
const raceEnabled = true
