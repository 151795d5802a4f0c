//go:build !linux

package yield

import "runtime"

// New returns a Yielder that only yields to runnable goroutines.
func New() Yielder { return gosched{} }

type gosched struct{}

func (gosched) Yield() { runtime.Gosched() }
func (gosched) Close() {}
