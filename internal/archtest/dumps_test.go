package archtest

import (
	"go/ast"
	"regexp"
	"slices"
	"testing"
)

// dumpFiles are the files that read lists from the kernel. What they read is whole.
var dumpFiles = []string{"internal/sys/link/dump_linux.go", "internal/sys/nft/dump_linux.go"}

// dumps are names that read such a list, in the standard library, netlink and nftables.
// It is easily forgotten to look at NLM_F_DUMP_INTR, and package net always forgets it.
var dumps = regexp.MustCompile(`^(NLM_F_(DUMP|ROOT|MATCH)|NetlinkRIB|Interfaces|InterfaceAddrs|InterfaceBy(Name|Index)|` +
	`(Link|Addr|Route|Rule|Neigh|NeighProxy|Qdisc|Class|Filter|Bridge\w*|Xfrm\w*|Conntrack\w*|Socket\w*)List\w*|` +
	`LinkBy(Name|Alias)|List(Tables|Chains|Flowtables)\w*|Get(Rules|Sets|SetElements|Objects|Objs))$`)

// TestListsOfTheKernelAreReadInOnePlace: a list that changed while the kernel handed it
// out must be read again. One file of each room does that.
func TestListsOfTheKernelAreReadInOnePlace(t *testing.T) {
	found := 0
	for _, s := range tree(t) {
		for _, fault := range dumpFaults(s) {
			t.Error(fault)
		}
		if slices.Contains(dumpFiles, s.path) {
			s.path = "other.go"
			if len(dumpFaults(s)) > 0 {
				found++
			}
		}
	}
	if found != len(dumpFiles) {
		t.Errorf("%d of %v read lists: have they moved?", found, dumpFiles)
	}
}

func dumpFaults(s source) (faults []string) {
	if s.isTest() || slices.Contains(dumpFiles, s.path) {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && dumps.MatchString(sel.Sel.Name) {
			faults = append(faults, s.line(sel)+": call "+sel.Sel.Name+" in dump_linux.go, which reads an interrupted list again")
		}
		return true
	})
	return faults
}

// TestDumpFaultsAreSeen tests the check itself.
func TestDumpFaultsAreSeen(t *testing.T) {
	for text, want := range map[string]int{
		"package p; var _ = net.InterfaceByName":                      1,
		"package p; func f() { h.LinkList(); h.RouteListFiltered() }": 2,
		"package p; const f = unix.NLM_F_DUMP|unix.NLM_F_ACK":         1,
		"package p; func f() { h.LinkByIndex(1); h.LinkSetUp(l) }":    0,
	} {
		if got := dumpFaults(parse(t, "internal/sys/link/x.go", text)); len(got) != want {
			t.Errorf("%s: %q, want %d faults", text, got, want)
		}
	}
}
