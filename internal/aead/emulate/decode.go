package emulate

import (
	"fmt"
	"strings"
)

// A statement is an instruction before it is understood. The operands are in
// the order of Go's assembler: sources before destinations, the reverse of the
// manual's.
type statement struct {
	mnemonic string // with suffixes
	program  *Program
	operands []operand

	broadcast bool // .BCST: the memory operand is one element, for all
	zeroing   bool // .Z: elements that the mask leaves out become 0
}

// decode finds what the instruction does.
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
			return nil, fmt.Errorf("the suffix .%s is not known here", one)
		}
	}
	for _, decode := range []func(*statement, string) (step, error){
		decodeFlow, decodeMultiply, decodeGeneral, decodeMask, decodeElementwise, decodeShift, decodeShuffle, decodeMove,
	} {
		if do, err := decode(s, name); do != nil || err != nil {
			return do, err
		}
	}
	return nil, fmt.Errorf("the instruction %s is not known here with these operands", s.mnemonic)
}

// is says whether the operands have these kinds: i immediate, r general
// register, v vector register, k mask register, m memory, l label; V is v or m,
// R is r or m, and S is r or m or i. A mask register before the destination is
// left out of account by whoever asks, see cutMask.
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
