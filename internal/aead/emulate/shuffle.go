package emulate

// Shuffles copy each element of the result from some element of a source.

// A picker returns, for element i of the result, the source that it comes from
// (0 is the manual's first, 1 the second) and its index there.
type picker struct {
	size int // of an element, in bytes
	pick func(imm uint64, i, count int) (source, from int)
}

// perLane applies f within each 16 bytes, which have n elements.
func perLane(n int, f func(imm uint64, i int) (source, from int)) func(imm uint64, i, count int) (int, int) {
	return func(imm uint64, i, _ int) (int, int) {
		source, from := f(imm, i%n)
		return source, i/n*n + from
	}
}

func unpack(n, first int) func(imm uint64, i, count int) (int, int) {
	return perLane(n, func(_ uint64, i int) (int, int) { return i & 1, first + i/2 })
}

// shufflesOfTwo have two sources. Those with an immediate are in the next
// table.
var shufflesOfTwo = map[string]picker{
	"VPUNPCKLDQ":  {4, unpack(4, 0)},
	"VPUNPCKHDQ":  {4, unpack(4, 2)},
	"VPUNPCKLQDQ": {8, unpack(2, 0)},
	"VPUNPCKHQDQ": {8, unpack(2, 1)},
}

var shufflesOfTwoByImmediate = map[string]picker{
	// Half of the 16-byte lanes come from each source, selected by 2 bits each
	// (1 bit if the vector has 32 bytes).
	"VSHUFI32X4": {16, shuffleLanes},
	"VSHUFI64X2": {16, shuffleLanes},
	"VPERM2I128": {16, func(imm uint64, i, _ int) (int, int) {
		field := imm >> (4 * i)
		return int(field >> 1 & 1), int(field & 1)
	}},
	"VPBLENDD": {4, func(imm uint64, i, _ int) (int, int) { return int(imm >> i & 1), i }},
	"VALIGND":  {4, align},
	"VALIGNQ":  {8, align},
	"VPALIGNR": {1, func(imm uint64, i, _ int) (int, int) {
		from := i%16 + int(imm&0xff)
		if from < 16 {
			return 1, i/16*16 + from
		}
		return 0, i/16*16 + from - 16 // kernels do not use an immediate above 16
	}},
}

func shuffleLanes(imm uint64, i, count int) (int, int) {
	bits := 1
	if count == 4 {
		bits = 2
	}
	return i / (count / 2), int(imm >> (i * bits) & uint64(count-1))
}

// align selects a window of the concatenation of the first (upper) and the
// second (lower) source.
func align(imm uint64, i, count int) (int, int) {
	from := i + int(imm)%count
	if from < count {
		return 1, from
	}
	return 0, from - count
}

var shufflesOfOneByImmediate = map[string]picker{
	"VPSHUFD": {4, perLane(4, func(imm uint64, i int) (int, int) { return 0, int(imm >> (2 * i) & 3) })},
	"VPERMQ":  {8, func(imm uint64, i, _ int) (int, int) { return 0, i/4*4 + int(imm>>(2*(i%4))&3) }},
}

func decodeShuffle(s *statement, name string) (step, error) {
	if p, ok := shufflesOfTwo[name]; ok {
		return s.shuffle(p, "Vvv"), nil
	}
	if p, ok := shufflesOfTwoByImmediate[name]; ok {
		return s.shuffle(p, "iVvv"), nil
	}
	if p, ok := shufflesOfOneByImmediate[name]; ok && len(s.operands) > 0 && s.operands[0].kind == immediate {
		return s.shuffle(p, "iVv"), nil
	}
	switch name {
	case "VPSHUFB":
		return s.shuffleBytes(), nil
	case "VPERMD":
		return s.permute(4), nil
	case "VPERMQ":
		return s.permute(8), nil
	case "VPERMI2D":
		return s.permuteTwo(4, true), nil
	case "VPERMI2Q":
		return s.permuteTwo(8, true), nil
	case "VPERMT2D":
		return s.permuteTwo(4, false), nil
	case "VPERMT2Q":
		return s.permuteTwo(8, false), nil
	}
	return nil, nil
}

