package nft

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"wgd/internal/sys/netns/netnstest"
)

// list is what nft(8) shows of all tables.
func list(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "--stateless", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	return string(out)
}

func needsNft(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no nft(8)")
	}
	t.Skipf("NOT TESTED: %s needs nft(8)", t.Name())
}

// Add adds exactly the rules that nft(8) makes of the lines in wg-quick(8), and
// Delete leaves nothing.
func TestGuard(t *testing.T) {
	netnstest.Isolate(t)
	needsNft(t)
	guards := []Guard{
		{Interface: "wg0", Mark: 51820, Addresses: []netip.Addr{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("10.3.0.1")}},
		{Interface: "wg0", IPv6: true, Mark: 0xfffffffe, Addresses: []netip.Addr{netip.MustParseAddr("fd00:2::1")}},
	}
	for range 2 { // the second time replaces what an earlier process left
		for _, g := range guards {
			if err := g.Add(); err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := list(t)
	for _, g := range guards {
		if there, err := g.Present(); err != nil || !there {
			t.Errorf("Present: %v, %v", there, err)
		}
		if err := g.Delete(); err != nil {
			t.Error(err)
		}
		if err := g.Delete(); err != nil {
			t.Errorf("a second time: %v", err)
		}
		if there, err := g.Present(); err != nil || there {
			t.Errorf("Present after Delete: %v, %v", there, err)
		}
	}
	if left := list(t); left != "" {
		t.Errorf("left over:\n%s", left)
	}
	const chains = `
add chain F wgd-wg0 preraw { type filter hook prerouting priority -300; }
add chain F wgd-wg0 premangle { type filter hook prerouting priority -150; }
add chain F wgd-wg0 postmangle { type filter hook postrouting priority -150; }
add rule F wgd-wg0 postmangle meta l4proto udp mark MARK ct mark set mark
add rule F wgd-wg0 premangle meta l4proto udp meta mark set ct mark
`
	script := "add table ip wgd-wg0\n" + strings.NewReplacer("F", "ip", "MARK", "51820").Replace(chains) +
		`add rule ip wgd-wg0 preraw iifname != "wg0" ip daddr 10.2.0.1 fib saddr type != local drop` + "\n" +
		`add rule ip wgd-wg0 preraw iifname != "wg0" ip daddr 10.3.0.1 fib saddr type != local drop` + "\n" +
		"add table ip6 wgd-wg0\n" + strings.NewReplacer("F", "ip6", "MARK", "0xfffffffe").Replace(chains) +
		`add rule ip6 wgd-wg0 preraw iifname != "wg0" ip6 daddr fd00:2::1 fib saddr type != local drop` + "\n"
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	if theirs := list(t); ours != theirs || !strings.Contains(ours, "fib saddr type != local drop") {
		t.Errorf("got\n%s\nnft(8) has\n%s", ours, theirs)
	}
}

// Present compares what is in the table: another rule, one that is missing or differs,
// another chain or another hook, and it is not there as Add makes it.
func TestPresentCompares(t *testing.T) {
	netnstest.Isolate(t)
	needsNft(t)
	g := Guard{Interface: "wg0", Mark: 51820, Addresses: []netip.Addr{netip.MustParseAddr("10.2.0.1")}}
	for _, script := range []string{
		"flush chain ip wgd-wg0 preraw",
		"flush table ip wgd-wg0",
		"add rule ip wgd-wg0 preraw accept",
		"insert rule ip wgd-wg0 preraw iifname eth0 accept",
		"flush chain ip wgd-wg0 preraw; add rule ip wgd-wg0 preraw iifname != wg1 ip daddr 10.2.0.1 fib saddr type != local drop",
		"flush chain ip wgd-wg0 preraw; add rule ip wgd-wg0 preraw iifname != wg0 ip daddr 10.2.0.2 fib saddr type != local drop",
		"flush chain ip wgd-wg0 preraw; add rule ip wgd-wg0 preraw iifname != wg0 ip daddr 10.2.0.1 fib saddr type != local accept",
		"flush chain ip wgd-wg0 preraw; add rule ip wgd-wg0 preraw iifname != wg0 ip saddr 10.2.0.1 fib saddr type != local drop",
		"flush chain ip wgd-wg0 postmangle; add rule ip wgd-wg0 postmangle meta l4proto udp mark 51821 ct mark set mark",
		"flush chain ip wgd-wg0 premangle; add rule ip wgd-wg0 premangle meta l4proto tcp meta mark set ct mark",
		"add chain ip wgd-wg0 mine",
		"delete chain ip wgd-wg0 preraw; add chain ip wgd-wg0 preraw { type filter hook input priority -300; }",
		"chain ip wgd-wg0 preraw { policy drop; }",
		"delete table ip wgd-wg0",
	} {
		if err := g.Add(); err != nil {
			t.Fatal(err)
		}
		if there, err := g.Present(); err != nil || !there {
			t.Fatalf("after Add, Present: %v, %v", there, err)
		}
		if out, err := exec.Command("nft", script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		if there, err := g.Present(); err != nil || there {
			t.Errorf("%s: Present: %v, %v", script, there, err)
		}
	}
}
