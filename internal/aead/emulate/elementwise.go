package emulate

import "math/bits"

// Elementwise instructions compute each element of the result from the elements
// with the same index in their sources.

type elementwise struct {
	size int // of an element, in bytes
	// f takes the manual's first and second source.
	f func(a, b uint64) uint64
}

var twoSources = map[string]elementwise{
	"VPADDD":   {4, func(a, b uint64) uint64 { return a + b }},
	"VPADDQ":   {8, func(a, b uint64) uint64 { return a + b }},
	"VPSUBD":   {4, func(a, b uint64) uint64 { return a - b }},
	"VPSUBQ":   {8, func(a, b uint64) uint64 { return a - b }},
	"VPMULUDQ": {8, func(a, b uint64) uint64 { return a & 0xffffffff * (b & 0xffffffff) }},

	"VPAND":   {8, func(a, b uint64) uint64 { return a & b }},
	"VPANDD":  {4, func(a, b uint64) uint64 { return a & b }},
	"VPANDQ":  {8, func(a, b uint64) uint64 { return a & b }},
	"VPANDN":  {8, func(a, b uint64) uint64 { return ^a & b }},
	"VPANDND": {4, func(a, b uint64) uint64 { return ^a & b }},
	"VPANDNQ": {8, func(a, b uint64) uint64 { return ^a & b }},
	"VPOR":    {8, func(a, b uint64) uint64 { return a | b }},
	"VPORD":   {4, func(a, b uint64) uint64 { return a | b }},
	"VPORQ":   {8, func(a, b uint64) uint64 { return a | b }},
	"VPXOR":   {8, func(a, b uint64) uint64 { return a ^ b }},
	"VPXORD":  {4, func(a, b uint64) uint64 { return a ^ b }},
	"VPXORQ":  {8, func(a, b uint64) uint64 { return a ^ b }},

	"VPSLLVD": {4, func(a, b uint64) uint64 { return a << min(b, 64) }},
	"VPSLLVQ": {8, func(a, b uint64) uint64 { return a << min(b, 64) }},
	"VPSRLVD": {4, func(a, b uint64) uint64 { return a >> min(b, 64) }},
	"VPSRLVQ": {8, func(a, b uint64) uint64 { return a >> min(b, 64) }},

	"VPCMPEQD": {4, func(a, b uint64) uint64 { return equal(a, b) }},
	"VPCMPEQQ": {8, func(a, b uint64) uint64 { return equal(a, b) }},
}

func equal(a, b uint64) uint64 {
	if a == b {
		return ^uint64(0)
	}
	return 0
}

// accumulating instructions have the destination as an additional, first
// source.
var accumulating = map[string]func(acc, a, b uint64) uint64{
	"VPMADD52LUQ": func(acc, a, b uint64) uint64 {
		_, lo := bits.Mul64(a&mask52, b&mask52)
		return acc + lo&mask52
	},
	"VPMADD52HUQ": func(acc, a, b uint64) uint64 {
		hi, lo := bits.Mul64(a&mask52, b&mask52)
		return acc + (hi<<12 | lo>>52)
	},
}

const mask52 = 1<<52 - 1

func decodeElementwise(s *statement, name string) (step, error) {
	if e, ok := twoSources[name]; ok {
		return s.twoSources(name, e), nil
	}
	if f, ok := accumulating[name]; ok {
		return s.accumulating(f), nil
	}
	if f, ok := funnels[name]; ok {
		return s.funnel(f), nil
	}
	if name == "VPBLENDVB" {
		return s.blendBytes(), nil
	}
	if name == "VPTERNLOGD" || name == "VPTERNLOGQ" {
		return s.ternaryLogic(map[byte]int{'D': 4, 'Q': 8}[name[len(name)-1]]), nil
	}
	return nil, nil
}

// apply replaces the elements of a by f of those of a and b.
func (e elementwise) apply(width int, a, b *vec) {
	for i := range width / 8 {
		if e.size == 8 {
			a[i] = e.f(a[i], b[i])
			continue
		}
		lower := e.f(a[i]&0xffffffff, b[i]&0xffffffff)
		upper := e.f(a[i]>>32, b[i]>>32)
		a[i] = lower&0xffffffff | upper<<32
	}
}

func (s *statement) twoSources(name string, e elementwise) step {
	operands, m, ok := s.cutMask(e.size)
	if !ok || !matches(operands, "Vvv") {
		return nil
	}
	second, first, to := operands[0], operands[1], operands[2]
	// A register XORed with itself is 0 and no longer secret.
	clears := name[:min(5, len(name))] == "VPXOR" && second.kind == vector && second.n == first.n
	broadcast := s.broadcast
	isAnd := name == "VPAND" || name == "VPANDD" || name == "VPANDQ"
	return func(c *cpu) {
		b, secretB := c.read(&second, to.width, broadcast, m)
		a, secretA := c.read(&first, to.width, false, m)
		if and := s.program.And; and != nil && isAnd {
			elementwise{8, and}.apply(to.width, &a, &b)
		} else {
			e.apply(to.width, &a, &b)
		}
		c.write(&to, m, a, (secretA || secretB) && !clears)
	}
}

