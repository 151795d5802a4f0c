// Package pages allocates packet buffers in huge pages.
//
// A few hundred kilobytes are written and read repeatedly, by this program and, in
// system calls, by the kernel. In pages of 4 KB they need more entries than the
// processor's TLB has, and in a virtual machine each TLB miss walks two nested page
// tables. In a huge page of 2 MB they need one entry. That saves 5 % of the
// processor time of a stream (see docs/decisions/huge-pages.md). Go's heap has no
// huge pages, unless the system uses them for everything.
package pages

import (
	"os"
	"runtime"
	"sync"
)

const (
	// hugePage is the size of huge pages on most processors. Where the size is
	// another one, less is gained, or nothing.
	hugePage = 2 << 20

	// chunkSize is how much address space is mapped at once. The kernel allocates
	// only what is touched.
	chunkSize = 4 * hugePage

	// hugeChunks is how many chunks of a process use huge pages: enough for one
	// interface on many processors. A program with more than some twenty tunnels
	// uses small pages for the others. At rest a tunnel needs a few small pages,
	// but each of them would take a huge one.
	hugeChunks = 8
)

// For returns n bytes that begin at a page boundary. They belong to owner and are
// reused when owner is unreachable, so nothing else must keep a reference to them.
func For[T any](owner *T, n int) []byte {
	b := shared.take(n)
	if b == nil {
		return make([]byte, n)
	}
	runtime.AddCleanup(owner, shared.put, b)
	return b[:n:n]
}

var shared pool

// A pool has the buffers that have no owner. It never unmaps address space, but
// returns the memory behind it to the kernel.
type pool struct {
	mu     sync.Mutex
	unused []byte           // never taken
	chunks int              // how many were mapped
	free   map[int][][]byte // by length, of which there are few
}

// take returns n bytes, rounded up to whole pages, or nil if it cannot.
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
		p.add(reserve(chunkSize, p.chunks < hugeChunks))
	}
	if n > len(p.unused) {
		return nil
	}
	b := p.unused[:n:n]
	p.unused = p.unused[n:]
	return b
}

// add adds a chunk, of which nothing was taken. The end of the previous one is wasted.
// If there is none, because address space could not be mapped, nothing changes:
// shorter buffers may still fit into the previous chunk.
func (p *pool) add(chunk []byte) {
	if chunk == nil {
		return
	}
	p.unused = chunk
	p.chunks++
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
