// Package pages has the buffers through which packets pass.
//
// A few hundred kilobytes are written and read again and again, by us and, in
// system calls, by the kernel. In pages of 4 KB they have more addresses than a
// processor remembers the way to, and in a virtual machine each way that it
// forgot is looked up in two tables, one within the other. In a page of 2 MB
// they have one. It takes 5 % off the processor time of a stream (see
// docs/decisions/huge-pages.md). Go's heap is not made of such pages, unless the system
// makes everything of them.
package pages

import (
	"os"
	"runtime"
	"sync"
)

const (
	// hugePage is what most processors have next to their smallest pages. Where
	// it is another size, less is gained, or nothing.
	hugePage = 2 << 20

	// chunkSize is what is asked of the kernel at once. It gives only what is touched.
	chunkSize = 4 * hugePage
)

// For returns n bytes, at the beginning of a page. They are owner's: when nobody
// can reach it any longer, others get them, so nobody else keeps them.
func For[T any](owner *T, n int) []byte {
	b := shared.take(n)
	if b == nil {
		return make([]byte, n)
	}
	runtime.AddCleanup(owner, shared.put, b)
	return b[:n:n]
}

var shared pool

// pool has the memory of this process that is nobody's. What it once got from
// the kernel it keeps, but as addresses only.
type pool struct {
	mu     sync.Mutex
	unused []byte           // never used
	free   map[int][][]byte // by length: few different ones are asked for
}

// take returns n bytes, as whole pages, or nil if there is no more.
func (p *pool) take(n int) []byte {
	page := os.Getpagesize()
	n = (n + page - 1) / page * page
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.free[n]; len(f) > 0 {
		p.free[n] = f[:len(f)-1]
		return f[len(f)-1]
	}
	if n > chunkSize {
		return nil
	}
	if n > len(p.unused) {
		p.unused = reserve(chunkSize) // what was left of the last one stays unused
	}
	if n > len(p.unused) {
		return nil
	}
	b := p.unused[:n:n]
	p.unused = p.unused[n:]
	return b
}

func (p *pool) put(b []byte) {
	discard(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		p.free = map[int][][]byte{}
	}
	p.free[len(b)] = append(p.free[len(b)], b)
}
