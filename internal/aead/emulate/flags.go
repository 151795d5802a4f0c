package emulate

import "fmt"

// flags are the condition flags: their values, which of them are defined, and
// whether they depend on a secret.
type flags struct {
	carry, zero, sign, overflow bool

	defined flagSet
	secret  bool
}

type flagSet uint8

const (
	flagCarry flagSet = 1 << iota
	flagZero
	flagSign
	flagOverflow
)

type condition struct {
	needs flagSet
	holds func(f *flags) bool
}

var conditions = map[string]condition{
	"EQ": {flagZero, func(f *flags) bool { return f.zero }},
	"NE": {flagZero, func(f *flags) bool { return !f.zero }},
	"CS": {flagCarry, func(f *flags) bool { return f.carry }},
	"CC": {flagCarry, func(f *flags) bool { return !f.carry }},
	"HI": {flagCarry | flagZero, func(f *flags) bool { return !f.carry && !f.zero }},
	"LS": {flagCarry | flagZero, func(f *flags) bool { return f.carry || f.zero }},
	"MI": {flagSign, func(f *flags) bool { return f.sign }},
	"PL": {flagSign, func(f *flags) bool { return !f.sign }},
	"LT": {flagSign | flagOverflow, func(f *flags) bool { return f.sign != f.overflow }},
	"GE": {flagSign | flagOverflow, func(f *flags) bool { return f.sign == f.overflow }},
	"GT": {flagSign | flagOverflow | flagZero, func(f *flags) bool { return !f.zero && f.sign == f.overflow }},
	"LE": {flagSign | flagOverflow | flagZero, func(f *flags) bool { return f.zero || f.sign != f.overflow }},
}

// synonyms are other names of the conditions.
var synonyms = map[string]string{
	"E": "EQ", "Z": "EQ", "NZ": "NE", "C": "CS", "B": "CS", "LO": "CS", "NAE": "CS", "NC": "CC", "AE": "CC", "HS": "CC", "NB": "CC",
	"A": "HI", "NBE": "HI", "BE": "LS", "NA": "LS", "S": "MI", "NS": "PL", "L": "LT", "NGE": "LT", "NL": "GE", "G": "GT", "NLE": "GT", "NG": "LE",
}

func conditionOf(name string) (condition, bool) {
	if other := synonyms[name]; other != "" {
		name = other
	}
	cond, ok := conditions[name]
	return cond, ok
}

// decide reports whether the condition of a jump holds.
func (c *cpu) decide(cond condition) bool {
	if cond.needs&^c.flags.defined != 0 {
		c.failf("a flag that this instruction uses is undefined")
	}
	if c.flags.secret {
		c.failf("a jump depends on a secret")
	}
	return cond.holds(&c.flags)
}

func isJump(mnemonic string) bool { return mnemonic[0] == 'J' }

func decodeFlow(s *statement, name string) (step, error) {
	if name == "RET" && len(s.operands) == 0 {
		return func(c *cpu) { c.returned = true }, nil
	}
	if !isJump(name) {
		return nil, nil
	}
	if !s.is("l") {
		return nil, fmt.Errorf("only jumps to labels are known")
	}
	target, p := s.operands[0].name, s.program
	jump := func(c *cpu) { c.pc = p.labels[target] }
	if name == "JMP" {
		return jump, nil
	}
	cond, ok := conditionOf(name[1:])
	if !ok {
		return nil, fmt.Errorf("the condition of %s is not known", name)
	}
	return func(c *cpu) {
		if c.decide(cond) {
			jump(c)
		}
	}, nil
}

// set defines all flags: zero and sign from a result of that many bits, carry
// and overflow as given.
func (f *flags) set(result uint64, bits int, carry, overflow, secret bool) {
	*f = flags{
		carry: carry, overflow: overflow, zero: result == 0, sign: result>>(bits-1)&1 == 1,
		defined: flagCarry | flagZero | flagSign | flagOverflow, secret: secret,
	}
}
