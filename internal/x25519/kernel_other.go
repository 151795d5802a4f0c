//go:build !amd64

package x25519

var kernels []kernel
