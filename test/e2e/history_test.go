package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// wgd history tells what wgd watch has written about a real tunnel: a peer that has
// connected, moved to another port, and was cut off when the interface went down.
func TestHistory(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	const file = "/run/history"
	a.Must("setsid wgd watch --log %s >/run/history.out 2>&1 </dev/null & echo $! >/run/history.pid", file)
	until := func(want string) {
		t.Helper()
		lab.Until(t, 30*time.Second, fmt.Sprintf("%s contains %q", file, want), func() (bool, string) {
			text := a.Must("cat %s || true", file)
			return strings.Contains(text, want), text
		})
	}
	until(`"kind":"begin"`)
	b.Ping(lab.InnerA4, 3)
	until(`"kind":"handshake-done"`)
	if out := a.Must("wgd history wg0 --log %s", file); !strings.Contains(out, "  1  connected  ") || strings.Contains(out, "?") {
		t.Errorf("while the peer is connected:\n%s", out)
	}
	b.Must("wgconfig wg0 set listen-port 7777")
	b.Ping(lab.InnerA4, 3)
	until(":7777")
	a.Must("ip link set wg0 down")
	until(`"kind":"down"`)
	a.Must("kill $(cat /run/history.pid) && while kill -0 $(cat /run/history.pid) 2>/dev/null; do sleep 0.05; done")

	var got struct {
		Peers []struct {
			State, Name string
			Spans       []struct {
				State, Reason string
				Endpoints     []string
			}
		}
	}
	out := a.Must("wgd history wg0 --json --log %s", file)
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Peers) != 1 || got.Peers[0].State != "unknown" {
		t.Fatalf("%v:\n%s", err, out)
	}
	spans := got.Peers[0].Spans
	if len(spans) < 2 {
		t.Fatalf("got\n%s", out)
	}
	connected, after := spans[len(spans)-2], spans[len(spans)-1]
	if n := len(connected.Endpoints); connected.State != "connected" || connected.Reason != "down" || n < 2 || !strings.HasSuffix(connected.Endpoints[n-1], ":7777") || after.State != "unknown" {
		t.Errorf("got\n%s", out)
	}
	if text := a.Must("wgd history wg0 %s --log %s", got.Peers[0].Name, file); !strings.Contains(text, " down ") || !strings.Contains(text, " was connected 1 time, ") {
		t.Errorf("got\n%s", text)
	}
}