func (s *statement) accumulating(f func(acc, a, b uint64) uint64) step {
	operands, m, ok := s.cutMask(8)
	if !ok || !matches(operands, "Vvv") {
		return nil
	}
	second, first, to := operands[0], operands[1], operands[2]
	broadcast := s.broadcast
	return func(c *cpu) {
		b, secretB := c.read(&second, to.width, broadcast, m)
		a, secretA := c.read(&first, to.width, false, m)
		acc := c.vectors[to.n]
		for i := range to.width / 8 {
			acc[i] = f(acc[i], a[i], b[i])
		}
		c.write(&to, m, acc, secretA || secretB || c.vectorSecret[to.n])
	}
}

// funnels shift one source and fill it with bits of the other.
var funnels = map[string]func(n, a, b uint64) uint64{
	"VPSHRDQ": func(n, a, b uint64) uint64 { return a>>(n&63) | b<<(64-n&63) },
	"VPSHLDQ": func(n, a, b uint64) uint64 { return a<<(n&63) | b>>(64-n&63) },
}

func (s *statement) funnel(f func(n, a, b uint64) uint64) step {
	operands, m, ok := s.cutMask(8)
	if !ok || !matches(operands, "iVvv") {
		return nil
	}
	count, second, first, to := operands[0].value, operands[1], operands[2], operands[3]
	broadcast := s.broadcast
	return func(c *cpu) {
		b, secretB := c.read(&second, to.width, broadcast, m)
		a, secretA := c.read(&first, to.width, false, m)
		for i := range to.width / 8 {
			a[i] = f(count, a[i], b[i])
		}
		c.write(&to, m, a, secretA || secretB)
	}
}

// ternaryLogic implements VPTERNLOG: at each bit, the three sources (the first
// is the destination) form a number from 0 to 7, which selects a bit of the
// immediate.
func (s *statement) ternaryLogic(size int) step {
	operands, m, ok := s.cutMask(size)
	if !ok || !matches(operands, "iVvv") {
		return nil
	}
	table, third, second, to := operands[0].value, operands[1], operands[2], operands[3]
	broadcast := s.broadcast
	return func(c *cpu) {
		z, secretZ := c.read(&third, to.width, broadcast, m)
		y, secretY := c.read(&second, to.width, false, m)
		x := c.vectors[to.n]
		for i := range to.width / 8 {
			var out uint64
			for row := range 8 {
				if table>>row&1 == 1 {
					out |= same(x[i], row>>2) & same(y[i], row>>1) & same(z[i], row)
				}
			}
			x[i] = out
		}
		secret := secretZ || secretY || c.vectorSecret[to.n]
		c.write(&to, m, x, secret && table != 0xff && table != 0)
	}
}

// blendBytes takes each byte from the manual's second source if the highest bit of
// the byte of the mask is set, otherwise from the first.
func (s *statement) blendBytes() step {
	if !s.is("vVvv") {
		return nil
	}
	by, second, first, to := s.operands[0], s.operands[1], s.operands[2], s.operands[3]
	return func(c *cpu) {
		b, secretB := c.read(&second, to.width, false, unmasked)
		a, secretA := c.read(&first, to.width, false, unmasked)
		control := c.vectors[by.n]
		for i := range to.width {
			if control.element(1, i)&0x80 != 0 {
				a.setElement(1, i, b.element(1, i))
			}
		}
		c.write(&to, unmasked, a, secretA || secretB || c.vectorSecret[by.n])
	}
}

// same returns x if the lowest bit of b is 1, otherwise its complement.
func same(x uint64, b int) uint64 {
	if b&1 == 1 {
		return x
	}
	return ^x
}

// shifts are shifts and rotations by the same count for all elements.
var shifts = map[string]elementwise{
	"VPSLLD": {4, func(a, n uint64) uint64 { return a << min(n, 64) }},
	"VPSLLQ": {8, func(a, n uint64) uint64 { return a << min(n, 64) }},
	"VPSRLD": {4, func(a, n uint64) uint64 { return a >> min(n, 64) }},
	"VPSRLQ": {8, func(a, n uint64) uint64 { return a >> min(n, 64) }},
	"VPROLD": {4, func(a, n uint64) uint64 { return uint64(bits.RotateLeft32(uint32(a), int(n&31))) }},
	"VPROLQ": {8, func(a, n uint64) uint64 { return bits.RotateLeft64(a, int(n&63)) }},
	"VPRORD": {4, func(a, n uint64) uint64 { return uint64(bits.RotateLeft32(uint32(a), -int(n&31))) }},
	"VPRORQ": {8, func(a, n uint64) uint64 { return bits.RotateLeft64(a, -int(n&63)) }},
}

func decodeShift(s *statement, name string) (step, error) {
	e, ok := shifts[name]
	if !ok {
		return nil, nil
	}
	operands, m, ok := s.cutMask(e.size)
	if !ok || !matches(operands, "iVv") {
		return nil, nil
	}
	from, to, broadcast := operands[1], operands[2], s.broadcast
	var counts vec
	for i := range 64 / e.size {
		counts.setElement(e.size, i, operands[0].value)
	}
	return func(c *cpu) {
		v, secret := c.read(&from, to.width, broadcast, m)
		e.apply(to.width, &v, &counts)
		c.write(&to, m, v, secret)
	}, nil
}
