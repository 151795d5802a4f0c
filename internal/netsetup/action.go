package netsetup

import (
	"errors"
	"fmt"
	"slices"

	"wgd/conf"
	"wgd/internal/sys/link"
)

// An Action is one change of an interface that is up. It adds what a Step does, removes
// that, or replaces one by another of its kind; or it configures the tunnel.
type Action struct {
	Remove, Add Step // the zero Step: nothing
	Tunnel      *Tunnel
}

// Tunnel is a change of the tunnel, and the one that undoes it.
type Tunnel struct{ Change, Back conf.Change }

// String says in a few words what the action does.
func (a Action) String() string {
	switch {
	case a.Tunnel != nil:
		return "configure keys and peers"
	case a.Add.empty():
		return a.Remove.removal()
	case a.Add.Guard != nil && a.Remove.Guard != nil:
		return fmt.Sprintf("replace the firewall table %s", a.Add.Guard)
	}
	return a.Add.String()
}

// Passing reports whether the action is for the time of the change only.
func (a Action) Passing() bool { return a.Add.bridge() || a.Remove.bridge() }

// inverse undoes the action.
func (a Action) inverse() Action {
	inverse := Action{Remove: a.Add, Add: a.Remove}
	if t := a.Tunnel; t != nil {
		inverse.Tunnel = &Tunnel{t.Back, t.Change}
	}
	return inverse
}

func (s Step) empty() bool {
	return s.Create == nil && s.Mark == 0 && !s.Address.IsValid() && s.MTU == 0 && !s.Up && s.DNS == nil &&
		s.ValidMark == nil && s.Guard == nil && s.Rule == nil && s.Route == nil
}

// removal says in a few words what the removal of a step does.
func (s Step) removal() string {
	switch {
	case s.Mark != 0:
		return "remove the firewall mark"
	case s.Address.IsValid():
		return fmt.Sprintf("remove the address %s", s.Address)
	case s.DNS != nil:
		return fmt.Sprintf("take back the name servers %v", s.DNS.Servers)
	case s.ValidMark != nil:
		return "restore net.ipv4.conf.all.src_valid_mark"
	case s.Guard != nil:
		return fmt.Sprintf("remove the firewall table %s", s.Guard)
	case s.Rule != nil:
		return fmt.Sprintf("remove the %s", ruleText(s.Rule))
	case s.Route != nil:
		return fmt.Sprintf("remove the route %s from table %d", s.Route.Prefix, s.Route.Table)
	}
	return "do nothing"
}

// act does one action.
func (s *Setup) act(a Action) error {
	name := s.Record.Interface
	switch {
	case a.Tunnel != nil:
		return s.System.Configure(name, a.Tunnel.Change)
	case a.Add.empty() && a.Remove.DNS != nil: // name servers that cannot be taken back keep no tunnel from changing
		if err := s.System.UnsetDNS(name); err != nil {
			s.NotDone = append(s.NotDone, a.String())
			s.warn(fmt.Errorf("DNS: %w", err))
		}
		return nil
	case a.Add.empty():
		return a.Remove.remove(s.System, name, s.neededElsewhere)
	}
	warning, err := a.Add.do(s.System, name)
	if warning != nil {
		if errors.As(warning, &notDone{}) {
			s.NotDone = append(s.NotDone, a.String())
		}
		s.warn(warning)
	}
	return err
}

// remove removes what a step did, while the interface stays. It is no error if it is
// gone.
func (s Step) remove(system System, name string, elsewhere func() (bool, error)) error {
	var err error
	switch {
	case s.Mark != 0:
		err = system.SetMark(name, 0)
	case s.Address.IsValid():
		err = system.DeletePlainAddress(name, s.Address)
	case s.Route != nil:
		err = system.DeleteRoute(name, *s.Route)
	default:
		err = s.undo(system, name, elsewhere)
	}
	if errors.Is(err, link.ErrNoAddress) || errors.Is(err, link.ErrNoRoute) {
		return nil
	}
	return err
}

// A ChangeError says what became of actions of which one failed.
type ChangeError struct {
	Action Action // that failed
	Err    error
	// Left are those that were done and could not be undone, with the errors.
	Left []error
}

func (e *ChangeError) Error() string {
	if len(e.Left) == 0 {
		return fmt.Sprintf("%v: nothing is changed, because what was done before is undone", e.Err)
	}
	return fmt.Sprintf("%v: not everything that was done before could be undone: %v", e.Err, errors.Join(e.Left...))
}

// Unwrap returns the errors, for errors.Is.
func (e *ChangeError) Unwrap() []error { return append([]error{e.Err}, e.Left...) }

// Change does actions, after which the record is next; if one fails, it undoes those
// before it, and the record stays. While it works, the record has the steps of both, so
// that everything can be undone if the process is killed. A failure is a *ChangeError.
func (s *Setup) Change(actions []Action, next *Record) error {
	before := *s.Record
	s.Record.Steps = slices.Clone(before.Steps)
	had := setOf(before.Steps)
	for _, a := range actions {
		if !a.Add.empty() && !had[a.Add.id()] {
			s.Record.Steps = append(s.Record.Steps, a.Add)
		}
	}
	s.Record.Changing, s.Record.Tunnel = true, before.Tunnel.Doubt(next.Tunnel)
	if err := s.Store.save(s.Record); err != nil {
		s.Record = &before
		return err
	}
	for i, a := range actions {
		s.note(a.String())
		if err := s.act(a); err != nil {
			return s.back(actions[:i], before, &ChangeError{Action: a, Err: err})
		}
	}
	s.Record = next
	return s.Store.save(s.Record)
}

// back undoes actions that were done.
func (s *Setup) back(done []Action, before Record, failure *ChangeError) error {
	for _, a := range slices.Backward(done) {
		if err := s.act(a.inverse()); err != nil {
			failure.Left = append(failure.Left, err)
		}
	}
	if len(failure.Left) > 0 {
		return failure // the record has the steps of both
	}
	s.Record = &before
	if err := s.Store.save(s.Record); err != nil {
		failure.Left = append(failure.Left, err)
	}
	return failure
}
