// Package linktest plays the kernel for tests of what follows interfaces and routes.
// Any goroutine may call any method.
package linktest
