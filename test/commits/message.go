package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxWidth is the maximum number of characters of a line of a message.
const maxWidth = 72

// subject matches "room: what it does now". There may be several rooms.
var subject = regexp.MustCompile(`^[\w./*-]+(, [\w./*-]+)*: \S`)

// messageFaults returns what is wrong with a message.
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

// verbatim reports whether a line may be longer: it is indented, as figures, commands
// and their output are, or it is a single word, as an address is.
func verbatim(line string) bool {
	return strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t") || !strings.Contains(line, " ")
}
