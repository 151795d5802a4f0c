package emulate

// moves are the instructions that move a whole vector: the size of the elements
// that a mask selects, and whether the address must be a multiple of the width.
var moves = map[string]struct {
	element int
	aligned bool
}{
	"VMOVDQU": {1, false}, "VMOVDQU8": {1, false}, "VMOVDQU32": {4, false}, "VMOVDQU64": {8, false},
	"VMOVDQA": {1, true}, "VMOVDQA32": {4, true}, "VMOVDQA64": {8, true},
}

// parts are the instructions that insert 16 or 32 bytes into a vector or
// extract them.
var parts = map[string]struct {
	width  int
	insert bool
}{
	"VINSERTI128": {16, true}, "VINSERTI32X4": {16, true}, "VINSERTI64X2": {16, true}, "VINSERTI64X4": {32, true},
	"VEXTRACTI128": {16, false}, "VEXTRACTI32X4": {16, false}, "VEXTRACTI64X2": {16, false}, "VEXTRACTI64X4": {32, false},
}

// broadcasts are the instructions that copy one value to every element: its
// size in bytes.
var broadcasts = map[string]int{
	"VPBROADCASTD": 4, "VPBROADCASTQ": 8,
	"VBROADCASTI128": 16, "VBROADCASTI32X4": 16, "VBROADCASTI64X2": 16, "VBROADCASTI64X4": 32,
}

var unmasked = writemask{-1, false, 8}

func decodeMove(s *statement, name string) (step, error) {
	if _, ok := moves[name]; ok {
		return s.move(name), nil
	}
	if p, ok := parts[name]; ok {
		if p.insert {
			return s.insert(p.width), nil
		}
		return s.extract(p.width), nil
	}
	if n, ok := broadcasts[name]; ok {
		return s.broadcastTo(n), nil
	}
	switch name {
	case "VMOVD":
		return s.moveLowest(4), nil
	case "VMOVQ":
		return s.moveLowest(8), nil
	case "VPINSRQ":
		return s.insertElement(8), nil
	case "VPEXTRQ":
		return s.extractElement(8), nil
	case "VPMOVQD":
		return s.narrow(), nil
	case "VZEROUPPER":
		return (*cpu).zeroUpper, nil
	case "PREFETCHT0":
		if s.is("m") { // no access, but the address is observable
			o := s.operands[0]
			return func(c *cpu) { c.record(c.address(&o)) }, nil
		}
	}
	return nil, nil
}

func (c *cpu) zeroUpper() {
	for i := range 16 {
		clear(c.vectors[i][2:])
	}
}

func (s *statement) move(name string) step {
	kind := moves[name]
	operands, m, ok := s.cutMask(kind.element)
	if !ok || !matches(operands, "Vv") && !matches(operands, "vm") {
		return nil
	}
	from, to := operands[0], operands[1]
	width := max(from.width, to.width)
	memoryOperand := &from
	if to.kind == memory {
		memoryOperand = &to
	}
	return func(c *cpu) {
		if kind.aligned && memoryOperand.kind == memory {
			if addr := c.address(memoryOperand); addr%uint64(width) != 0 {
				c.failf("the address %#x is not aligned to %d", addr, width)
			}
		}
		v, secret := c.read(&from, width, false, m)
		if to.kind == memory {
			c.storeVector(&to, m, &v, width, secret)
		} else {
			c.write(&to, m, v, secret)
		}
	}
}

// insert has the operands $position, part, rest, destination.
func (s *statement) insert(width int) step {
	if !s.is("iVvv") {
		return nil
	}
	part, rest, to := s.operands[1], s.operands[2], s.operands[3]
	at := int(s.operands[0].value) % (to.width / width) * width / 8
	return func(c *cpu) {
		p, secretPart := c.read(&part, width, false, unmasked)
		v, secret := c.read(&rest, to.width, false, unmasked)
		copy(v[at:at+width/8], p[:])
		c.write(&to, unmasked, v, secret || secretPart)
	}
}

// extract has the operands $position, source, destination.
func (s *statement) extract(width int) step {
	if !s.is("ivV") {
		return nil
	}
	from, to := s.operands[1], s.operands[2]
	at := int(s.operands[0].value) % (from.width / width) * width / 8
	return func(c *cpu) {
		var part vec
		copy(part[:width/8], c.vectors[from.n][at:])
		if to.kind == memory {
			c.storeVector(&to, unmasked, &part, width, c.vectorSecret[from.n])
		} else {
			c.write(&to, unmasked, part, c.vectorSecret[from.n])
		}
	}
}

func (s *statement) broadcastTo(n int) step {
	operands, m, ok := s.cutMask(min(n, 8))
	if !ok || m.register >= 0 || !matches(operands, "Vv") && !(n <= 8 && matches(operands, "rv")) {
		return nil
	}
	from, to := operands[0], operands[1]
	return func(c *cpu) {
		var v vec
		var secret bool
		if from.kind == general {
			v[0], secret = c.value(&from, 8*n)
		} else {
			v, secret = c.read(&from, n, false, writemask{-1, false, n})
		}
		if n == 4 {
			v[0] = v[0]&0xffffffff | v[0]<<32
		}
		period := max(n/8, 1)
		for i := period; i < 8; i++ {
			v[i] = v[i-period]
		}
		c.write(&to, m, v, secret)
	}
}

// narrow keeps the lower half of every 8 bytes.
func (s *statement) narrow() step {
	if !s.is("vv") {
		return nil
	}
	from, to := s.operands[0], s.operands[1]
	return func(c *cpu) {
		var v vec
		for i := range from.width / 8 {
			v.setElement(4, i, c.vectors[from.n][i])
		}
		c.write(&to, unmasked, v, c.vectorSecret[from.n])
	}
}

// moveLowest moves the first element between a vector and a general register or
// memory. In a vector, everything above it becomes 0.
func (s *statement) moveLowest(n int) step {
	if !s.is("Rv") && !s.is("vR") {
		return nil
	}
	from, to := s.operands[0], s.operands[1]
	return func(c *cpu) {
		if to.kind == vector {
			x, secret := c.value(&from, 8*n)
			c.write(&to, unmasked, vec{x}, secret)
			return
		}
		c.assign(&to, 8*n, low(c.vectors[from.n][0], 8*n), c.vectorSecret[from.n])
	}
}

// insertElement has the operands $position, element, rest, destination.
func (s *statement) insertElement(n int) step {
	if !s.is("iRvv") {
		return nil
	}
	at, from, rest, to := int(s.operands[0].value)%(16/n), s.operands[1], s.operands[2], s.operands[3]
	return func(c *cpu) {
		x, secretX := c.value(&from, 8*n)
		v, secret := c.read(&rest, 16, false, unmasked)
		v.setElement(n, at, x)
		c.write(&to, unmasked, v, secret || secretX)
	}
}

// extractElement has the operands $position, source, destination.
func (s *statement) extractElement(n int) step {
	if !s.is("ivR") {
		return nil
	}
	at, from, to := int(s.operands[0].value)%(16/n), s.operands[1], s.operands[2]
	return func(c *cpu) {
		c.assign(&to, 8*n, c.vectors[from.n].element(n, at), c.vectorSecret[from.n])
	}
}
