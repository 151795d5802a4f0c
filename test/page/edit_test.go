package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wgd/test/lab"
)

// TestEdit adds, changes and removes peers on the page, and compares that with what the
// commands do that the page has shown.
func TestEdit(t *testing.T) {
	a, b := lab.Pair(t)
	a.Tunnel(lab.Settings{Port: 51820, Addresses: []string{lab.InnerA4 + "/24"}})
	a.Must("wgconfig wg0 add peer other $(wg-keygen | wg-keygen --pub) --allowed-ips=%s/32", lab.InnerB4)
	s := newSite(t, a)
	s.enter()
	s.until(`document.querySelectorAll("#peers tbody").length === 1`)
	s.adds()
	s.changes()
	s.removes()
	s.makes(b)
}

const command = `document.getElementById("command").textContent`

// asShown runs the command that the page has shown, after another one, and proves that the
// peer C becomes what the page has made of it.
func (s *site) asShown(before, shown string) {
	s.t.Helper()
	const show = `wgconfig wg0 show peer C --json | grep -E '"(name|public_key|endpoint|persistent_keepalive)"|^ *"[0-9a-f.:]+/[0-9]+"'`
	made := s.h.Must("%s", show)
	s.h.Must("%s", before)
	if s.h.Run(show).Out == made {
		s.t.Fatalf("%s changes nothing: this would prove nothing", before)
	}
	s.h.Must("%s", shown)
	again := s.h.Must("%s", show)
	for range 2 { // the page has read it, too, and keeps the row from now on
		read := value[string](s.browser, "String(last.now)")
		s.until(`String(last.now) !== "` + read + `"`)
	}
	if again != made {
		s.t.Errorf("the page has made\n%s\nand %s makes\n%s", made, shown, again)
	}
}

// adds adds a peer by the keyboard alone.
func (s *site) adds() {
	s.t.Helper()
	public := strings.TrimSpace(s.h.Must("wg-keygen | wg-keygen --pub"))
	s.do(chromedp.Focus("#add"))
	s.press(kb.Enter)
	s.until(`document.activeElement.id === "in-name"`)
	s.press("C", kb.Tab, public, kb.Tab, "10.2.0.40/32,fd00::40/128", kb.Tab, "[2001:db8::1]:7", kb.Tab, "25")
	s.until(command + `.endsWith("--persistent-keepalive=25") && ` + command + `.includes("2001:db8")`)
	shown := value[string](s.browser, command)
	s.look("add")
	s.press(kb.Enter)
	s.until(`!document.getElementById("form").open && [...document.querySelectorAll("td.name button")].some(b => b.textContent === "C")`)
	s.asShown("wgconfig wg0 delete peer C", shown)
}

// changes changes a peer, after an error.
func (s *site) changes() {
	s.t.Helper()
	s.hit(button("td.name button", "C"))
	s.hit(button("tr.detail button", "Change"))
	s.until(`document.getElementById("form").open && document.getElementById("in-keepalive").value === "25"`)
	s.do(chromedp.Evaluate(`document.getElementById("in-keepalive").value = ""`, nil), chromedp.SendKeys("#in-keepalive", "soon"+kb.Enter))
	s.until(`document.getElementById("error-keepalive").textContent.includes("or off") && document.activeElement.id === "in-keepalive"`)
	s.look("error")
	s.do(chromedp.Evaluate(`document.getElementById("in-keepalive").value = ""`, nil), chromedp.SendKeys("#in-keepalive", "7"))
	s.until(command + ` === "wgconfig wg0 set peer C --persistent-keepalive=7"`)
	shown := value[string](s.browser, command)
	s.press(kb.Enter)
	s.until(`!document.getElementById("form").open`)
	s.asShown("wgconfig wg0 set peer C --persistent-keepalive=9", shown)
}

// removes removes a peer: not with Escape, and only after a question.
func (s *site) removes() {
	s.t.Helper()
	open := func() {
		s.t.Helper()
		s.hit(button("tr.detail button", "Remove"))
		s.until(`document.getElementById("form").open && document.activeElement.textContent === "Cancel" && ` + command + ` === "wgconfig wg0 delete peer C"`)
	}
	open()
	s.look("remove")
	s.press(kb.Escape)
	s.until(`!document.getElementById("form").open`)
	s.h.Must("wgconfig wg0 show peer C")
	open()
	s.do(chromedp.Focus("#apply"))
	s.press(kb.Enter)
	s.until(`!document.getElementById("form").open && document.querySelectorAll("#peers tbody").length === 1`)
	s.h.Fails(1, "wgconfig wg0 show peer C", "no such peer")
}

// makes makes a key pair and a file for a new peer, with which that one gets through, and
// proves that nothing of it stays on the page.
func (s *site) makes(other *lab.Host) {
	s.t.Helper()
	s.hit(`document.getElementById("add")`)
	s.hit(`document.querySelector("input[value=make]")`)
	s.until(`document.getElementById("in-address").value === "10.2.0.3/32" && document.getElementById("in-client-allowed").value === "10.2.0.0/24"`)
	s.do(chromedp.SendKeys("#in-name", "D"+kb.Enter))
	s.until(`document.activeElement.id === "in-client-endpoint" && document.getElementById("error-client-endpoint").textContent.includes("reaches this host")`)
	s.do(chromedp.SendKeys("#in-client-endpoint", "192.0.2.1:51820"))
	s.until(command + `.includes("--allowed-ips=10.2.0.3/32")`)
	s.look("make")
	s.hit(`document.getElementById("apply")`)
	s.until(`document.getElementById("file").open && document.querySelector("#code path") !== null`)
	s.look("file")
	text := value[string](s.browser, `document.getElementById("text").textContent`)
	other.Write("/etc/wireguard/d.conf", text)
	if out := other.Must("wgd proxy d --ping %s", lab.InnerA4); !strings.Contains(out, "4 received, 0% packet loss") {
		s.t.Errorf("with the file of the new peer: %s", out)
	}
	s.press(kb.Escape)
	private := strings.Fields(text)[3]
	s.until(fmt.Sprintf(`!document.getElementById("file").open && !document.documentElement.outerHTML.includes(%q)`, private))
	if log := s.h.Run("cat /run/wgd.log").Out; strings.Contains(log, private) {
		s.t.Error("the private key is in a log")
	}
}
