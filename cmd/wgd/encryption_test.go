//go:build !nullaead

package main

// withoutEncryption reports whether this program was built with -tags nullaead.
const withoutEncryption = false
