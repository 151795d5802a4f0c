package wg

import (
	"context"
	"io"

	"wgd/conf"
)

// Capture writes packets to to, in the format pcapng, which tshark and Wireshark read,
// until ctx is done or the interface ends. Then it returns nil. It returns the first
// error of to. It can begin at any moment, and needs no key.
//
// The capture has one interface for what is selected of Outer and Inner. Outer has what
// arrived at the port, also what was refused, and what was sent; wgd makes the IP and UDP
// headers, because it does not see those of the wire. Inner has packets after they were
// decrypted, also those that are refused afterwards, and packets that are about to be
// encrypted.
//
// The tunnel does not wait for to. What to does not take in time is missing in the capture;
// its last blocks, the Interface Statistics, say how many packets. Up to four captures of
// an interface can run at the same time; each takes 6 MB of memory.
func (w *Interface) Capture(ctx context.Context, c conf.Capture, to io.Writer) error {
	return w.engine.Capture(ctx, c, to)
}
