package key

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "(hidden)"

// Hidden is embedded as the first field of a struct that holds a secret. All
// verbs of fmt, encoding/json and log/slog then print the struct as "(hidden)".
// It takes no space.
//
// fmt does not call methods of unexported fields. A struct with a secret in an
// unexported field must therefore embed Hidden itself. Nor does fmt call methods
// for %p, or for %w if the value is not an error; go vet reports both.
type Hidden struct{}

// String returns "(hidden)".
func (Hidden) String() string { return hidden }

// GoString returns "(hidden)".
func (Hidden) GoString() string { return hidden }

// Format writes "(hidden)" for every verb and flag.
func (Hidden) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText returns "(hidden)".
func (Hidden) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "(hidden)".
func (Hidden) LogValue() slog.Value { return slog.StringValue(hidden) }
