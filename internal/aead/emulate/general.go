package emulate

import (
	"math/bits"
	"strings"
)

// General instructions work on values of 8, 16, 32 or 64 bits.

// widths are the sizes in bits by the last letter of an instruction's name.
var widths = map[byte]int{'B': 8, 'W': 16, 'L': 32, 'Q': 64}

func low(x uint64, n int) uint64 { return x << (64 - n) >> (64 - n) }

// value reads a register, memory or an immediate.
func (c *cpu) value(o *operand, n int) (x uint64, secret bool) {
	switch o.kind {
	case immediate:
		return low(o.value, n), false
	case general:
		return low(c.general[o.n], n), c.generalSecret[o.n]
	}
	b, secret := c.load(c.address(o), n/8)
	return number(b), secret
}

// assign writes a register or memory. Writing 32 bits zeroes the upper half of
// a register; writing fewer keeps the rest of it.
func (c *cpu) assign(o *operand, n int, x uint64, secret bool) {
	if o.kind == memory {
		putNumber(c.store(c.address(o), n/8, secret), x)
		return
	}
	if n < 32 {
		x = c.general[o.n]&^(1<<n-1) | low(x, n)
		secret = secret || c.generalSecret[o.n]
	}
	c.general[o.n], c.generalSecret[o.n] = x, secret
}

// arithmetic instructions compute destination = f(destination, source) and set
// the flags.
var arithmetic = map[string]func(f *flags, a, b uint64, n int) uint64{
	"ADD": func(f *flags, a, b uint64, n int) uint64 { return addFlags(f, a, b, 0, n) },
	"ADC": func(f *flags, a, b uint64, n int) uint64 { return addFlags(f, a, b, carryIn(f), n) },
	"SUB": func(f *flags, a, b uint64, n int) uint64 { return subFlags(f, a, b, 0, n) },
	"SBB": func(f *flags, a, b uint64, n int) uint64 { return subFlags(f, a, b, carryIn(f), n) },
	"AND": func(f *flags, a, b uint64, n int) uint64 { return logicFlags(f, a&b, n) },
	"OR":  func(f *flags, a, b uint64, n int) uint64 { return logicFlags(f, a|b, n) },
	"XOR": func(f *flags, a, b uint64, n int) uint64 { return logicFlags(f, a^b, n) },
	"SHL": func(f *flags, a, b uint64, n int) uint64 { return shiftFlags(f, a, b, n, true) },
	"SHR": func(f *flags, a, b uint64, n int) uint64 { return shiftFlags(f, a, b, n, false) },
}

func carryIn(f *flags) uint64 {
	if f.defined&flagCarry == 0 {
		panic(fault{errUndefinedCarry})
	}
	if f.carry {
		return 1
	}
	return 0
}

func addFlags(f *flags, a, b, carry uint64, n int) uint64 {
	sum, over := bits.Add64(a, b, carry)
	if n < 64 {
		over = sum >> n & 1
	}
	sum = low(sum, n)
	f.set(sum, n, over == 1, (a^sum)&(b^sum)>>(n-1)&1 == 1, f.secret)
	return sum
}

func subFlags(f *flags, a, b, borrow uint64, n int) uint64 {
	difference, under := bits.Sub64(a, b, borrow)
	difference = low(difference, n)
	f.set(difference, n, under == 1, (a^b)&(a^difference)>>(n-1)&1 == 1, f.secret)
	return difference
}

func logicFlags(f *flags, x uint64, n int) uint64 {
	f.set(x, n, false, false, f.secret)
	return x
}

func shiftFlags(f *flags, a, count uint64, n int, left bool) uint64 {
	count &= 63
	if n < 64 {
		count &= 31
	}
	if count == 0 {
		return a
	}
	var x uint64
	var carry bool
	if left {
		x, carry = low(a<<count, n), count <= uint64(n) && a>>(uint64(n)-count)&1 == 1
	} else {
		x, carry = a>>count, a>>(count-1)&1 == 1
	}
	f.set(x, n, carry, false, f.secret)
	f.defined &^= flagOverflow // defined for a count of 1 only
	return x
}

