package aead

// A Part is packets in one buffer that are sealed or opened with one key. The
// packets of all parts of a call must not overlap.
type Part struct {
	Key     *Key
	Buf     []byte
	Packets []Packet
}

// Seal encrypts the packets of all parts in place, each with the counter in its
// header. It skips packets with Len 0. Any other Len must be at least MinSize.
// It is fast if many packets of all parts together have the same length.
func Seal(parts []Part) { process(&chosen, parts, false) }

// Open decrypts the packets of all parts in place, each with the counter in its
// header, and returns how many failed, as Key.Open does.
func Open(parts []Part) (failed int) { return process(&chosen, parts, true) }

// process is Key.process for the packets of all parts together.
func process(kern *kernel, parts []Part, open bool) (failed int) {
	count := 0
	for i := range parts {
		parts[i].Key.mustBeSet()
		count += len(parts[i].Packets)
	}
	if kern.mayGroup(count) {
		return processGroups(kern, parts, open)
	}
	for i := range parts {
		failed += parts[i].Key.processEach(parts[i].Buf, parts[i].Packets, open)
	}
	return failed
}
