//go:build linux && !race

package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve returns n zero bytes, a multiple of hugePage, or nil. They lie in huge
// pages, or in small ones even if the system uses huge pages for everything.
func reserve(n int, huge bool) []byte {
	b, err := unix.Mmap(-1, 0, n+hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage)
	b = b[skip : skip+n : skip+n]
	if !huge {
		unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		return b
	}
	// Without huge pages, or a free one, the kernel uses small pages.
	unix.Madvise(b, unix.MADV_HUGEPAGE)
	return b
}

// discard returns the memory to the kernel and keeps the addresses. The next read
// there returns zeros.
func discard(b []byte) {
	unix.Madvise(b, unix.MADV_DONTNEED)
}
