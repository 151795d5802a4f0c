package page

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wgd/test/lab"
)

const address = "127.0.0.1:9587"

// A site is wgd web on a host, with a browser.
type site struct {
	*browser
	entrance string
	pid      string // of wgd web
}

// newSite starts wgd web and a browser on a host.
func newSite(t *testing.T, h *lab.Host) *site {
	t.Helper()
	s := &site{}
	s.start(t, h)
	s.browser = newBrowser(t, h)
	return s
}

// start starts wgd web.
func (s *site) start(t *testing.T, h *lab.Host) {
	t.Helper()
	s.pid = strings.TrimSpace(h.Must("wgd web >/run/web.txt 2>>/run/wgd.log & echo $!"))
	lab.Until(t, patience, "wgd web has started", func() (bool, string) {
		text, _ := os.ReadFile(h.Path("/run/web.txt"))
		s.entrance = strings.TrimSpace(string(text))
		return s.entrance != "", h.Run("cat /run/wgd.log").Out
	})
}

// enter opens the page.
func (s *site) enter() {
	s.t.Helper()
	s.do(chromedp.Navigate(s.entrance))
	s.until(`location.pathname === "/" && !document.body.innerText.includes("Reading")`)
}

// look takes screenshots, and checks the page in light and dark.
func (s *site) look(name string) {
	s.t.Helper()
	s.shoot(name)
	for _, scheme := range schemes {
		s.paint(scheme)
		s.accessible(name + ", " + scheme)
	}
}

var schemes = []string{"light", "dark"}

// paint shows the page as if the user preferred light or dark.
func (s *site) paint(scheme string) {
	s.t.Helper()
	s.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// shoot takes screenshots of narrow and wide pages, in light and dark. They are written to
// the folder that WGD_ARTIFACTS names. Nothing may be wider than the screen.
func (s *site) shoot(name string) {
	s.t.Helper()
	dir := os.Getenv("WGD_ARTIFACTS")
	if dir == "" {
		dir = s.t.TempDir()
	}
	for _, scheme := range schemes {
		s.paint(scheme)
		for _, width := range []int64{360, 1440} {
			var png []byte
			s.do(chromedp.EmulateViewport(width, 900), chromedp.CaptureScreenshot(&png))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o644); err != nil {
				s.t.Fatal(err)
			}
			if wide := value[int64](s.browser, "document.documentElement.scrollWidth"); wide > width {
				s.t.Errorf("%s: the page is %d pixels wide on a screen of %d", name, wide, width)
			}
		}
	}
}

// TestPage opens the page before anything runs, while a tunnel is used, and with 10,000
// peers, and destroys what it shows.
func TestPage(t *testing.T) {
	a, b := lab.Pair(t)
	s := newSite(t, a)
	s.enter()
	s.until(`document.body.innerText.includes("No interface is running")`)
	s.look("empty")

	ta := a.Tunnel(lab.Settings{Port: 51820, Addresses: []string{lab.InnerA4 + "/24"}})
	tb := b.Tunnel(lab.Settings{Port: 51820, Addresses: []string{lab.InnerB4 + "/24"}})
	ta.Add(tb, lab.Peer{AllowedIPs: lab.InnerB4 + "/32"})
	tb.Add(ta, lab.Peer{AllowedIPs: lab.InnerA4 + "/32", Endpoint: "192.0.2.1:51820"})
	a.Must("wgconfig wg0 add peer nobody $(wg-keygen | wg-keygen --pub) --allowed-ips=10.99.0.1/32 --endpoint=127.0.0.1:7")
	s.live(b)
	s.explains()
	s.look("two")
	s.many()
	s.keyboard()
	s.neverReads()
	s.vanishes()
	s.lost()
}

// live proves that the page follows without being loaded again.
func (s *site) live(other *lab.Host) {
	s.t.Helper()
	s.until(`document.querySelectorAll("#peers tbody").length === 2`)
	s.do(chromedp.Evaluate("window.kept = true", nil))
	other.Must("ping -n -c 3 -i 0.2 %s", lab.InnerA4)
	s.until(`[...document.querySelectorAll(".state.works")].length === 1`)
	s.until(`[...document.querySelectorAll("td.number")].some(td => td.textContent === "just now" || / s ago$/.test(td.textContent))`)
	s.until(`[...document.querySelectorAll(".rate polyline, .age polyline")].some(p => p.getAttribute("points").split(" ").length > 3)`)
	if !value[bool](s.browser, "window.kept === true") {
		s.t.Error("the page was loaded again")
	}
}

