package interop

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"wgd/test/lab"
)

// dialHost connects to a unix socket of a host from outside: its path as the
// host's process has it.
func dialHost(h *lab.Host, path string) (net.Conn, error) {
	return net.Dial("unix", h.Path(path))
}

// readAnswer reads up to the empty line that ends an answer.
func readAnswer(t *testing.T, conn net.Conn) string {
	t.Helper()
	var b strings.Builder
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			t.Fatalf("after %q: %v", b.String(), err)
		}
		if line == "\n" {
			return b.String()
		}
	}
}
