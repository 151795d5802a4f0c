// Package capture copies packets of the data plane for whoever captures them, and
// makes pcapng of them.
//
// The data plane offers, once for each train or section of a batch, what arrived, was
// sent, was opened or is to be sealed. A Capture copies what it wants into its ring. A
// goroutine of the reader, in Stream, takes it out, splits super-packets, makes the
// headers of datagrams, and writes. If that goroutine is too slow, the ring is full,
// and packets are missing in the capture: they are counted, and nothing waits for them.
//
// While nobody captures, Hub.Load returns nil, and that is the whole cost.
package capture
