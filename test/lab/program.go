package lab

import (
	"fmt"
	"os"
	"slices"
)

// Bound runs f with a T for a program that is no test. Then it runs the cleanups,
// the last one first, and returns the first failure. Fatalf ends f. Logs go to
// standard error.
func Bound(f func(T)) (err error) {
	s := &programT{}
	defer func() {
		thrown := recover()
		for len(s.cleanups) > 0 { // a cleanup may add another
			last := len(s.cleanups) - 1
			cleanup := s.cleanups[last]
			s.cleanups = slices.Delete(s.cleanups, last, last+1)
			cleanup()
		}
		err = s.failed
		if _, ok := thrown.(failure); thrown != nil && !ok {
			panic(thrown)
		}
	}()
	f(s)
	return nil
}

// programT is the T of Bound.
type programT struct {
	cleanups []func()
	failed   error
}

// failure is what Fatalf panics with, and Bound recovers.
type failure struct{}

func (s *programT) Helper()                         {}
func (s *programT) Failed() bool                    { return s.failed != nil }
func (s *programT) Cleanup(f func())                { s.cleanups = append(s.cleanups, f) }
func (s *programT) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *programT) Errorf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if s.failed != nil {
		s.Logf("and then: %v", err)
		return
	}
	s.failed = err
}

func (s *programT) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(failure{})
}
