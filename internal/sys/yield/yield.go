// Package yield lets a goroutine give way to those that wait for the kernel.
//
// runtime.Gosched gives way to goroutines that could run already. Whether a file
// or socket has become readable, that is, whether somebody who waits for it could
// run, Go asks the kernel only when nobody else can, or after 10 ms. With one
// processor (GOMAXPROCS) a goroutine that always has work keeps others waiting
// for so long, unless it waits in the same way itself.
package yield

// A Place is where one goroutine gives way.
type Place interface {
	// Yield returns when all had a turn who could run, or for whom the kernel
	// has something.
	Yield()
	Close()
}
