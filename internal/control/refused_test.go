package control

import (
	"bufio"
	"net"
	"path/filepath"
	"testing"
	"time"

	"wgd/internal/uapi"
)

// A client that may not connect, because there are too many, reads why, also if its request
// could not be sent any more.
func TestRefusalBeforeTheRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wg0.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		uapi.WriteResult(bufio.NewWriter(conn), uapi.EIO, "too many programs")
		conn.Close()
	}()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // usually it is closed then; otherwise it must be the same
	client := newClient("wg0", conn)
	defer client.Close()
	if _, err := client.Status(); err == nil || err.Error() != "too many programs" {
		t.Errorf("got %v", err)
	}
}
