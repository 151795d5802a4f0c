package emulate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

type kind uint8

const (
	immediate kind = iota
	general
	vector
	mask
	memory
	label
)

// A space is what the address of a memory operand is relative to.
type space uint8

const (
	spaceRegister  space = iota // base
	spaceArguments              // name+8(FP)
	spaceConstants              // name<>+8(SB)
)

type operand struct {
	kind   kind
	n      int    // register number
	width  int    // of a vector register: 16, 32 or 64 bytes
	value  uint64 // of an immediate, or the displacement of an address
	name   string // of a label
	space  space
	symbol *Region
	base   int // number of a general register
	index  int // number of a general register if scale is not 0
	scale  uint64
}

var generalNames = [16]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}

// generalNumber returns the number of a general register. It also accepts CL,
// the count of a shift, and AL, which is stored as a byte.
func generalNumber(name string) (int, bool) {
	switch name {
	case "CL":
		name = "CX"
	case "AL":
		name = "AX"
	}
	for i, n := range generalNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

var (
	vectorForm = regexp.MustCompile(`^([XYZ])([0-9]{1,2})$`)
	maskForm   = regexp.MustCompile(`^K([0-7])$`)
	labelForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	memoryForm = regexp.MustCompile(`^([\pL_][\pL0-9_]*(?:<>)?)?([+-]?(?:0x[0-9a-f]+|[0-9]+))?\(([A-Z0-9]+)(?:\*([1248]))?\)(?:\(([A-Z0-9]+)\*([1248])\))?$`)
)

func (f *File) operand(s string) (operand, error) {
	if text, ok := strings.CutPrefix(s, "$"); ok {
		return parseImmediate(text)
	}
	if n, ok := generalNumber(s); ok {
		return operand{kind: general, n: n}, nil
	}
	if m := vectorForm.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[2])
		width := map[string]int{"X": 16, "Y": 32, "Z": 64}[m[1]]
		if n > 31 {
			return operand{}, fmt.Errorf("%s: no such register", s)
		}
		return operand{kind: vector, n: n, width: width}, nil
	}
	if m := maskForm.FindStringSubmatch(s); m != nil {
		return operand{kind: mask, n: int(m[1][0] - '0')}, nil
	}
	if labelForm.MatchString(s) {
		return operand{kind: label, name: s}, nil
	}
	return f.memory(s)
}

func parseImmediate(text string) (operand, error) {
	n, err := strconv.ParseUint(text, 0, 64)
	if strings.HasPrefix(text, "-") {
		var signed int64
		signed, err = strconv.ParseInt(text, 0, 64)
		n = uint64(signed)
	}
	return operand{kind: immediate, value: n}, err
}

// memory parses name+offset(base)(index*scale).
func (f *File) memory(s string) (operand, error) {
	m := memoryForm.FindStringSubmatch(s)
	if m == nil {
		return operand{}, fmt.Errorf("%s: this form of operand is not known", s)
	}
	o := operand{kind: memory}
	if m[2] != "" {
		n, err := strconv.ParseInt(m[2], 0, 32)
		if err != nil {
			return operand{}, err
		}
		o.value = uint64(n)
	}
	name, base := m[1], m[3]
	var known bool
	switch {
	case base == "FP" && name != "":
		o.space, known = spaceArguments, true
	case base == "SB" && name != "":
		o.space = spaceConstants
		for i := range f.constants {
			if f.constants[i].Name == symbolName(name) {
				o.symbol, known = &f.constants[i], true
			}
		}
	case name == "" && m[4] == "":
		o.base, known = generalNumber(base)
	}
	if !known {
		return operand{}, fmt.Errorf("%s: %s is not known", s, name+"("+base+")")
	}
	if m[5] != "" {
		o.index, known = generalNumber(m[5])
		o.scale = uint64(m[6][0] - '0')
	}
	if !known || o.space != spaceRegister && o.scale != 0 {
		return operand{}, fmt.Errorf("%s: this form of address is not known", s)
	}
	return o, nil
}
