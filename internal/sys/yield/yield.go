// Package yield lets a goroutine yield to goroutines that wait for the kernel, and, in
// long work, to everything else.
//
// runtime.Gosched yields to goroutines that are runnable already. Go's scheduler
// polls the kernel for readable files and sockets only when no goroutine is
// runnable, or every 10 ms. So with one processor (GOMAXPROCS), a goroutine that
// always has work delays those that wait for a file by up to 10 ms, unless it
// waits for a file itself.
package yield

// A Yielder lets one goroutine yield.
type Yielder interface {
	// Yield returns after the goroutines that are runnable, and those whose files
	// are ready, have run.
	Yield()
	Close()
}
