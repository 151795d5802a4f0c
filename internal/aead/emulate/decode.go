package emulate

import (
	"fmt"
	"strings"
)

// A statement is a parsed instruction that is not yet decoded. The operands are
// in the order of Go's assembler: sources before destinations, the reverse of
// the manual's order.
type statement struct {
	mnemonic string // with suffixes
	program  *Program
	operands []operand

	broadcast bool // .BCST: the memory operand is one element, used for all
	zeroing   bool // .Z: elements not selected by the mask become 0
}

// decode returns the step that executes the instruction.
func (s *statement) decode() (step, error) {
	name, suffixes, _ := strings.Cut(s.mnemonic, ".")
	for suffixes != "" {
		var one string
		one, suffixes, _ = strings.Cut(suffixes, ".")
		switch one {
		case "BCST":
			s.broadcast = true
		case "Z":
			s.zeroing = true
		default:
			return nil, fmt.Errorf("the suffix .%s is not known", one)
		}
	}
	for _, decode := range []func(*statement, string) (step, error){
		decodeFlow, decodeMultiply, decodeGeneral, decodeMask, decodeElementwise, decodeShift, decodeShuffle, decodeMove,
	} {
		if do, err := decode(s, name); do != nil || err != nil {
			return do, err
		}
	}
	return nil, fmt.Errorf("the instruction %s is not known with these operands", s.mnemonic)
}

// is reports whether the operands have these kinds: i immediate, r general
// register, v vector register, k mask register, m memory, l label; V is v or m,
// R is r or m, and S is r, m or i. The caller first removes a write mask before
// the destination; see cutMask.
func (s *statement) is(form string) bool { return matches(s.operands, form) }

func matches(operands []operand, form string) bool {
	if len(operands) != len(form) {
		return false
	}
	for i, o := range operands {
		allowed := map[byte]string{'V': "vm", 'R': "rm", 'S': "rmi"}[form[i]]
		if allowed == "" {
			allowed = form[i : i+1]
		}
		if !strings.Contains(allowed, string("irvkml"[o.kind])) {
			return false
		}
	}
	return true
}

func decimal(x uint64) string { return fmt.Sprint(x) }
