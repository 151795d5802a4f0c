package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxWidth is how many characters a line of a message has at most.
const maxWidth = 72

// subject is "room: what it does now". There may be several rooms.
var subject = regexp.MustCompile(`^[\w./*-]+(, [\w./*-]+)*: \S`)

// messageFaults are the ways in which a message is not what it should be.
func messageFaults(message string) (faults []string) {
	lines := strings.Split(strings.TrimRight(message, "\n"), "\n")
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !subject.MatchString(lines[0]) {
		fault("the first line is not `room: what it does now`: %q", lines[0])
	}
	if n := utf8.RuneCountInString(lines[0]); n > maxWidth {
		fault("the first line has %d characters, over %d: %q", n, maxWidth, lines[0])
	}
	if len(lines) > 1 && lines[1] != "" {
		fault("the second line is not empty: %q", lines[1])
	}
	for i, line := range lines[1:] {
		if n := utf8.RuneCountInString(line); n > maxWidth && !verbatim(line) {
			fault("line %d has %d characters, over %d: %q", i+2, n, maxWidth, line)
		}
	}
	return faults
}

// verbatim reports whether a line may be as long as it is: it is indented, which
// is for figures, commands and what they print, or one word, as an address is.
func verbatim(line string) bool {
	return strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t") || !strings.Contains(line, " ")
}
