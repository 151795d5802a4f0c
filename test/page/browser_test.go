package page

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"wgd/internal/sys/netns"
	"wgd/test/lab"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// A browser is Chromium on a host, with a tab.
type browser struct {
	t   *testing.T
	h   *lab.Host
	tab context.Context
}

// newBrowser starts Chromium on a host. The test reaches its debugger through a forwarder.
func newBrowser(t *testing.T, h *lab.Host) *browser {
	t.Helper()
	h.Must("mkdir -p /run/chromium && HOME=/run chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars " +
		"--disable-background-networking --disable-sync --disable-extensions --mute-audio --font-render-hinting=none " +
		"--host-resolver-rules='MAP *.test 127.0.0.1' " +
		"--user-data-dir=/run/chromium --remote-debugging-port=0 about:blank >/run/chromium.log 2>&1 &")
	port := ""
	lab.Until(t, patience, "Chromium has started", func() (bool, string) {
		text, err := os.ReadFile(h.Path("/run/chromium/DevToolsActivePort"))
		lines := strings.Fields(string(text))
		if err != nil || len(lines) != 2 {
			return false, h.Run("cat /run/chromium.log").Out
		}
		port = lines[0]
		return true, ""
	})
	allocator, stop := chromedp.NewRemoteAllocator(context.Background(), "ws://"+forward(t, h, port))
	// This chromedp logs each event that is newer than itself as an error.
	tab, leave := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() { leave(); stop() })
	if err := chromedp.Run(tab); err != nil { // the context of the first call is that of the tab
		t.Fatal(err)
	}
	b := &browser{t, h, tab}
	b.do(chromedp.EmulateViewport(1440, 900))
	return b
}

// do runs actions in the tab.
func (b *browser) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
}

// value returns what an expression of JavaScript is.
func value[T any](b *browser, expression string) (v T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &v))
	return v
}

// until waits until an expression of JavaScript is true. While a page is being replaced, it
// is not.
func (b *browser) until(expression string) {
	b.t.Helper()
	lab.Until(b.t, patience, "in the browser: "+expression, func() (bool, string) {
		ctx, cancel := context.WithTimeout(b.tab, patience)
		defer cancel()
		var seen struct {
			OK   bool
			Text string
		}
		err := chromedp.Run(ctx, chromedp.Evaluate(`(() => {
			const text = location.href + "\n" + (document.body ? document.body.innerText.slice(0, 3000) : "");
			try { return {OK: Boolean(`+expression+`), Text: text}; } catch (e) { return {OK: false, Text: e + "\n" + text}; }
		})()`, &seen))
		return err == nil && seen.OK, fmt.Sprint(seen.Text, err)
	})
}

// hit clicks what an expression of JavaScript is, as soon as it can be seen. It is found and
// clicked in one step, because the page may move it at any time.
func (b *browser) hit(expression string) {
	b.t.Helper()
	b.until(`(() => { const e = ` + expression + `; if (!e || !e.checkVisibility()) return false; e.click(); return true; })()`)
}

// button is the button with a text, of those that a selector finds.
func button(selector, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll(%q)].find(b => b.textContent === %q)", selector, text)
}

// press presses keys, one after the other.
func (b *browser) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// forward returns an address of this machine that leads to a port of the loopback interface
// of a host.
func forward(t *testing.T, h *lab.Host, port string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go pipe(conn, h, port)
		}
	}()
	return listener.Addr().String()
}

// pipe connects conn with a port of a host, until one side closes.
func pipe(conn net.Conn, h *lab.Host, port string) {
	defer conn.Close()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.PID()))
	if err != nil {
		return
	}
	defer ns.Close()
	var inside net.Conn
	if netns.Do(ns, func() (err error) { inside, err = net.Dial("tcp", "127.0.0.1:"+port); return err }) != nil {
		return
	}
	defer inside.Close()
	go func() {
		io.Copy(inside, conn)
		inside.Close()
	}()
	io.Copy(conn, inside)
}
