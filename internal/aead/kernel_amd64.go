package aead

//go:generate go -C gen run .

// kernels are in the order of preference.
var kernels = []kernel{}
