package archtest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThePageHasTheTable: docs/architecture.md has the same rooms and arrows as the
// table here.
func TestThePageHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range pageFaults(string(page), rooms) {
		t.Error("docs/architecture.md: " + fault)
	}
}

// thirdNames are the names of packages of other modules on the page.
var thirdNames = map[string]string{
	crypto: "x/crypto", unix: "x/sys", cpu: "x/sys/cpu", netlink: "netlink", netns: "netns", bart: "bart", gvisor: "gvisor",
	dnsmsg:   "x/net/dns/dnsmessage",
	socks:    "x/net/proxy",
	nftables: "google/nftables",
	dbus:     "godbus",
	promhttp: "client_golang",
	sqlite:   "modernc.org/sqlite",
	qrcode:   "rsc.io/qr",
	etcd:     "go.etcd.io/etcd",
	grpc:     "grpc",
	zap:      "zap",
}

var (
	pageRow    = regexp.MustCompile(`(?m)^\| ([a-z0-9/-]+) \| (P?) ?\| (.*?) \|(.*)\|$`)
	inBrackets = regexp.MustCompile(`\(([^()]*)\)`)
)

// pageFaults compares the table of the page with that of the code.
func pageFaults(page string, rooms map[string]room) (faults []string) {
	seen := map[string]bool{}
	for _, row := range pageRow.FindAllStringSubmatch(page, -1) {
		if row[1] == "room" { // the head of the table
			continue
		}
		name := fullName(row[1], rooms)
		r, known := rooms[name]
		if !known {
			faults = append(faults, "it has a room "+name+", which does not exist")
			continue
		}
		seen[name] = true
		if pure := row[2] == "P"; pure != r.pure {
			faults = append(faults, name+": pure in one table only")
		}
		var arrows []string
		for _, word := range strings.Fields(inBrackets.ReplaceAllString(row[4], "")) {
			arrows = append(arrows, fullName(word, rooms))
		}
		faults = append(faults, differences(name, "the room", arrows, r.imports)...)
		var third, named []string
		for _, path := range r.third {
			third = append(third, thirdNames[path])
		}
		for _, group := range inBrackets.FindAllStringSubmatch(row[3], -1) {
			for _, word := range strings.Split(group[1], ", ") {
				for _, known := range thirdNames {
					if word == known {
						named = append(named, word)
					}
				}
			}
		}
		faults = append(faults, differences(name, "the package", named, third)...)
	}
	for name := range rooms {
		if !seen[name] {
			faults = append(faults, "it has no line for the room "+name)
		}
	}
	return faults
}

// fullName returns the folder of a room. The page names rooms without internal/.
func fullName(name string, rooms map[string]room) string {
	if _, inside := rooms["internal/"+name]; inside {
		return "internal/" + name
	}
	return name
}

// differences compares the arrows of a room on the page with those in the code.
func differences(room, what string, page, code []string) (faults []string) {
	for _, p := range page {
		if !slices.Contains(code, p) {
			faults = append(faults, room+" may import "+what+" "+p+" on the page, but not in internal/archtest")
		}
	}
	for _, c := range code {
		if !slices.Contains(page, c) {
			faults = append(faults, room+" may import "+what+" "+c+" in internal/archtest, but not on the page")
		}
	}
	return faults
}

// TestPageFaultsAreSeen tests the check itself.
func TestPageFaultsAreSeen(t *testing.T) {
	rooms := map[string]room{
		"key":            {pure: true},
		"internal/noise": {imports: []string{"key"}, third: []string{crypto}},
	}
	const good = "| key | P | keys (of all kinds) | |\n| noise | | the handshake (x/crypto) | key |\n"
	for _, c := range []struct{ old, new, fault string }{
		{"", "", ""},
		{"| key |\n", "| key (its name) |\n", ""},
		{"| P |", "| |", "key: pure"},
		{"| noise | |", "| noise | P |", "internal/noise: pure"},
		{"| key |\n", "| |\n", "may import the room key in internal/archtest"},
		{"all kinds) | |", "all kinds) | noise |", "may import the room internal/noise on the page"},
		{" (x/crypto)", "", "may import the package x/crypto in internal/archtest"},
		{"(x/crypto)", "(x/crypto, bart)", "may import the package bart on the page"},
		{"| noise |", "| noisy |", "noisy, which does not exist"},
	} {
		faults := pageFaults(strings.Replace(good, c.old, c.new, 1), rooms)
		if c.fault == "" && len(faults) > 0 || c.fault != "" && (len(faults) == 0 || !strings.Contains(faults[0], c.fault)) {
			t.Errorf("%q in place of %q: %q, want one with %q", c.new, c.old, faults, c.fault)
		}
	}
}
