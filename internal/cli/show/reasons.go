package show

import (
	"fmt"
	"io"
	"slices"

	"wgd/internal/explain"
)

// Reasons writes the state of a peer for which something does not work, and the likely
// causes. If nothing was tried yet, or if everything works, it writes nothing.
func Reasons(w io.Writer, e *explain.Peer, indent string) {
	reasons := Faults(e)
	if len(reasons) == 0 {
		return
	}
	fmt.Fprintf(w, "%sstate: %s\n", indent, e.Text)
	for _, r := range reasons {
		fmt.Fprintf(w, "%scause: %s\n%sremedy: %s\n", indent, r.Text, indent, r.Remedy)
	}
}

// Faults returns the reasons why something does not work that was tried.
func Faults(e *explain.Peer) []explain.Reason {
	return slices.DeleteFunc(slices.Clone(e.Reasons), func(r explain.Reason) bool { return unfinished(e.State, r.Cause) })
}

// unfinished reports whether a cause is that of a tunnel that is being set up, or is not in
// use, so that other lines say enough. That the MTU is large is no fault by itself, and
// the line path-mtu says it.
func unfinished(state explain.State, cause explain.Cause) bool {
	switch cause {
	case explain.NoEndpoint, explain.NoTraffic, explain.MTUTooLarge, explain.InterfaceDown, explain.NoPrivateKey:
		return true
	case explain.NoAllowedIPs:
		return state == explain.NeverUsed
	}
	return false
}
