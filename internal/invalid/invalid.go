// Package invalid makes the errors of configurations that are wrong in themselves.
package invalid

import (
	"errors"
	"fmt"
)

// Err is what each error of this package is (errors.Is). Package conf shows it to users of the library,
// as conf.ErrInvalid.
var Err = errors.New("invalid configuration")

// sentence is an error that prints as the sentence, and is Err.
type sentence string

func (s sentence) Error() string        { return string(s) }
func (s sentence) Is(target error) bool { return target == Err }

// Errorf makes an error that prints as the sentence given, and is Err.
func Errorf(format string, args ...any) error {
	return sentence(fmt.Sprintf(format, args...))
}
