package main

import (
	"strings"
	"testing"

	"wgd/internal/cli"
	"wgd/internal/netsetup"
)

// wgd reload prints what was done, and not what a warning said was not.
func TestReloadReportsWhatWasDone(t *testing.T) {
	const done, not = "add the address 10.2.0.3/24", "set the name servers [10.2.0.1]"
	var out strings.Builder
	r := &reloading{
		session: &session{call: &cli.Call{Stdout: &out}, name: "wg0", setup: netsetup.Setup{NotDone: []string{not}}},
		lines:   []string{done, not},
	}
	if err := r.report(false); err != nil || out.String() != "wg0: "+done+"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
