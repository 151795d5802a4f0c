package e2e

import (
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A dead name server delays only the command that queries it. The daemon resolves no
// names, so meanwhile it forwards packets and accepts commands. // A63, B63
func TestDeadNameServer(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	b.Ping(lab.InnerA4, 1)
	a.Write("/run/resolv.conf", "nameserver 192.0.2.99\noptions timeout:30 attempts:1\n") // no host has this address
	a.Must("mount --bind /run/resolv.conf /etc/resolv.conf")
	public := func() string { return strings.TrimSpace(a.Must("wg-keygen | wg-keygen --pub")) }

	// Two commands wait for a name: one for the peer with the traffic, one for a new peer.
	a.Must("(wgconfig wg0 set peer b --endpoint=moved.example:1235 > /run/set.out 2>&1; echo ended >> /run/set.out) < /dev/null > /dev/null 2>&1 &")
	a.Must("(wgconfig wg0 add peer c %s --endpoint=new.example:1235 > /run/add.out 2>&1; echo ended >> /run/add.out) < /dev/null > /dev/null 2>&1 &", public())
	time.Sleep(300 * time.Millisecond)
	began := time.Now()
	b.Ping(lab.InnerA4, 3)
	a.Ping(lab.InnerB4, 3)
	a.Must("wgconfig wg0 add peer d %s --endpoint=192.0.2.98:1", public())
	contains(t, a.Must("wgconfig wg0"), "peer: d")
	if strings.Contains(a.Must("cat /run/set.out /run/add.out"), "ended") {
		t.Fatalf("the commands gave up after %v: this test proves nothing:\n%s", time.Since(began), a.Must("cat /run/set.out /run/add.out"))
	}
	if out := a.Must("wgconfig wg0 show peer b"); !strings.Contains(out, "192.0.2.2:") || strings.Contains(a.Must("wgconfig wg0"), "peer: c") {
		t.Errorf("the command was partly applied before the name was resolved:\n%s", out)
	}
}
