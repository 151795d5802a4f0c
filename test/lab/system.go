package lab

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// interfaceIndex is what begins the lines about an interface.
var interfaceIndex = regexp.MustCompile(`(?m)^\d+: `)

// System returns what commands like wg-quick change in a system: addresses, routes, rules,
// settings, and the tables of the firewall in the order of their names. The indices of
// interfaces are left out, because they are never used again.
func (h *Host) System() string {
	h.t.Helper()
	h.awaitLimits()
	text := interfaceIndex.ReplaceAllString(h.Must("ip -d address"), "")
	for _, line := range []string{"ip -d route show table all", "ip -d rule", "ip -d -6 rule"} {
		text += line + "\n" + h.Must("%s", line)
	}
	text += h.Must("sysctl net.ipv4.conf.all.src_valid_mark net.ipv4.ip_forward net.ipv4.conf.all.rp_filter")
	firewall := strings.Split("\n"+h.Must("nft -s list ruleset"), "\ntable ")
	for i := range firewall {
		firewall[i] = strings.TrimSpace(firewall[i])
	}
	slices.Sort(firewall)
	return text + strings.Join(firewall, "\ntable ") + "\n"
}

// linkLimits are the MTU of an interface, and the limits of its super-packets in bytes
// and in segments.
var linkLimits = regexp.MustCompile(`\bmtu (\d+) .*\bgso_max_size (\d+) gso_max_segs (\d+)`)

// awaitLimits waits until the limits of super-packets fit the MTU of every interface: the
// daemon sets them a moment after the MTU was set. It does not wait for long, because the
// interfaces of other programs have other limits.
func (h *Host) awaitLimits() {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		fits := true
		for _, found := range linkLimits.FindAllStringSubmatch(h.Must("ip -d -o link show type tun"), -1) {
			mtu, _ := strconv.Atoi(found[1])
			bytes, _ := strconv.Atoi(found[2])
			segments, _ := strconv.Atoi(found[3])
			fits = fits && bytes == segments*mtu
		}
		if fits {
			return
		}
	}
}

// Unchanged fails the test if two states that System returned are not the same, and shows
// the lines that differ.
func Unchanged(t T, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	lost, more := without(want, got), without(got, want)
	if lost == "" && more == "" {
		lost, more = want, got // the order differs
	}
	t.Errorf("%s: the system is not the same: missing\n%s\nin place of them\n%s", what, lost, more)
}

// without returns the lines of a text that another one does not have.
func without(text, other string) string {
	lines := strings.Split(other, "\n")
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !slices.Contains(lines, strings.TrimSuffix(line, "\n")) {
			b.WriteString("\t" + line)
		}
	}
	return b.String()
}
