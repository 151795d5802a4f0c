package main

import (
	"bytes"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/clitest"
)

// A key that stands in the wrong place is not repeated. The
// interface of the examples is there and reports no events, so that wgd watch ends.
func TestNoKeyRepeated(t *testing.T) {
	serveTargets(t, conf.Status{Name: "wg0"})
	t.Chdir(t.TempDir()) // a key may be taken for the name of a file
	clitest.NoKeyRepeated(t, command(), func(args ...string) string {
		var printed bytes.Buffer
		cli.Run(command(), args, strings.NewReader(""), &printed, &printed)
		return printed.String()
	})
}
