package aead

// A Part is packets in one buffer that are sealed or opened with one key. Buf
// is not empty if there are packets.
type Part struct {
	Key     *Key
	Buf     []byte
	Packets []Packet
}

// Seal encrypts the packets of all parts in place, each with the counter in its
// header. It skips packets with Len 0. Any other Len must be at least MinSize.
func Seal(parts []Part) { process(parts, false) }

// Open decrypts the packets of all parts in place, each with the counter in its
// header, and returns how many failed, as Key.Open does.
func Open(parts []Part) (failed int) { return process(parts, true) }

func process(parts []Part, open bool) (failed int) {
	for i := range parts {
		p := &parts[i]
		failed += p.Key.process(&chosen, p.Buf, p.Packets, open)
	}
	return failed
}
