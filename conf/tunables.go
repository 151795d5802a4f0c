package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"wgd/internal/invalid"
	"wgd/internal/quote"
)

// TunablePrefix is the beginning of every tunable's name.
const TunablePrefix = "net.wg."

// tunables has NetBSD's names in NetBSD's order. All code that handles tunables,
// here and in other packages, loops over this table. A new tunable needs a field
// of Tunables, one of TunablesChange, and a row here.
var tunables = []tunable{
	newTunable("rekey_after_messages", count,
		func(t *Tunables) *uint64 { return &t.RekeyAfterMessages },
		func(c *TunablesChange) **uint64 { return &c.RekeyAfterMessages }),
	newTunable("rekey_after_time", seconds,
		func(t *Tunables) *time.Duration { return &t.RekeyAfterTime },
		func(c *TunablesChange) **time.Duration { return &c.RekeyAfterTime }),
	newTunable("rekey_timeout", seconds,
		func(t *Tunables) *time.Duration { return &t.RekeyTimeout },
		func(c *TunablesChange) **time.Duration { return &c.RekeyTimeout }),
	newTunable("rekey_attempt_time", seconds,
		func(t *Tunables) *time.Duration { return &t.RekeyAttemptTime },
		func(c *TunablesChange) **time.Duration { return &c.RekeyAttemptTime }),
	newTunable("keepalive_timeout", seconds,
		func(t *Tunables) *time.Duration { return &t.KeepaliveTimeout },
		func(c *TunablesChange) **time.Duration { return &c.KeepaliveTimeout }),
	newTunable("force_underload", bit,
		func(t *Tunables) *bool { return &t.ForceUnderload },
		func(c *TunablesChange) **bool { return &c.ForceUnderload }),
	newTunable("debug", bit,
		func(t *Tunables) *bool { return &t.Debug },
		func(c *TunablesChange) **bool { return &c.Debug }),
	// This one is not NetBSD's.
	newTunable("path_mtu_probes", bit,
		func(t *Tunables) *bool { return &t.PathMTUProbes },
		func(c *TunablesChange) **bool { return &c.PathMTUProbes }),
}

// A tunable is one sysctl: its name, and the operations on it.
type tunable struct {
	name     string
	values   string // accepted values, as the manual page shows them
	get      func(*Tunables) string
	set      func(*TunablesChange, string) error
	changes  func(*TunablesChange) bool
	validate func(*TunablesChange) error
	apply    func(*TunablesChange, *Tunables)
}

// A domain is a kind of value that tunables have, and its notation.
type domain[T any] struct {
	values string
	hint   string // ends the error about a refused value: what to give instead
	parse  func(string) (T, error)
	format func(T) string
	valid  func(T) bool
}

// newTunable returns the row of a tunable that is stored in the given fields.
func newTunable[T any](name string, d domain[T], field func(*Tunables) *T, change func(*TunablesChange) **T) tunable {
	name = TunablePrefix + name
	return tunable{
		name:   name,
		values: d.values,
		get:    func(t *Tunables) string { return d.format(*field(t)) },
		set: func(c *TunablesChange, text string) error {
			value, err := d.parse(text)
			if err != nil || !d.valid(value) {
				return invalid.Errorf("%s: %q: %s", name, quote.Text(text), d.hint)
			}
			*change(c) = &value
			return nil
		},
		changes: func(c *TunablesChange) bool { return *change(c) != nil },
		validate: func(c *TunablesChange) error {
			if value := *change(c); value != nil && !d.valid(*value) {
				return invalid.Errorf("%s: %v: %s", name, *value, d.hint)
			}
			return nil
		},
		apply: func(c *TunablesChange, t *Tunables) {
			if value := *change(c); value != nil {
				*field(t) = *value
			}
		},
	}
}

// maxSeconds limits the times to a day. That is longer than any test needs, and
// no computation with it overflows.
const maxSeconds = 86400

var count = domain[uint64]{
	values: fmt.Sprintf("1 to %d", uint64(math.MaxUint64)),
	hint:   fmt.Sprintf("give a number from 1 to %d", uint64(math.MaxUint64)),
	parse:  func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) },
	format: func(n uint64) string { return strconv.FormatUint(n, 10) },
	valid:  func(n uint64) bool { return n > 0 },
}

var seconds = domain[time.Duration]{
	values: fmt.Sprintf("1 to %d seconds", maxSeconds),
	hint:   fmt.Sprintf("give 1 to %d whole seconds", maxSeconds),
	parse: func(text string) (time.Duration, error) {
		n, err := strconv.ParseUint(text, 10, 32) // 32 bits: a Duration cannot overflow
		return time.Duration(n) * time.Second, err
	},
	format: func(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) },
	valid: func(d time.Duration) bool {
		return d >= time.Second && d <= maxSeconds*time.Second && d%time.Second == 0
	},
}

var bit = domain[bool]{
	values: "0 or 1",
	hint:   "give 0 (off) or 1 (on)",
	parse: func(text string) (bool, error) {
		if text != "0" && text != "1" {
			return false, ErrInvalid
		}
		return text == "1", nil
	},
	format: func(on bool) string {
		if on {
			return "1"
		}
		return "0"
	},
	valid: func(bool) bool { return true },
}

// TunableNames returns the names of all tunables, such as
// "net.wg.rekey_timeout".
func TunableNames() []string {
	names := make([]string, len(tunables))
	for i := range tunables {
		names[i] = tunables[i].name
	}
	return names
}

// TunableValues returns a description of the values that the tunable with this
// name accepts, such as "1 to 86400 seconds".
func TunableValues(name string) (string, error) {
	known, err := findTunable(name)
	if err != nil {
		return "", err
	}
	return known.values, nil
}

// Get returns the value of the tunable with this name, in the notation of
// TunablesChange.Set.
func (t *Tunables) Get(name string) (string, error) {
	known, err := findTunable(name)
	if err != nil {
		return "", err
	}
	return known.get(t), nil
}

// Set sets the field of the tunable with this name. Value is a decimal number;
// times are in seconds, and booleans are 0 or 1.
func (c *TunablesChange) Set(name, value string) error {
	known, err := findTunable(name)
	if err != nil {
		return err
	}
	return known.set(c, value)
}

// findTunable returns the tunable with this name.
func findTunable(name string) (*tunable, error) {
	for i := range tunables {
		if tunables[i].name == name {
			return &tunables[i], nil
		}
	}
	return nil, invalid.Errorf("%s: no such tunable: the names are %s", quote.Text(name), strings.Join(TunableNames(), ", "))
}

// ApplyTo returns t with the changes of c.
func (c *TunablesChange) ApplyTo(t Tunables) Tunables {
	for i := range tunables {
		tunables[i].apply(c, &t)
	}
	return t
}

// Each calls f with the name and the new value of every tunable that c changes.
func (c *TunablesChange) Each(f func(name, value string)) {
	all := c.ApplyTo(Tunables{})
	for i := range tunables {
		if tunables[i].changes(c) {
			f(tunables[i].name, tunables[i].get(&all))
		}
	}
}

func (c *TunablesChange) validate() error {
	for i := range tunables {
		if err := tunables[i].validate(c); err != nil {
			return err
		}
	}
	return nil
}
