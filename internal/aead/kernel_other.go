//go:build !amd64

package aead

var kernels []kernel
