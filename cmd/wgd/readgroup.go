package main

import (
	"fmt"
	"os"
	"strings"

	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/sys/unixsocket"
)

// optReadGroup lets a group read the state through the control socket.
var optReadGroup = cli.Option{Long: "read-group", Value: "GROUP",
	Text: "let the members of a group, given by its name or number, read the state through the control socket: everything but the private key and preshared keys. They can change nothing"}

// readGroup returns the group that may read the state; nil: none.
func readGroup(c *cli.Call) (*unixsocket.Group, error) {
	text, given := c.Value(optReadGroup.Long)
	if !given {
		return nil, nil
	}
	group, err := unixsocket.FindGroup(text)
	if err != nil {
		return nil, fmt.Errorf("--read-group %s: %w", quote.Text(text), err)
	}
	return &group, nil
}

// completeGroup offers the groups of this system.
func completeGroup([]string) (names []string) {
	text, _ := os.ReadFile("/etc/group")
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, name)
		}
	}
	return names
}
