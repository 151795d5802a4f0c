package main

import "github.com/mmcloughlin/avo/ir"

// A stream is a sequence of steps. A step is one instruction, or a few that
// must stay together because one uses the flags that another sets.
type stream []func()

// write writes the steps in their order.
func (s stream) emit() {
	for _, step := range s {
		step()
	}
}

// interleave is the two streams in one: each keeps its order, and the shorter one is
// spread over the longer one. They must not share registers or, if both have
// steps that set flags, let flags live from one step to the next. A processor
// that looks ahead a few hundred instructions then works on both at once.
func interleave(a, b stream) (both stream) {
	if len(a) < len(b) {
		a, b = b, a
	}
	done := 0
	for i, step := range a {
		both = append(both, step)
		for ; done < (i+1)*len(b)/len(a); done++ {
			both = append(both, b[done])
		}
	}
	return both
}

// emitWith writes the steps, mixed with what a function writes: as many after each of
// its instructions, and twice as many after a multiplication, so that these are
// thin (see kernel512).
func (k *kernel512) emitWith(steps stream, emit func()) {
	nodes := k.collect(emit)
	weight := func(node ir.Node) int {
		if multiplies(node) {
			return 2
		}
		return 1
	}
	all, sum, done := 0, 0, 0
	for _, node := range nodes {
		all += weight(node)
	}
	for _, node := range nodes {
		k.function().AddNode(node)
		sum += weight(node)
		for ; done < sum*len(steps)/all; done++ {
			steps[done]()
		}
	}
}

// emitPadded writes what multiplies and has no rounds of ChaCha20 beside it. So that
// the clock stays, each multiplication by VPMULUDQ is followed by additions that
// nobody needs. They wait for one of its factors: if they did not, they would be
// done before it, while it waits. The registers of the state must be free.
func (k *kernel512) emitPadded(emit func()) {
	const additions = 3
	next := 0
	for _, node := range k.collect(emit) {
		k.function().AddNode(node)
		if i, is := node.(*ir.Instruction); is && i.Opcode == "VPMULUDQ" {
			for range additions {
				k.VPADDQ(i.Operands[1], i.Operands[1], state[next%len(state)])
				next++
			}
		}
	}
}

// multiplies is whether a node is a multiplication.
func multiplies(node ir.Node) bool {
	i, is := node.(*ir.Instruction)
	return is && (i.Opcode == "VPMULUDQ" || i.Opcode == "VPMADD52LUQ" || i.Opcode == "VPMADD52HUQ")
}

// collect takes out of the program what a function writes, but for comments.
func (k *kernel512) collect(emit func()) (nodes []ir.Node) {
	f := k.function()
	before := len(f.Nodes)
	emit()
	for _, node := range f.Nodes[before:] {
		if _, comment := node.(*ir.Comment); !comment {
			nodes = append(nodes, node)
		}
	}
	f.Nodes = f.Nodes[:before:before]
	return nodes
}

// function is what is being written.
func (k *kernel512) function() *ir.Function {
	file, err := k.Result()
	if err != nil {
		panic(err)
	}
	functions := file.Functions()
	return functions[len(functions)-1]
}
