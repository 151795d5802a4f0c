package emulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// A File is one file of assembly.
type File struct {
	Programs  []*Program
	constants []Region // read-only data
}

// A Program is one function of a file.
type Program struct {
	Name string
	// And, if not nil, replaces a & b in AND, VPAND, VPANDD and VPANDQ, for
	// each 64 bits of their sources: for proofs about numbers that no known
	// input leads to.
	And func(a, b uint64) uint64

	file      *File
	frameSize int
	argSize   int
	code      []instruction
	labels    map[string]int
}

type instruction struct {
	line     int
	text     string
	mnemonic string
	step     step
	reached  bool // by any run
}

// A step executes an instruction.
type step func(c *cpu)

// Program returns the program with that name, or nil if there is none.
func (f *File) Program(name string) *Program {
	for _, p := range f.Programs {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Unreached returns the instructions that no run has reached, with their lines.
func (p *Program) Unreached() (all []string) {
	for _, in := range p.code {
		if !in.reached {
			all = append(all, fmt.Sprintf("line %d: %s", in.line, in.text))
		}
	}
	return all
}

// Parse parses the text of a .s file.
func Parse(text string) (*File, error) {
	f := &File{}
	lines := slices.Collect(strings.Lines(text))
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, "//")
		lines[i] = strings.TrimSpace(lines[i])
	}
	// Data comes first, because it may follow the code that uses it.
	for pass, take := range []func(int, string) error{f.size, f.data, f.code} {
		for i, line := range lines {
			if line == "" || strings.HasPrefix(line, "#include") {
				continue
			}
			if err := take(i+1, line); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", i+1, line, err)
			}
		}
		if pass == 0 {
			f.setAddresses()
		}
	}
	return f, f.link()
}

// size parses GLOBL symbol(SB), flags, $size.
func (f *File) size(_ int, line string) error {
	rest, ok := strings.CutPrefix(line, "GLOBL ")
	if !ok {
		return nil
	}
	words := splitOperands(rest)
	if len(words) != 3 || !strings.Contains(words[1], "RODATA") {
		return fmt.Errorf("not of the form GLOBL name(SB), RODATA|NOPTR, $size")
	}
	n, err := strconv.Atoi(strings.TrimPrefix(words[2], "$"))
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(words[0], "(")
	f.constants = append(f.constants, Region{Name: symbolName(name), Data: make([]byte, n), ReadOnly: true})
	return nil
}

// setAddresses gives each constant an address, aligned to 32 bytes, the maximum
// of Go's linker, or to 8 if its length is not a multiple of 32.
func (f *File) setAddresses() {
	for i := range f.constants {
		r := &f.constants[i]
		buf := make([]byte, len(r.Data)+128)
		base := uint64(uintptr(unsafe.Pointer(&buf[0])))
		shift := -base%64 + 32
		if len(r.Data)%32 != 0 {
			shift += 8
		}
		r.Data = buf[shift : shift+uint64(len(r.Data))]
		r.Base = base + shift
	}
}

// data parses DATA symbol+offset(SB)/width, $value.
func (f *File) data(_ int, line string) error {
	rest, ok := strings.CutPrefix(line, "DATA ")
	if !ok {
		return nil
	}
	words := splitOperands(rest)
	place, width, ok := strings.Cut(words[0], "/")
	if len(words) != 2 || !ok {
		return fmt.Errorf("not of the form DATA name+offset(SB)/width, $value")
	}
	o, err := f.operand(place)
	if err != nil {
		return err
	}
	value, err := f.operand(words[1])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(width)
	if err != nil || o.symbol == nil || value.kind != immediate || o.value+uint64(n) > uint64(len(o.symbol.Data)) {
		return fmt.Errorf("not data of a constant (%v)", err)
	}
	putNumber(o.symbol.Data[o.value:o.value+uint64(n)], value.value)
	return nil
}

// code parses TEXT, labels and instructions.
func (f *File) code(number int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	if i := strings.IndexByte(word, '\t'); i >= 0 {
		word, rest = line[:i], line[i+1:]
	}
	switch {
	case word == "DATA" || word == "GLOBL":
		return nil
	case word == "TEXT":
		return f.text(rest)
	case len(f.Programs) == 0:
		return fmt.Errorf("an instruction outside of a function")
	}
	p := f.Programs[len(f.Programs)-1]
	if label, ok := strings.CutSuffix(line, ":"); ok {
		if _, twice := p.labels[label]; twice {
			return fmt.Errorf("a second label of that name")
		}
		p.labels[label] = len(p.code)
		return nil
	}
	s := statement{mnemonic: word, program: p}
	for _, word := range splitOperands(rest) {
		o, err := f.operand(word)
		if err != nil {
			return err
		}
		s.operands = append(s.operands, o)
	}
	do, err := s.decode()
	p.code = append(p.code, instruction{line: number, text: line, mnemonic: word, step: do})
	return err
}

// text parses TEXT ·name(SB), flags, $frame-arguments.
func (f *File) text(rest string) error {
	words := splitOperands(rest)
	if len(words) != 3 || !strings.HasPrefix(words[0], "·") || !strings.HasSuffix(words[0], "(SB)") {
		return fmt.Errorf("not of the form TEXT ·name(SB), flags, $frame-arguments")
	}
	p := &Program{Name: strings.TrimSuffix(words[0][len("·"):], "(SB)"), file: f, labels: map[string]int{}}
	if _, err := fmt.Sscanf(words[2], "$%d-%d", &p.frameSize, &p.argSize); err != nil {
		return err
	}
	f.Programs = append(f.Programs, p)
	return nil
}

// link checks that the label of every jump exists.
func (f *File) link() error {
	for _, p := range f.Programs {
		for _, in := range p.code {
			if _, label, ok := strings.Cut(in.text, " "); ok && isJump(in.mnemonic) {
				if _, ok := p.labels[strings.TrimSpace(label)]; !ok {
					return fmt.Errorf("line %d: %s: no such label in %s", in.line, in.text, p.Name)
				}
			}
		}
	}
	return nil
}

// splitOperands splits at commas.
func splitOperands(s string) []string {
	if s = strings.TrimSpace(s); s == "" {
		return nil
	}
	words := strings.Split(s, ",")
	for i := range words {
		words[i] = strings.TrimSpace(words[i])
	}
	return words
}

func symbolName(s string) string { return strings.TrimSuffix(s, "<>") }
