package packet

import "encoding/binary"

// VirtioHeaderSize is the length of the header of each frame.
const VirtioHeaderSize = 10

// Flags of a VirtioHeader.
const (
	NeedsChecksum = 1 // ChecksumStart and ChecksumOffset are valid
	DataValid     = 2 // the checksum was verified; ignored
)

// Values of VirtioHeader.GSOType.
const (
	GSONone  = 0
	GSOTCP4  = 1
	GSOUDP   = 3 // UFO; never requested
	GSOTCP6  = 4
	GSOUDPL4 = 5
	GSOECN   = 0x80 // combined with a TCP type: CWR is set
)

// VirtioHeader is struct virtio_net_hdr. Offsets count from the IP header. In
// frames its numbers are little-endian, as sys/tun configures the kernel.
type VirtioHeader struct {
	Flags          uint8
	GSOType        uint8
	HeaderLen      uint16 // of all headers; a hint
	GSOSize        uint16 // payload length of each segment but the last
	ChecksumStart  uint16 // offset of the transport header, where the sum starts
	ChecksumOffset uint16 // of the checksum field, from ChecksumStart
}

// Decode reads h from the beginning of frame and reports whether frame is long
// enough.
func (h *VirtioHeader) Decode(frame []byte) bool {
	if len(frame) < VirtioHeaderSize {
		return false
	}
	b := (*[VirtioHeaderSize]byte)(frame)
	h.Flags = b[0]
	h.GSOType = b[1]
	h.HeaderLen = binary.LittleEndian.Uint16(b[2:])
	h.GSOSize = binary.LittleEndian.Uint16(b[4:])
	h.ChecksumStart = binary.LittleEndian.Uint16(b[6:])
	h.ChecksumOffset = binary.LittleEndian.Uint16(b[8:])
	return true
}

// Encode writes h to the first VirtioHeaderSize bytes of frame.
func (h *VirtioHeader) Encode(frame []byte) {
	b := (*[VirtioHeaderSize]byte)(frame)
	b[0] = h.Flags
	b[1] = h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HeaderLen)
	binary.LittleEndian.PutUint16(b[4:], h.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], h.ChecksumStart)
	binary.LittleEndian.PutUint16(b[8:], h.ChecksumOffset)
}

// Offloads are the kinds of super-packet that an interface accepts. With the
// zero value, every packet is written separately.
type Offloads struct {
	TCP bool // GSOTCP4 and GSOTCP6
	UDP bool // GSOUDPL4
}