// explains proves that the reason is beside a peer that does not work, and all of them in
// its details.
func (s *site) explains() {
	s.t.Helper()
	s.h.Run("ping -n -c 1 -W 1 10.99.0.1") // there is no route: the address is given to the tunnel
	s.h.Must("ip route add 10.99.0.0/24 dev wg0")
	s.h.Run("ping -n -c 1 -W 1 10.99.0.1")
	s.until(`[...document.querySelectorAll("tr.reason")].some(r => !r.hidden && r.textContent.includes("nothing comes back from 127.0.0.1:7"))`)
	s.hit(button("td.name button", "nobody"))
	s.until(`(document.querySelector("tr.detail") || {}).textContent?.includes("What to do")`)
}

// many proves that 10,000 peers can be sorted and searched.
func (s *site) many() {
	s.t.Helper()
	const peers = 10_000
	s.h.Must("wg-ifconfig wg1 create inet 10.77.0.1/16 && wg-keygen > /etc/wg/wg1 && wgconfig wg1 set private-key /etc/wg/wg1 && wg-ifconfig wg1 up")
	var file strings.Builder
	for i := range peers {
		fmt.Fprintf(&file, "[Peer]\nPublicKey = %08d%s=\nAllowedIPs = 10.77.%d.%d/32\n", i, strings.Repeat("A", 35), i/256, i%256)
	}
	s.h.Write("/run/many.conf", file.String())
	s.h.Must("wg addconf wg1 /run/many.conf")
	s.until(`[...document.querySelectorAll("#interfaces button")].some(b => b.textContent === "wg1")`)
	s.hit(button("#interfaces button", "wg1"))
	s.until(`document.getElementById("found").textContent === "10000 peers" && document.querySelectorAll("#peers tbody").length === 100`)
	s.shoot("many")
	s.do(chromedp.SendKeys("#search", "10.77.39.15/"))
	s.until(`document.getElementById("found").textContent === "1 of 10000 peers" && document.querySelectorAll("#peers tbody").length === 1`)
	s.do(chromedp.SendKeys("#search", "nothing"))
	s.until(`document.body.innerText.includes("No peer matches the search.")`)
	s.do(chromedp.Evaluate(`document.getElementById("search").value = ""`, nil), chromedp.SendKeys("#search", " "))
	s.until(`document.querySelectorAll("#peers tbody").length === 100`)
	sortBy := `document.querySelector("th[data-sort=name] button")`
	s.hit(sortBy)
	s.until(`document.querySelector("th[data-sort=name]").ariaSort === "ascending"`)
	name := `document.querySelector("#peers tbody button").textContent`
	lowest := value[string](s.browser, name)
	s.hit(sortBy)
	s.until(`document.querySelector("th[data-sort=name]").ariaSort === "descending" && ` + name + ` > "` + lowest + `"`)
	s.hit(`document.getElementById("after")`)
	s.until(`document.getElementById("page").textContent === "Page 2 of 100" && document.querySelectorAll("#peers tbody").length === 100`)
}

