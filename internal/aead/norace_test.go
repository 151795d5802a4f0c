//go:build !race

package aead

const thinning = 32
