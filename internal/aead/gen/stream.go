package main

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
