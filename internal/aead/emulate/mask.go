package emulate

import (
	"errors"
	"math/bits"
)

var errUndefinedCarry = errors.New("the carry that this instruction uses is undefined")

// maskWidths are the widths of masks by the last letter of an instruction's
// name.
var maskWidths = map[byte]int{'B': 8, 'W': 16, 'D': 32, 'Q': 64}

func decodeMask(s *statement, name string) (step, error) {
	n := maskWidths[name[len(name)-1]]
	if n == 0 {
		return nil, nil
	}
	stem := name[:len(name)-1]
	switch {
	case stem == "VPCMPU" && s.is("iVvk") && n >= 32:
		return s.compareElements(n / 8), nil
	case stem == "VPMOVM2" && s.is("kv"):
		return s.fillElements(n / 8), nil
	}
	switch {
	case stem == "KMOV" && (s.is("rk") || s.is("kr") || s.is("kk") || s.is("mk") || s.is("km")):
		from, to := s.operands[0], s.operands[1]
		return func(c *cpu) {
			x, secret := c.maskValue(&from, n)
			c.assignMask(&to, n, x, secret)
		}, nil
	}
	return nil, nil
}

// comparisons of unsigned elements, by the immediate of VPCMPU.
var comparisons = [8]func(a, b uint64) bool{
	0: func(a, b uint64) bool { return a == b },
	1: func(a, b uint64) bool { return a < b },
	2: func(a, b uint64) bool { return a <= b },
	4: func(a, b uint64) bool { return a != b },
	5: func(a, b uint64) bool { return a >= b },
	6: func(a, b uint64) bool { return a > b },
}

// compareElements has the operands $comparison, second source, first source,
// mask.
func (s *statement) compareElements(size int) step {
	holds := comparisons[s.operands[0].value&7]
	second, first, to := s.operands[1], s.operands[2], s.operands[3]
	m, broadcast := writemask{-1, false, size}, s.broadcast
	if holds == nil {
		return nil
	}
	return func(c *cpu) {
		b, secretB := c.read(&second, first.width, broadcast, m)
		a, secretA := c.read(&first, first.width, false, m)
		var elements uint64
		for i := range first.width / size {
			if holds(a.element(size, i), b.element(size, i)) {
				elements |= 1 << i
			}
		}
		c.assignMask(&to, 64, elements, secretA || secretB)
	}
}

// fillElements fills the elements whose bit in the mask is set with ones,
// others with zeros.
func (s *statement) fillElements(size int) step {
	from, to := s.operands[0], s.operands[1]
	return func(c *cpu) {
		var v vec
		for i := range to.width / size {
			if c.masks[from.n]>>i&1 == 1 {
				v.setElement(size, i, ^uint64(0))
			}
		}
		c.write(&to, unmasked, v, c.maskSecret[from.n])
	}
}

func (c *cpu) maskValue(o *operand, n int) (x uint64, secret bool) {
	if o.kind == mask {
		return low(c.masks[o.n], n), c.maskSecret[o.n]
	}
	return c.value(o, n)
}

func (c *cpu) assignMask(o *operand, n int, x uint64, secret bool) {
	switch o.kind {
	case mask:
		c.masks[o.n], c.maskSecret[o.n] = x, secret
	case general: // always the whole register
		c.assign(o, 64, x, secret)
	default:
		c.assign(o, n, x, secret)
	}
}

// A writemask determines which elements of the destination an instruction
// writes.
type writemask struct {
	register int // -1: all
	zeroing  bool
	element  int // size in bytes
}

// cutMask removes the mask register, which stands before the destination, from
// the operands. Without one, all elements are written.
func (s *statement) cutMask(element int) (operands []operand, m writemask, ok bool) {
	m = writemask{-1, s.zeroing, element}
	last := len(s.operands) - 1
	if last < 1 || s.operands[last-1].kind != mask {
		return s.operands, m, !s.zeroing
	}
	m.register = s.operands[last-1].n
	if m.register == 0 {
		return nil, m, false // K0 cannot be a write mask
	}
	operands = append(operands, s.operands[:last-1]...)
	return append(operands, s.operands[last]), m, true
}

// active returns the elements that are written, one bit each.
func (m writemask) active(c *cpu) (elements uint64, secret bool) {
	if m.register < 0 {
		return ^uint64(0), false
	}
	return c.masks[m.register], c.maskSecret[m.register]
}

// memoryMask is active for an access to memory of that many bytes, which must
// not depend on a secret. all reports whether all elements are active.
func (m writemask) memoryMask(c *cpu, width int) (elements uint64, all bool) {
	elements, secret := m.active(c)
	if secret {
		c.failf("the mask of a memory access depends on a secret")
	}
	count := width / m.element
	elements = low(elements, count)
	return elements, bits.OnesCount64(elements) == count
}
