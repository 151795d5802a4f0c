package main

import "github.com/mmcloughlin/avo/ir"

// A stream is a sequence of steps. A step emits one instruction, or several
// that must stay together because one uses the flags that another sets.
type stream []func()

// emit emits the steps in order.
func (s stream) emit() {
	for _, step := range s {
		step()
	}
}

// interleave merges two streams: each keeps its order, and the shorter one is
// spread evenly over the longer one. They must not share registers, and if both
// set flags, no step may use flags that an earlier step set. An out-of-order
// processor with a window of a few hundred instructions then executes both at
// once.
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

// emitWith emits the steps, interleaved with what a function emits: the same
// number after each of its instructions, and twice as many after a
// multiplication, so that multiplications are sparse (see kernel512).
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

// emitPadded emits code that multiplies and is not interleaved with rounds of
// ChaCha20. To keep the clock from dropping, it adds unneeded additions after
// each VPMULUDQ. They depend on one of its factors; otherwise the processor
// would execute them earlier, while the multiplication waits. The registers of
// the state must be free.
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

// multiplies reports whether a node is a multiplication.
func multiplies(node ir.Node) bool {
	i, is := node.(*ir.Instruction)
	return is && (i.Opcode == "VPMULUDQ" || i.Opcode == "VPMADD52LUQ" || i.Opcode == "VPMADD52HUQ")
}

// collect returns the nodes that a function emits, without comments, and
// removes them from the program.
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

// function returns the function that is being generated.
func (k *kernel512) function() *ir.Function {
	file, err := k.Result()
	if err != nil {
		panic(err)
	}
	functions := file.Functions()
	return functions[len(functions)-1]
}
