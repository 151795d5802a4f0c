// Package quote makes what a user wrote fit to be repeated in a message: short, printable,
// and without a key. A secret key may stand where something else belongs, and a message
// goes to a log or a screen that others can read.
package quote

import (
	"math"
	"strings"
	"unicode/utf8"

	"wgd/key"
)

const (
	maxLen = 80 // bytes that are repeated
	shown  = 4  // letters of a possible key that are repeated

	// A key has 44 letters in base64, and 64 hexadecimal digits. White space may have cut
	// it, so in the text of a file a word of minPart letters may be a part of one. A
	// single word with nearly letters may be one with a typing error.
	minPart = 16
	nearly  = 40
	never   = math.MaxInt
)

// Text returns a text of which a word may be a key or a part of one: a value of a file, or
// one that never has a long word, such as a number or an address.
func Text(s string) string { return cut(hide(s, minPart)) }

// Name returns a single word that may be long: the name of a peer or of a host. White
// space does not belong there, and may have cut a key.
func Name(s string) string {
	if whole := strings.Join(strings.Fields(s), ""); hide(whole, nearly) != hide(whole, never) {
		return cut(hide(whole, nearly))
	}
	return cut(hide(s, never))
}

// Path returns the path of a file. An absolute path is repeated unless it is a key.
func Path(s string) string {
	if strings.HasPrefix(s, "/") && !key.IsEncoded(s) {
		return strings.Map(Printable, s)
	}
	return hide(s, nearly)
}

// LooksLikeKey reports whether the word must not be printed because it is, or nearly
// is, a key in base64 or hexadecimal digits, and not the path of a file. Names of peers
// may look like keys, too.
func LooksLikeKey(word string) bool {
	if strings.ContainsFunc(word, func(r rune) bool { return !inKey(r) }) {
		return false
	}
	return key.IsEncoded(word) || len(word) >= nearly && !strings.HasPrefix(word, "/")
}

// Printable returns ? instead of a control character, a line end of Unicode, and what is
// not UTF-8.
func Printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
		return '?'
	}
	return r
}

// hide shortens every word of minLetters or more, and replaces what cannot be printed.
func hide(s string, minLetters int) string {
	var b strings.Builder
	run := 0 // letters that a key could have, up to here
	flush := func(until int) {
		word := s[until-run : until]
		if run >= minLetters {
			word = word[:shown] + "…"
		}
		b.WriteString(word)
		run = 0
	}
	for i, r := range s {
		if inKey(r) {
			run++
			continue
		}
		flush(i)
		b.WriteRune(Printable(r))
	}
	flush(len(s))
	return b.String()
}

// inKey reports whether the base64 or the hexadecimal digits of a key have r.
func inKey(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+/=", r)
}

// cut shortens a text. It comes after hide: what it leaves of a key could be too short to
// be found.
func cut(s string) string {
	if len(s) <= maxLen {
		return s
	}
	end := maxLen
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
