//go:build unix

package tpc

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func reservePages(size int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space: %w", size, err)
	}
	return b, nil
}

func commitPages(b []byte) error {
	if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("map %d bytes: %w", len(b), err)
	}
	return nil
}

// decommitPages drops the content and the access. Neither call fails on a range
// that was committed, but for want of kernel memory to split a mapping; then the
// range stays accessible, which harms nobody.
func decommitPages(b []byte) {
	_ = unix.Madvise(b, unix.MADV_DONTNEED)
	_ = unix.Mprotect(b, unix.PROT_NONE)
}

func releasePages(b []byte) { _ = unix.Munmap(b) }
