//go:build !unix

package readable

// Waiter returns nil: this system cannot be asked whether a socket is readable.
func Waiter(conn any) func() error { return nil }
