//go:build race

package main

import (
	"testing"
	"time"
)

// wgd history is right about a part of a simulated day. The race detector makes the keys of
// a whole one take a minute.
func TestHistoryOfAPartOfADay(t *testing.T) { compareDays(t, 4*time.Hour) }
