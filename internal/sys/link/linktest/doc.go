// Package linktest plays the kernel, for tests of code that follows interfaces and routes.
// Any goroutine may call any method.
package linktest
