package main

import (
	"strings"
	"testing"
)

// --since takes a number, or the run of a daemon and a number; anything else is refused
// with a sentence that says what to give.
func TestPosition(t *testing.T) {
	for word, want := range map[string]position{
		"0": {"", 0}, "17": {"", 17}, "9223372036854775807": {"", 1<<63 - 1},
		thisRun + ":3": {thisRun, 3}, "R1:0": {"R1", 0},
	} {
		if got, err := parsePosition(word); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", word, got, err, want)
		}
	}
	for _, word := range []string{
		"", "x", "-1", "1.5", " 1", "9223372036854775808", "R1", "R1:", "R1:x", "R1:-1", ":3", "a b:3", "../R:3", "R1:2:3", "R\n1:3",
		strings.Repeat("R", 65) + ":1", "R1\x00:1",
	} {
		got, err := parsePosition(word)
		if err == nil {
			t.Errorf("%q is taken for %+v", word, got)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "RUN:SEQ") || strings.ContainsAny(text, "\n\x00") {
			t.Errorf("%q: the error %q", word, text)
		}
	}
}
