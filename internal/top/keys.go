package top

import (
	"bytes"
	"unicode/utf8"
)

// A Key is a character that was typed, or one of the keys below.
type Key rune

// The keys that are no characters.
const (
	Up Key = -1 - iota
	Down
	PageUp
	PageDown
	Home
	End
	Escape
	unknown
)

// The characters of keys.
const (
	enter     Key = '\r'
	backspace Key = 0x7f
	control   Key = ' ' // characters below are typed with Ctrl
)

// maxSequence is how long the escape sequence of a key may be.
const maxSequence = 16

// sequences are what follows ESC for each key, as terminals send it in different modes.
var sequences = map[string]Key{
	"[A": Up, "OA": Up, "[B": Down, "OB": Down, "[5~": PageUp, "[6~": PageDown,
	"[H": Home, "OH": Home, "[1~": Home, "[7~": Home, "[F": End, "OF": End, "[4~": End, "[8~": End,
}

// Decode returns the keys that bytes from a terminal stand for, and what is left: the
// beginning of a key of which more must follow. If final is true, nothing follows, and
// ESC is the key Escape.
func Decode(b []byte, final bool) (keys []Key, rest []byte) {
	for len(b) > 0 {
		k, n := decode(b, final)
		if n == 0 {
			return keys, b
		}
		if k != unknown {
			keys = append(keys, k)
		}
		b = b[n:]
	}
	return keys, nil
}

// decode returns the first key and its length, which is 0 if more must follow.
func decode(b []byte, final bool) (k Key, n int) {
	switch {
	case b[0] == 0x1b:
		return decodeSequence(b, final)
	case b[0] == '\n':
		return enter, 1
	case b[0] == '\b':
		return backspace, 1
	case !utf8.FullRune(b) && !final:
		return unknown, 0
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError {
		return unknown, n
	}
	return Key(r), n
}

func decodeSequence(b []byte, final bool) (k Key, n int) {
	if len(b) == 1 || b[1] != '[' && b[1] != 'O' {
		if len(b) == 1 && !final {
			return unknown, 0
		}
		return Escape, 1
	}
	// Parameters and intermediate characters come before the final character.
	end := bytes.IndexFunc(b[2:], func(r rune) bool { return r < ' ' || r > '?' })
	switch {
	case end < 0 && !final && len(b) < maxSequence:
		return unknown, 0
	case end < 0:
		return unknown, len(b)
	}
	n = 2 + end + 1
	if k, known := sequences[string(b[1:n])]; known {
		return k, n
	}
	return unknown, n
}
