package show

import (
	"fmt"
	"io"
	"slices"

	"wgd/internal/explain"
)

// Reasons writes the state of a peer for which something does not work, and the likely
// causes. If nothing was tried yet, or if everything works, it writes nothing. That the
// MTU is large is no fault by itself, and the line path-mtu says it.
func Reasons(w io.Writer, e *explain.Peer, indent string) {
	reasons := slices.DeleteFunc(slices.Clone(e.Reasons), func(r explain.Reason) bool { return r.Cause == explain.MTUTooLarge })
	if e.State == explain.NeverUsed || e.State == explain.Down || len(reasons) == 0 {
		return
	}
	fmt.Fprintf(w, "%sstate: %s\n", indent, e.Text)
	for _, r := range reasons {
		fmt.Fprintf(w, "%scause: %s\n%sremedy: %s\n", indent, r.Text, indent, r.Remedy)
	}
}
