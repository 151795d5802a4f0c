//go:build linux && !race

package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve returns n zero bytes, a multiple of hugePage, or nil.
func reserve(n int) []byte {
	b, err := unix.Mmap(-1, 0, n+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage)
	b = b[skip : skip+n : skip+n]
	// A kernel without huge pages, or without one to spare, has others.
	unix.Madvise(b, unix.MADV_HUGEPAGE)
	return b
}

// discard gives the memory back, and keeps the addresses. What is read there
// next is zero.
func discard(b []byte) {
	unix.Madvise(b, unix.MADV_DONTNEED)
}
