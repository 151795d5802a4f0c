package main

import "github.com/mmcloughlin/avo/ir"

// A stream is a sequence of steps. A step is one instruction, or a few that
// must stay together because one uses the flags that another sets.
type stream []func()

// write writes the steps in their order.
func (s stream) write() {
	for _, step := range s {
		step()
	}
}

// zip is the two streams in one: each keeps its order, and the shorter one is
// spread over the longer one. They must not share registers or, if both have
// steps that set flags, let flags live from one step to the next. A processor
// that looks ahead a few hundred instructions then works on both at once.
func zip(a, b stream) (both stream) {
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

// record makes a stream of the instructions that a function writes, instead of
// writing them.
func (k *kernel512) record(write func()) (s stream) {
	for _, node := range k.cut(write) {
		s = append(s, func() { k.function().AddNode(node) })
	}
	return s
}

// cut takes out of the program what a function writes, but for comments.
func (k *kernel512) cut(write func()) (nodes []ir.Node) {
	f := k.function()
	before := len(f.Nodes)
	write()
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

// thinly writes what multiplies by VPMULUDQ and has no rounds of ChaCha20 to be
// mixed with. So that the clock stays (see kernel512), each multiplication is
// followed by additions that nobody needs. They wait for one of its factors: if
// they did not, they would be done before it, while it waits. The state must be
// free.
func (k *kernel512) thinly(write func()) {
	const additions = 3
	next := 0
	for _, node := range k.cut(write) {
		k.function().AddNode(node)
		if i, is := node.(*ir.Instruction); is && i.Opcode == "VPMULUDQ" {
			for range additions {
				k.VPADDQ(i.Operands[1], i.Operands[1], state[next%len(state)])
				next++
			}
		}
	}
}
