//go:build race

package wg

// underRace says that the race detector is on, which needs much memory.
const underRace = true
