package show

import (
	"fmt"
	"io"

	"wgd/internal/explain"
)

// Reasons writes the state of a peer for which something does not work, and the likely
// causes. If nothing was tried yet, or if everything works, it writes nothing.
func Reasons(w io.Writer, e *explain.Peer, indent string) {
	if e.State == explain.NeverUsed || e.State == explain.Down || len(e.Reasons) == 0 {
		return
	}
	fmt.Fprintf(w, "%sstate: %s\n", indent, e.Text)
	for _, r := range e.Reasons {
		fmt.Fprintf(w, "%scause: %s\n%sremedy: %s\n", indent, r.Text, indent, r.Remedy)
	}
}
