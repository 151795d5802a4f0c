package emulate

import "encoding/binary"

// A vec is a vector register, or the part of it that an instruction uses. The
// first element is in the lowest bits of the first word.
type vec [8]uint64

// element returns element i, if each element has size bytes.
func (v *vec) element(size, i int) uint64 {
	switch size {
	case 8:
		return v[i]
	case 4:
		return v[i>>1] >> (32 * (i & 1)) & 0xffffffff
	case 2:
		return v[i>>2] >> (16 * (i & 3)) & 0xffff
	}
	return v[i>>3] >> (8 * (i & 7)) & 0xff
}

func (v *vec) setElement(size, i int, x uint64) {
	at := i * size
	shift := 8 * (at & 7)
	ones := ^uint64(0) >> (64 - 8*size) << shift
	v[at>>3] = v[at>>3]&^ones | x<<shift&ones
}

// fromBytes returns the vector with these bytes, then zeros.
func fromBytes(b []byte) (v vec) {
	for i := 0; i+8 <= len(b); i += 8 {
		v[i/8] = binary.LittleEndian.Uint64(b[i:])
	}
	if rest := len(b) % 8; rest != 0 {
		v[len(b)/8] = number(b[len(b)-rest:])
	}
	return v
}

func (v *vec) toBytes(b []byte) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], v[i/8])
	}
	if rest := len(b) % 8; rest != 0 {
		putNumber(b[len(b)-rest:], v[len(b)/8])
	}
}

// read returns a source operand of that width: a register, memory, or one
// element of memory copied to all. Elements of memory that the mask does not
// select are not accessed and read as 0.
func (c *cpu) read(o *operand, width int, broadcast bool, m writemask) (v vec, secret bool) {
	if o.kind == vector {
		return c.vectors[o.n], c.vectorSecret[o.n]
	}
	addr := c.address(o)
	if broadcast {
		b, secret := c.load(addr, m.element)
		x := number(b)
		for i := range width / m.element {
			v.setElement(m.element, i, x)
		}
		return v, secret
	}
	active, all := m.memoryMask(c, width)
	if all {
		b, secret := c.load(addr, width)
		return fromBytes(b), secret
	}
	for i := range width / m.element {
		if active>>i&1 == 1 {
			b, s := c.load(addr+uint64(i*m.element), m.element)
			v.setElement(m.element, i, number(b))
			secret = secret || s
		}
	}
	return v, secret
}

// write writes a result to a register, as the mask says, and zeroes what is
// above.
func (c *cpu) write(o *operand, m writemask, v vec, secret bool) {
	clear(v[o.width/8:])
	if m.register >= 0 {
		active, maskSecret := m.active(c)
		old := &c.vectors[o.n]
		secret = secret || maskSecret || !m.zeroing && c.vectorSecret[o.n]
		for i := range o.width / m.element {
			if active>>i&1 == 1 {
				continue
			}
			if m.zeroing {
				v.setElement(m.element, i, 0)
			} else {
				v.setElement(m.element, i, old.element(m.element, i))
			}
		}
	}
	c.vectors[o.n], c.vectorSecret[o.n] = v, secret
}

// storeVector writes a register to memory, as the mask says.
func (c *cpu) storeVector(o *operand, m writemask, v *vec, width int, secret bool) {
	addr := c.address(o)
	active, all := m.memoryMask(c, width)
	if all {
		v.toBytes(c.store(addr, width, secret))
		return
	}
	for i := range width / m.element {
		if active>>i&1 == 1 {
			putNumber(c.store(addr+uint64(i*m.element), m.element, secret), v.element(m.element, i))
		}
	}
}
