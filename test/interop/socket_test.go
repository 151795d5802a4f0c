package interop

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"wgd/test/lab"
)

// dialHost connects to a Unix socket of a host, by its path on the host.
func dialHost(h *lab.Host, path string) (net.Conn, error) {
	return net.Dial("unix", h.Path(path))
}

// readAnswer reads an answer up to the empty line that ends it.
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
