// Package invalid makes the errors for configurations that are invalid in any
// state of the system.
package invalid

import (
	"errors"
	"fmt"
)

// Err matches every error of this package (errors.Is). Users of the library see
// it as conf.ErrInvalid.
var Err = errors.New("invalid configuration")

// sentence is an error with this text that matches Err.
type sentence string

func (s sentence) Error() string        { return string(s) }
func (s sentence) Is(target error) bool { return target == Err }

// Errorf returns an error with the formatted text that matches Err.
func Errorf(format string, args ...any) error {
	return sentence(fmt.Sprintf(format, args...))
}