// maskElement returns the size of the elements that the mask of a shuffle
// selects.
func maskElement(name string, p picker) int {
	if p.size == 16 {
		return map[bool]int{true: 4, false: 8}[name == "VSHUFI32X4"]
	}
	return p.size
}

func (s *statement) shuffle(p picker, form string) step {
	operands, m, ok := s.cutMask(maskElement(s.mnemonic, p))
	if !ok || !matches(operands, form) || m.register >= 0 && operands[len(form)-3].kind == memory {
		return nil
	}
	var imm uint64
	if form[0] == 'i' {
		imm, operands = operands[0].value, operands[1:]
	}
	last, to := operands[0], operands[len(operands)-1] // the manual's last source
	first, one := operands[len(operands)-2], len(operands) == 2
	words := max(p.size/8, 1)
	count := to.width / p.size
	broadcast := s.broadcast
	return func(c *cpu) {
		var sources [2]vec
		var secret, secretLast bool
		sources[1], secretLast = c.read(&last, to.width, broadcast, m)
		if one {
			sources[0] = sources[1]
		} else {
			sources[0], secret = c.read(&first, to.width, false, m)
		}
		var out vec
		for i := range count {
			source, from := p.pick(imm, i, count)
			if p.size <= 8 {
				out.setElement(p.size, i, sources[source].element(p.size, from))
			} else {
				copy(out[i*words:(i+1)*words], sources[source][from*words:])
			}
		}
		c.write(&to, m, out, secret || secretLast)
	}
}

// shuffleBytes selects bytes within each 16 bytes by the lower 4 bits of the
// control byte. If its highest bit is set, the result is 0.
func (s *statement) shuffleBytes() step {
	operands, m, ok := s.cutMask(1)
	if !ok || !matches(operands, "Vvv") || m.register >= 0 {
		return nil
	}
	control, from, to := operands[0], operands[1], operands[2]
	return func(c *cpu) {
		by, secretBy := c.read(&control, to.width, false, m)
		v, secret := c.read(&from, to.width, false, m)
		var source, out [64]byte
		v.toBytes(source[:])
		for i := range to.width {
			if x := by[i/8] >> (i % 8 * 8); x&0x80 == 0 {
				out[i] = source[i&^15+int(x&15)]
			}
		}
		c.write(&to, m, fromBytes(out[:]), secret || secretBy)
	}
}

// permute selects elements of one source by the indexes in the manual's first.
func (s *statement) permute(size int) step {
	operands, m, ok := s.cutMask(size)
	if !ok || !matches(operands, "Vvv") || m.register >= 0 && operands[0].kind == memory {
		return nil
	}
	from, index, to := operands[0], operands[1], operands[2]
	broadcast := s.broadcast
	return func(c *cpu) {
		v, secret := c.read(&from, to.width, broadcast, m)
		by, secretBy := c.read(&index, to.width, false, m)
		var out vec
		count := to.width / size
		for i := range count {
			out.setElement(size, i, v.element(size, int(by.element(size, i))&(count-1)))
		}
		c.write(&to, m, out, secret || secretBy)
	}
}

// permuteTwo selects elements of two tables. VPERMI2 has the indexes in the
// destination; VPERMT2 has the first table there.
func (s *statement) permuteTwo(size int, indexInDestination bool) step {
	operands, m, ok := s.cutMask(size)
	if !ok || !matches(operands, "Vvv") || m.register >= 0 && operands[0].kind == memory {
		return nil
	}
	second, other, to := operands[0], operands[1], operands[2]
	broadcast := s.broadcast
	return func(c *cpu) {
		tableB, secretB := c.read(&second, to.width, broadcast, m)
		tableA, index := c.vectors[other.n], c.vectors[to.n]
		if !indexInDestination {
			tableA, index = index, tableA
		}
		var out vec
		count := to.width / size
		for i := range count {
			at := int(index.element(size, i))
			table := &tableA
			if at&count != 0 {
				table = &tableB
			}
			out.setElement(size, i, table.element(size, at&(count-1)))
		}
		c.write(&to, m, out, secretB || c.vectorSecret[other.n] || c.vectorSecret[to.n])
	}
}
