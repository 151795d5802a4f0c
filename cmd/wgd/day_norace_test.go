//go:build !race

package main

import "testing"

// wgd history is right about a simulated day.
func TestHistoryOfADay(t *testing.T) { compareDays(t, wholeDay) }
