package netsetup

import (
	"errors"
	"fmt"
	"slices"
)

// A Setup is an interface that is being brought up, changed or taken down.
type Setup struct {
	Store  Store
	System System
	Record *Record

	Note func(what string)   // is told each step before it is done
	Warn func(warning error) // is told what is lacking

	// NotDone are the actions of Change, as texts, that could not be done and are worth
	// a warning only.
	NotDone []string
}

// Do does the steps in their order, up to the first error. Those that were begun are in
// the record.
func (s *Setup) Do(steps ...Step) error {
	recorded := 0 // of steps
	for i, step := range steps {
		s.note(step.String())
		if i == recorded {
			recorded += Together(steps[i:])
			s.Record.Steps = append(s.Record.Steps, steps[i:recorded]...)
			if err := s.Store.save(s.Record); err != nil {
				return err
			}
		}
		warning, err := step.do(s.System, s.Record.Interface)
		if err != nil {
			s.forgetInterface(step)
			return err
		}
		if warning != nil {
			s.warn(warning)
		}
		if step.Create != nil { // it knows its index now
			if err := s.Store.save(s.Record); err != nil {
				return err
			}
		}
	}
	return nil
}

// Together is how many of the first steps are recorded at the same time. Routes are,
// because there may be many, and they go with the interface.
func Together(steps []Step) int {
	n := 1
	for steps[0].Route != nil && n < len(steps) && steps[n].Route != nil {
		n++
	}
	return n
}

// forgetInterface is for a step that has failed. If it was to create the interface and
// did not, then one of that name, if there is one now, belongs to somebody else.
func (s *Setup) forgetInterface(step Step) {
	if last := len(s.Record.Steps) - 1; step.Create != nil && step.Create.Index == 0 {
		s.Record.Steps = s.Record.Steps[:last]
	}
}

// Save writes the record.
func (s *Setup) Save() error { return s.Store.save(s.Record) }

// BeginHooks records that PostUp begins.
func (s *Setup) BeginHooks() error {
	s.Record.Hooks = true
	return s.Store.save(s.Record)
}

// Undo undoes all steps of the record, the last one first, and removes the record. What
// cannot be undone stays in the record, so that it can be tried again.
func (s *Setup) Undo() error {
	var left []Step
	var errs []error
	for _, step := range slices.Backward(s.Record.Steps) {
		err := step.undo(s.System, s.Record.Interface, s.neededElsewhere)
		switch {
		case err == nil:
		case step.DNS != nil: // name servers that cannot be taken back keep no tunnel from going down, or up again
			s.warn(fmt.Errorf("DNS: %w", err))
		default:
			left = append(left, step)
			errs = append(errs, err)
		}
	}
	if len(left) == 0 {
		return s.Store.remove(s.Record.Interface)
	}
	slices.Reverse(left)
	s.Record.Steps = left
	return errors.Join(append(errs, s.Store.save(s.Record))...)
}

// neededElsewhere reports whether another interface needs src_valid_mark. That one
// remembers what to restore.
func (s *Setup) neededElsewhere() (bool, error) {
	for _, other := range s.Store.others(s.Record.Interface) {
		if _, needs := other.needsValidMark(); needs {
			return true, nil
		}
	}
	return false, nil
}

// ValidMarkBefore reports whether src_valid_mark was set before the first interface that
// needs it, given whether it is set now.
func (s Store) ValidMarkBefore(name string, now bool) bool {
	for _, other := range s.others(name) {
		if before, needs := other.needsValidMark(); needs && !before {
			return false
		}
	}
	return now
}

func (s *Setup) warn(warning error) {
	if s.Warn != nil {
		s.Warn(warning)
	}
}

func (s *Setup) note(what string) {
	if s.Note != nil {
		s.Note(fmt.Sprintf("%s: %s", s.Record.Interface, what))
	}
}