func decodeGeneral(s *statement, name string) (step, error) {
	if do := decodeMoveGeneral(s, name); do != nil {
		return do, nil
	}
	n := widths[name[len(name)-1]]
	stem := name[:len(name)-1]
	if n < 32 && stem != "CMP" && stem != "TEST" {
		return nil, nil
	}
	switch {
	case stem == "LEA" && s.is("mr"):
		from, to := s.operands[0], s.operands[1]
		return func(c *cpu) {
			x, secret := c.sum(&from)
			c.assign(&to, n, low(x, n), secret)
		}, nil
	case (stem == "CMP" && s.is("RS") || stem == "TEST" && s.is("SR")) && s.notBothMemory():
		return compare(stem, s.operands[0], s.operands[1], n), nil
	case (stem == "INC" || stem == "DEC") && s.is("R"):
		return increment(stem, s.operands[0], n), nil
	case stem == "NEG" && s.is("r") || stem == "NOT" && s.is("r"):
		return negate(stem, s.operands[0], n), nil
	}
	f, ok := arithmetic[stem]
	if !ok || !s.is("SR") || !s.notBothMemory() {
		return nil, nil
	}
	from, to := s.operands[0], s.operands[1]
	shiftsByRegister := strings.HasPrefix(stem, "SH") && from.kind != immediate
	if shiftsByRegister && (from.kind != general || generalNames[from.n] != "CX") {
		return nil, nil
	}
	clears := stem == "XOR" && from.kind == general && to.kind == general && from.n == to.n
	return func(c *cpu) {
		a, secretA := c.value(&to, n)
		b, secretB := c.value(&from, n)
		carries := stem == "ADC" || stem == "SBB"
		secret := !clears && (secretA || secretB || carries && c.flags.secret)
		c.flags.secret = secret
		if and := s.program.And; and != nil && stem == "AND" {
			a, b = and(a, b), ^uint64(0)
		}
		c.assign(&to, n, f(&c.flags, a, b, n), secret)
		if shiftsByRegister {
			c.flags = flags{} // undefined, because a count of 0 would leave them unchanged
		}
	}, nil
}

func (s *statement) notBothMemory() bool {
	return s.operands[0].kind != memory || s.operands[1].kind != memory
}

// compare implements CMP a, b, which sets the flags of a-b, and TEST, which
// sets those of a&b.
func compare(stem string, left, right operand, n int) step {
	return func(c *cpu) {
		a, secretA := c.value(&left, n)
		b, secretB := c.value(&right, n)
		c.flags.secret = secretA || secretB
		if stem == "CMP" {
			subFlags(&c.flags, a, b, 0, n)
		} else {
			logicFlags(&c.flags, a&b, n)
		}
	}
}

// increment implements INC and DEC, which do not change the carry.
func increment(stem string, o operand, n int) step {
	return func(c *cpu) {
		a, secret := c.value(&o, n)
		before := c.flags
		c.flags.secret = secret || before.secret
		var x uint64
		if stem == "INC" {
			x = addFlags(&c.flags, a, 1, 0, n)
		} else {
			x = subFlags(&c.flags, a, 1, 0, n)
		}
		c.flags.carry = before.carry
		c.flags.defined = c.flags.defined&^flagCarry | before.defined&flagCarry
		if before.defined&flagCarry == 0 {
			c.flags.secret = secret
		}
		c.assign(&o, n, x, secret)
	}
}

func negate(stem string, o operand, n int) step {
	return func(c *cpu) {
		a, secret := c.value(&o, n)
		if stem == "NOT" {
			c.assign(&o, n, low(^a, n), secret)
			return
		}
		c.flags.secret = secret
		c.assign(&o, n, subFlags(&c.flags, 0, a, 0, n), secret)
	}
}

// extensions are moves with zero extension: from how many bits to how many.
var extensions = map[string][2]int{
	"MOVBLZX": {8, 32}, "MOVBQZX": {8, 64}, "MOVWLZX": {16, 32}, "MOVWQZX": {16, 64}, "MOVLQZX": {32, 64},
	"MOVB": {8, 8}, "MOVW": {16, 16}, "MOVL": {32, 32}, "MOVQ": {64, 64},
}

func decodeMoveGeneral(s *statement, name string) step {
	n, ok := extensions[name]
	if !ok || !s.is("SR") || !s.notBothMemory() || n[0] != n[1] && !s.is("Rr") {
		return nil
	}
	from, to := s.operands[0], s.operands[1]
	return func(c *cpu) {
		x, secret := c.value(&from, n[0])
		c.assign(&to, n[1], x, secret)
	}
}
