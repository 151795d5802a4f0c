package proxyconf

import (
	"fmt"

	"wgd/internal/quote"
	"wgd/internal/wgconf"
)

// expected is the error for a value that is not what is expected.
func expected(text, expected string) error {
	return fmt.Errorf("%s: give %s", quote.Text(text), expected)
}

// suggest says which of the names was probably meant, or nothing.
func suggest(name string, names []string) string {
	if best := wgconf.Nearest(name, names); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}
