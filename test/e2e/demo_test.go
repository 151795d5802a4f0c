package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// `wgd demo` needs no root, no TUN device and no network except the loopback. It ends
// within fifteen seconds.
func TestDemo(t *testing.T) {
	t.Parallel()
	h := lab.NewHost(t, "a")
	h.Must("mount -t tmpfs none /dev/net && mkdir -m 777 /run/home")
	r := h.RunFor(60*time.Second, "cd /run/home && HOME=/run/home setpriv --reuid 65534 --regid 65534 --clear-groups wgd demo", nil)
	if r.Code != 0 || r.Took > 15*time.Second {
		t.Fatalf("exit status %d after %v\n%s%s", r.Code, r.Took, r.Out, r.Err)
	}
	for _, word := range []string{"handshake", "ping", "bit/s", "latest-handshake:", "allowed-ips:"} {
		if !strings.Contains(strings.ToLower(r.Out), word) {
			t.Errorf("the demo does not print %q:\n%s", word, r.Out)
		}
	}
}
