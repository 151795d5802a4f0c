package emulate

import "encoding/binary"

// find returns the region that contains all n bytes at addr.
func (c *cpu) find(addr uint64, n int) *Region {
	if r := &c.regions[c.last]; addr >= r.Base && addr-r.Base+uint64(n) <= uint64(len(r.Data)) && addr-r.Base < uint64(len(r.Data)) {
		return r
	}
	for i := range c.regions {
		r := &c.regions[i]
		if off := addr - r.Base; addr >= r.Base && off < uint64(len(r.Data)) && off+uint64(n) <= uint64(len(r.Data)) {
			c.last = i
			return r
		}
	}
	c.failf("%d bytes at %#x are in no region: %s", n, addr, c.nearest(addr))
	return nil
}

// nearest describes where addr is relative to the nearest region.
func (c *cpu) nearest(addr uint64) string {
	best, distance := "none is near", uint64(1<<20)
	for _, r := range c.regions {
		end := r.Base + uint64(len(r.Data))
		if d := addr - r.Base; addr >= r.Base && addr < end {
			return "they begin in " + r.Name + " at offset " + decimal(d) + " of " + decimal(uint64(len(r.Data)))
		} else if d = addr - end; addr >= end && d < distance {
			best, distance = decimal(d)+" after the end of "+r.Name, d
		} else if d = r.Base - addr; addr < r.Base && d < distance {
			best, distance = decimal(d)+" before "+r.Name, d
		}
	}
	return best
}

// load returns n bytes of memory, and whether one of them is secret.
func (c *cpu) load(addr uint64, n int) (b []byte, secret bool) {
	c.record(addr)
	r := c.find(addr, n)
	at := int(addr - r.Base)
	if r.Secret != nil {
		for _, s := range r.Secret[at : at+n] {
			secret = secret || s
		}
	}
	return r.Data[at : at+n], secret
}

// store marks n bytes as secret or not and returns them for writing.
func (c *cpu) store(addr uint64, n int, secret bool) []byte {
	c.record(^addr)
	r := c.find(addr, n)
	if r.ReadOnly {
		c.failf("writes to %s", r.Name)
	}
	at := int(addr - r.Base)
	if r.Secret != nil {
		for i := range n {
			r.Secret[at+i] = secret
		}
	} else if secret {
		c.failf("writes a secret to %s", r.Name)
	}
	return r.Data[at : at+n]
}

// number reads up to 8 bytes, little-endian.
func number(b []byte) (x uint64) {
	if len(b) == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	for i := len(b) - 1; i >= 0; i-- {
		x = x<<8 | uint64(b[i])
	}
	return x
}

func putNumber(b []byte, x uint64) {
	for i := range b {
		b[i] = byte(x >> (8 * i))
	}
}

// address computes the address of a memory operand, which must not depend on a
// secret.
func (c *cpu) address(o *operand) uint64 {
	addr := o.value
	switch o.space {
	case spaceArguments:
		return addr + c.args
	case spaceConstants:
		addr += o.symbol.Base
	default:
		addr += c.public(o.base)
	}
	if o.scale != 0 {
		addr += c.public(o.index) * o.scale
	}
	return addr
}

// public returns the value of a general register, which must not be secret.
func (c *cpu) public(n int) uint64 {
	if c.generalSecret[n] {
		c.failf("an address depends on a secret or on an uninitialized register (%s)", generalNames[n])
	}
	return c.general[n]
}
