package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A pane is a shell in a terminal of 80 columns and 24 rows, inside tmux on a host.
type pane struct {
	t *testing.T
	h *lab.Host
}

const tmuxSocket = "/run/tmux.sock"

func newPane(t *testing.T, h *lab.Host) *pane {
	t.Helper()
	p := &pane{t, h}
	h.Must("cd / && LANG=C.UTF-8 ENV= tmux -u -S %s -f /dev/null new-session -d -x 80 -y 24 'exec sh -i'", tmuxSocket)
	t.Cleanup(func() { h.Run("tmux -S " + tmuxSocket + " kill-server") })
	p.shows("#")
	return p
}

func (p *pane) tmux(format string, args ...any) string {
	p.t.Helper()
	return p.h.Must("tmux -u -S %s %s", tmuxSocket, fmt.Sprintf(format, args...))
}

// types types keys, named as tmux names them.
func (p *pane) types(keys string) {
	p.t.Helper()
	p.tmux("send-keys %s", keys)
}

// runs types a line for the shell.
func (p *pane) runs(line string) {
	p.t.Helper()
	p.tmux("send-keys -l '%s'", line)
	p.types("Enter")
}

func (p *pane) screen() string {
	p.t.Helper()
	return p.tmux("capture-pane -p")
}

// shows waits until the screen has each of the texts.
func (p *pane) shows(want ...string) string {
	p.t.Helper()
	return p.becomes(fmt.Sprintf("the screen shows %q", want), func(screen string) bool {
		for _, w := range want {
			if !strings.Contains(screen, w) {
				return false
			}
		}
		return true
	})
}

// lacks waits until the screen does not have the text.
func (p *pane) lacks(text string) {
	p.t.Helper()
	p.becomes(fmt.Sprintf("the screen does not show %q", text), func(screen string) bool { return !strings.Contains(screen, text) })
}

func (p *pane) becomes(what string, ok func(screen string) bool) (screen string) {
	p.t.Helper()
	lab.Until(p.t, 60*time.Second, what, func() (bool, string) {
		screen = p.screen()
		return ok(screen), screen
	})
	return screen
}

// restored waits until the shell has the terminal again, with the settings, the cursor
// and the screen that it had.
func (p *pane) restored() {
	p.t.Helper()
	// What is typed earlier could still be read by wgd top.
	lab.Until(p.t, 60*time.Second, "the shell is in the foreground", func() (bool, string) {
		name := strings.TrimSpace(p.tmux("display-message -p '#{pane_current_command}'"))
		return name == "sh", name
	})
	p.lacks("HANDSHAKE")
	p.runs(`stty -g > /run/after; echo writ""ten`) // the word is not in what is typed
	p.shows("written")
	if before, after := p.h.Must("cat /run/before"), p.h.Must("cat /run/after"); before != after {
		p.t.Errorf("the settings of the terminal were\n%s, and are\n%s", before, after)
	}
	if got := strings.TrimSpace(p.tmux("display-message -p '#{alternate_on} #{cursor_flag} #{wrap_flag}'")); got != "0 1 1" {
		p.t.Errorf("alternate screen, cursor, wrapping: %s, want 0 1 1", got)
	}
	p.runs("clear")
	p.lacks("written")
}

// TestTop: wgd top in a real terminal shows peers and their traffic, obeys keys, follows
// interfaces and the size of the terminal, and gives the terminal back however it ends.
func TestTop(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta := a.Tunnel(lab.Settings{Port: 1234, Addresses: []string{lab.InnerA4 + "/24"}})
	tb := b.Tunnel(lab.Settings{Port: 1235, Addresses: []string{lab.InnerB4 + "/24"}})
	ta.Add(tb, lab.Peer{AllowedIPs: lab.InnerB4 + "/32", Endpoint: "192.0.2.2:1235"})
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32"})
	_, other := keyPair(a)
	a.Must("wgconfig wg0 add peer zone %s --allowed-ips=10.77.0.0/16", other)

	p := newPane(t, a)
	p.runs("stty -g > /run/before; clear; wgd top; echo left=$?")
	p.shows("wgd top", "2 peers", "zone", "never-used")
	a.Must("ping -i 0.05 -s 1200 %s > /dev/null 2>&1 & echo $! > /run/ping.pid", lab.InnerB4)
	traffic := regexp.MustCompile(`(?m)^b +works +\d\S* [kM]?B +\d\S* [kM]?B +▁*[▂-█]+ .*192\.0\.2\.2:1235`)
	p.becomes("b has traffic, and a plot of it", traffic.MatchString)
	a.Must("kill $(cat /run/ping.pid)")
	t.Log("\n" + p.tmux("capture-pane -p -e"))

	p.types("/ 1 0 . 7 7")
	p.shows("filter: 10.77", "zone")
	p.lacks("192.0.2.2")
	p.types("Escape")
	p.shows("192.0.2.2")
	p.types("1")
	p.shows("PEER▼")
	p.types("r")
	p.shows("PEER▲")
	p.types("r")
	p.types("Space")
	p.shows("PAUSED")
	p.types("Space")
	p.lacks("PAUSED")
	p.types("?")
	p.shows("wgd top: keys", " as the highest of them.\n") // as wide as the screen
	p.types("?")
	p.shows("HANDSHAKE")
	p.types("End Enter")
	p.shows("peer zone of wg0", other, "cause", "no endpoint", "what to do")
	t.Log("\n" + p.screen())
	p.types("Enter")
	p.shows("HANDSHAKE")

	a.Tunnel(lab.Settings{Name: "wg1", Port: 1236})
	p.shows("2 interfaces", "wg1", "IFACE")
	a.Must("wg-ifconfig wg1 destroy")
	p.lacks("IFACE")
	p.tmux("resize-window -x 120 -y 30")
	p.shows("TOTAL")
	p.tmux("resize-window -x 60 -y 12")
	p.lacks("TOTAL")

	p.types("C-z")
	p.shows("Stopped")
	p.restored()
	p.runs("fg")
	p.shows("HANDSHAKE", "zone")
	p.types("q") // the shell has forgotten what was to follow wgd top
	p.restored()

	p.runs("wgd top; echo left=$?")
	p.shows("HANDSHAKE", "zone")
	p.types("q")
	p.shows("left=0")
	p.restored()

	p.runs("wgd top wg0; echo left=$?")
	p.shows("HANDSHAKE", "zone")
	a.Must("pid=$(tmux -S %s display-message -p '#{pane_pid}'); kill -TERM $(cat /proc/$pid/task/$pid/children)", tmuxSocket)
	p.shows("left=0")
	p.restored()
	p.runs("TERM=dumb wgd top; echo left=$?")
	p.shows("TERM=dumb", "wgd status", "left=1")
}
