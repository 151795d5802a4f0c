package tun

import "strconv"

// MaxName is the longest interface name in bytes (IFNAMSIZ less the final zero).
const MaxName = 15

func quote(s string) string { return strconv.Quote(s) }

// badName is the reason why Linux would refuse the name, or would take it for
// a pattern; "" when it is good.
func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > MaxName:
		return "it has " + strconv.Itoa(len(name)) + " bytes, and 15 is the most"
	case name == "." || name == "..":
		return "that is a directory; use letters and digits, like wg0"
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '/' || c == ':' || c == '%' {
			return "the character " + strconv.QuoteRune(rune(c)) + " cannot stand in it; use letters and digits, like wg0"
		}
	}
	return ""
}
