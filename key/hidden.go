package key

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "(hidden)"

// Hidden, embedded as the first field of a struct, makes every way of
// printing that struct give "(hidden)": all verbs of fmt, encoding/json,
// log/slog. It takes no space.
//
// fmt cannot call the methods of what stands in an unexported field. A struct
// that keeps a secret in one must therefore be Hidden itself. Nor does fmt
// call any method for %p, or for %w of what is no error; vet finds these.
type Hidden struct{}

// String gives "(hidden)".
func (Hidden) String() string { return hidden }

// GoString gives "(hidden)".
func (Hidden) GoString() string { return hidden }

// Format gives "(hidden)" whatever the verb and its flags.
func (Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText gives "(hidden)".
func (Hidden) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue gives "(hidden)".
func (Hidden) LogValue() slog.Value { return slog.StringValue(hidden) }