// keyboard proves that Tab reaches everything in its order and leaves the page, that Enter
// opens the details of a peer, and that Escape closes them.
func (s *site) keyboard() {
	s.t.Helper()
	s.hit(button("#interfaces button", "wg0"))
	s.until(`document.querySelectorAll("#peers tbody").length === 2`)
	s.do(chromedp.Evaluate(`document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); window.all = [...document.querySelectorAll("button, input")].filter(e => e.checkVisibility() && !e.disabled)`, nil))
	for i := range value[int](s.browser, "all.length") {
		s.press(kb.Tab)
		if at := value[int](s.browser, "all.indexOf(document.activeElement)"); at != i {
			s.t.Fatalf("Tab %d leads to number %d: %s", i, at, value[string](s.browser, "document.activeElement.outerHTML.slice(0, 200)"))
		}
		if !value[bool](s.browser, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			s.t.Errorf("the focus on number %d cannot be seen", i)
		}
	}
	s.press(kb.Tab)
	if !value[bool](s.browser, `all.indexOf(document.activeElement) <= 0`) {
		s.t.Error("Tab does not leave the last element")
	}
	s.do(chromedp.Evaluate(`document.querySelector("#peers tbody button").focus()`, nil))
	s.press(kb.Enter)
	s.until(`document.querySelector("tr.detail") !== null && document.activeElement.ariaExpanded === "true"`)
	s.press(kb.Escape)
	s.until(`document.querySelector("tr.detail") === null && document.activeElement === document.querySelector("#peers tbody button")`)
}

// neverReads proves that browsers that never read cost wgd web no memory, and do not delay
// the others.
func (s *site) neverReads() {
	s.t.Helper()
	pid := 0
	fmt.Sscan(s.pid, &pid)
	before, err := s.h.Stat(pid)
	if err != nil {
		s.t.Fatal(err)
	}
	cookie := s.h.Must("curl -fsS -o /dev/null -c - '%s' | awk '/wgd-web/ { print $6 \"=\" $7 }'", s.entrance)
	to := forward(s.t, s.h, "9587")
	for range 20 {
		conn, err := net.Dial("tcp", to)
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(4096)
		fmt.Fprintf(conn, "GET /stream?interface=wg1 HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", address, strings.TrimSpace(cookie))
	}
	rows := value[string](s.browser, `String(last.now)`)
	for range 5 { // readings that the page gets meanwhile
		s.until(`String(last.now) !== "` + rows + `"`)
		rows = value[string](s.browser, `String(last.now)`)
	}
	after, err := s.h.Stat(pid)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("wgd web: %d KiB before, %d KiB after", before.Resident, after.Resident)
	if grown := after.Resident - before.Resident; grown > 64<<10 {
		s.t.Errorf("wgd web has grown by %d KiB", grown)
	}
}

// vanishes proves that the page says that what it shows has ended.
func (s *site) vanishes() {
	s.t.Helper()
	s.hit(button("#interfaces button", "wg1"))
	s.until(`document.querySelectorAll("#peers tbody").length > 2`)
	s.h.Must("wg-ifconfig wg1 destroy")
	s.until(`document.getElementById("problem").textContent.startsWith("wg1 has ended") && document.querySelectorAll("#peers tbody").length === 0`)
	s.look("vanished")
}

// lost proves that the page says that wgd web has ended, and what to do.
func (s *site) lost() {
	s.t.Helper()
	s.h.Must("kill %s", s.pid)
	s.until(`document.getElementById("problem").textContent.startsWith("The connection to wgd web is lost")`)
	s.look("lost")
}

// TestStrangers proves that a browser without the token, with a wrong one, under a foreign
// name, or with a form of another site gets nothing but a sentence.
func TestStrangers(t *testing.T) {
	h := lab.NewHost(t, "a")
	s := newSite(t, h)
	for _, c := range []struct{ url, want string }{
		{"http://" + address + "/", "Not let in yet"},
		{regexp.MustCompile(`token=.*`).ReplaceAllString(s.entrance, "token=AAAA"), "Wrong token"},
		{"http://" + address + "/enter", "Wrong token"},
	} {
		s.do(chromedp.Navigate(c.url))
		s.until(fmt.Sprintf("document.querySelector('h1').textContent === %q && document.querySelector('table') === null", c.want))
	}
	s.look("refused")
	s.enter()
	s.do(chromedp.Navigate("http://stranger.test:9587/"))
	s.until(`document.querySelector("h1").textContent === "Another name"`)
	s.do(chromedp.Navigate("data:text/html,<form method=post action=http://" + address + "/><button id=go>"))
	s.do(chromedp.Click("#go"))
	s.until(`location.host === "` + address + `" && document.querySelector("h1").textContent === "Another site"`)
	s.enter() // the cookie is still good
	s.until(`document.body.innerText.includes("No interface is running")`)
}
