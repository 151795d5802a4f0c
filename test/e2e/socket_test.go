package e2e

import (
	"net"
	"testing"
	"time"

	"wgd/test/lab"
)

// Clients that connect to the control socket and send nothing do not lock others out,
// nor do those that stop in the middle of a request. That holds even if the daemon may
// open fewer files than it would have connections.
func TestIdleControlConnections(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	for start, clients := range map[string]int{"wgd wg0": 600, "ulimit -n 64; wgd wg0": 100} {
		for _, sent := range []string{"", "set=1\nlisten_port=5\n"} {
			h.Must("%s", start)
			for range clients {
				conn, err := net.Dial("unix", h.Path("/run/wireguard/wg0.sock"))
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.Write([]byte(sent))
			}
			for range 3 {
				r := h.RunFor(20*time.Second, "wg show wg0 && wgconfig wg0 set listen-port 1234 && wg-ifconfig wg0 up", nil)
				if r.Code != 0 || r.Took > 10*time.Second {
					t.Fatalf("%s, %d clients that sent %q: exit status %d after %v\n%s", start, clients, sent, r.Code, r.Took, r.Err)
				}
			}
			h.Must("wg-ifconfig wg0 destroy")
			ends(t, h, 10*time.Second)
		}
	}
}
