package conf

import (
	"strconv"
	"strings"
	"time"
)

// tunable is one sysctl: its name and how it is read and written as text.
type tunable struct {
	name string
	get  func(*Tunables) string
	set  func(*TunablesChange, string) error
}

// tunables are NetBSD's names in NetBSD's order.
var tunables = []tunable{
	{"net.wg.rekey_after_messages",
		func(t *Tunables) string { return strconv.FormatUint(t.RekeyAfterMessages, 10) },
		func(c *TunablesChange, v string) error { return setCount(&c.RekeyAfterMessages, v) }},
	{"net.wg.rekey_after_time",
		func(t *Tunables) string { return seconds(t.RekeyAfterTime) },
		func(c *TunablesChange, v string) error { return setSeconds(&c.RekeyAfterTime, v) }},
	{"net.wg.rekey_timeout",
		func(t *Tunables) string { return seconds(t.RekeyTimeout) },
		func(c *TunablesChange, v string) error { return setSeconds(&c.RekeyTimeout, v) }},
	{"net.wg.rekey_attempt_time",
		func(t *Tunables) string { return seconds(t.RekeyAttemptTime) },
		func(c *TunablesChange, v string) error { return setSeconds(&c.RekeyAttemptTime, v) }},
	{"net.wg.keepalive_timeout",
		func(t *Tunables) string { return seconds(t.KeepaliveTimeout) },
		func(c *TunablesChange, v string) error { return setSeconds(&c.KeepaliveTimeout, v) }},
	{"net.wg.force_underload",
		func(t *Tunables) string { return bit(t.ForceUnderload) },
		func(c *TunablesChange, v string) error { return setBit(&c.ForceUnderload, v) }},
	{"net.wg.debug",
		func(t *Tunables) string { return bit(t.Debug) },
		func(c *TunablesChange, v string) error { return setBit(&c.Debug, v) }},
}

// TunableNames are the names that Get and Set know.
func TunableNames() []string {
	names := make([]string, len(tunables))
	for i := range tunables {
		names[i] = tunables[i].name
	}
	return names
}

// Get is the value of the tunable with that sysctl name, as Set takes it.
func (t *Tunables) Get(name string) (string, error) {
	for i := range tunables {
		if tunables[i].name == name {
			return tunables[i].get(t), nil
		}
	}
	return "", unknownTunable(name)
}

// Set notes a new value for the tunable with that sysctl name.
func (c *TunablesChange) Set(name, value string) error {
	for i := range tunables {
		if tunables[i].name != name {
			continue
		}
		if err := tunables[i].set(c, value); err != nil {
			return Invalidf("%s: %q: %v", name, ascii(value), err)
		}
		return nil
	}
	return unknownTunable(name)
}

func unknownTunable(name string) error {
	return Invalidf("%s: no such name: the names are %s", ascii(name), strings.Join(TunableNames(), ", "))
}

// ApplyTo is t with the changes made.
func (c *TunablesChange) ApplyTo(t Tunables) Tunables {
	replace(&t.RekeyAfterMessages, c.RekeyAfterMessages)
	replace(&t.RekeyAfterTime, c.RekeyAfterTime)
	replace(&t.RekeyTimeout, c.RekeyTimeout)
	replace(&t.RekeyAttemptTime, c.RekeyAttemptTime)
	replace(&t.KeepaliveTimeout, c.KeepaliveTimeout)
	replace(&t.ForceUnderload, c.ForceUnderload)
	replace(&t.Debug, c.Debug)
	return t
}

func replace[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

// Each calls f with the name and value of every tunable that changes.
func (c *TunablesChange) Each(f func(name, value string)) {
	all := c.ApplyTo(Tunables{})
	set := [...]bool{c.RekeyAfterMessages != nil, c.RekeyAfterTime != nil, c.RekeyTimeout != nil,
		c.RekeyAttemptTime != nil, c.KeepaliveTimeout != nil, c.ForceUnderload != nil, c.Debug != nil}
	for i := range tunables {
		if set[i] {
			f(tunables[i].name, tunables[i].get(&all))
		}
	}
}

// maxSeconds bounds the times: a day is more than any test needs, and nothing
// that is computed from it overflows.
const maxSeconds = 86400

func (c *TunablesChange) validate() error {
	if n := c.RekeyAfterMessages; n != nil && *n == 0 {
		return Invalidf("net.wg.rekey_after_messages: 0: a key must serve for one message at least")
	}
	times := [...]*time.Duration{c.RekeyAfterTime, c.RekeyTimeout, c.RekeyAttemptTime, c.KeepaliveTimeout}
	for i, d := range times {
		if d != nil && (*d < time.Second || *d > maxSeconds*time.Second || *d%time.Second != 0) {
			return Invalidf("%s: %v: give 1 to %d whole seconds", tunables[1+i].name, *d, maxSeconds)
		}
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func setCount(dst **uint64, v string) error {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n == 0 {
		return Invalidf("give a number from 1 to %d", uint64(1<<64-1))
	}
	*dst = &n
	return nil
}

func setSeconds(dst **time.Duration, v string) error {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n < 1 || n > maxSeconds {
		return Invalidf("give 1 to %d whole seconds", maxSeconds)
	}
	d := time.Duration(n) * time.Second
	*dst = &d
	return nil
}

func setBit(dst **bool, v string) error {
	if v != "0" && v != "1" {
		return Invalidf("give 0 (off) or 1 (on)")
	}
	b := v == "1"
	*dst = &b
	return nil
}
