//go:build nullaead

package main

const withoutEncryption = true
