package emulate

import "math/bits"

// dx is the register number of RDX.
const dx = 2

// decodeMultiply decodes multiplications of general registers: MULX, which has
// one factor in RDX and sets no flags, and IMUL with two operands, all of whose
// flags count as undefined.
func decodeMultiply(s *statement, name string) (step, error) {
	switch {
	case name == "MULXQ" && s.is("Rrr"):
		from, lower, upper := s.operands[0], s.operands[1], s.operands[2]
		return func(c *cpu) {
			a, secretA := c.general[dx], c.generalSecret[dx]
			b, secretB := c.value(&from, 64)
			hi, lo := bits.Mul64(a, b)
			c.assign(&lower, 64, lo, secretA || secretB)
			c.assign(&upper, 64, hi, secretA || secretB)
		}, nil
	case name == "IMULQ" && s.is("Rr"):
		from, to := s.operands[0], s.operands[1]
		return func(c *cpu) {
			a, secretA := c.value(&to, 64)
			b, secretB := c.value(&from, 64)
			c.flags = flags{}
			c.assign(&to, 64, a*b, secretA || secretB)
		}, nil
	}
	return nil, nil
}

// sum returns what LEA computes. It is not used as an address, so it may be
// secret.
func (c *cpu) sum(o *operand) (x uint64, secret bool) {
	if o.space != spaceRegister {
		return c.address(o), false
	}
	x, secret = o.value+c.general[o.base], c.generalSecret[o.base]
	if o.scale != 0 {
		x += c.general[o.index] * o.scale
		secret = secret || c.generalSecret[o.index]
	}
	return x, secret
}
