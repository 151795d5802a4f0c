//go:build !race

package wg

const underRace = false
