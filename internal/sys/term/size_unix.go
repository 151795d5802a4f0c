//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package term

import "golang.org/x/sys/unix"

func size(fd uintptr) (columns, rows int) {
	w, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(w.Col), int(w.Row)
}
