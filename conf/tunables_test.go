package conf_test

import (
	"bufio"
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

// Every field of Tunables and of TunablesChange has a row in the table, and no
// two rows use the same field.
func TestEveryTunableHasARow(t *testing.T) {
	fields, changes := reflect.TypeFor[conf.Tunables](), reflect.TypeFor[conf.TunablesChange]()
	names := conf.TunableNames()
	if len(names) != fields.NumField() || len(names) != changes.NumField() {
		t.Fatalf("%d names, %d fields of Tunables, %d fields of TunablesChange", len(names), fields.NumField(), changes.NumField())
	}
	for i := range fields.NumField() {
		if f, c := fields.Field(i), changes.Field(i); c.Name != f.Name || c.Type != reflect.PointerTo(f.Type) {
			t.Errorf("field %s %v of Tunables has the field %s %v in TunablesChange", f.Name, f.Type, c.Name, c.Type)
		}
	}
	for i, name := range names {
		var c conf.TunablesChange
		if err := c.Set(name, "1"); err != nil {
			t.Fatal(err)
		}
		for j := range changes.NumField() {
			if set := !reflect.ValueOf(c).Field(j).IsNil(); set != (i == j) {
				t.Errorf("Set of %s sets %s: %v", name, changes.Field(j).Name, set)
			}
		}
		after := c.ApplyTo(conf.Tunables{})
		for j := range fields.NumField() {
			if set := !reflect.ValueOf(after).Field(j).IsZero(); set != (i == j) {
				t.Errorf("ApplyTo after Set of %s changes %s: %v", name, fields.Field(j).Name, set)
			}
		}
	}
}

// Set accepts every default.
func TestDefaultsAreValid(t *testing.T) {
	defaults := conf.DefaultTunables()
	for _, name := range conf.TunableNames() {
		value, err := defaults.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := new(conf.TunablesChange).Set(name, value); err != nil {
			t.Errorf("Set refuses the default of %s: %v", name, err)
		}
	}
}

// Set and Validate accept the values that TunableValues describes.
func TestTunableValues(t *testing.T) {
	for _, name := range conf.TunableNames() {
		values, err := conf.TunableValues(name)
		if err != nil {
			t.Fatal(err)
		}
		var good, bad []string
		switch values {
		case "0 or 1":
			good, bad = []string{"0", "1"}, []string{"2", "true", "00"}
		case "1 to 86400 seconds":
			good, bad = []string{"1", "86400"}, []string{"0", "86401", "4294967297"}
		case "1 to 18446744073709551615":
			good, bad = []string{"1", "18446744073709551615"}, []string{"0", "18446744073709551616"}
		default:
			t.Errorf("%s has the values %q, which this test does not know", name, values)
		}
		for _, value := range good {
			var c conf.TunablesChange
			if err := c.Set(name, value); err != nil {
				t.Error(err)
			}
			if err := (&conf.Change{Tunables: c}).Validate(); err != nil {
				t.Error(err)
			}
			after := c.ApplyTo(conf.Tunables{})
			if got, err := after.Get(name); got != value || err != nil {
				t.Errorf("%s: set to %s, got %s, %v", name, value, got, err)
			}
		}
		for _, value := range bad {
			var c conf.TunablesChange
			if err := c.Set(name, value); err == nil || c != (conf.TunablesChange{}) {
				t.Errorf("%s=%s: got error %v and change %+v, want an error and no change", name, value, err, c)
			}
		}
	}
	if values, err := conf.TunableValues("net.wg.nothing"); err == nil {
		t.Errorf("TunableValues of an unknown name returns %q, want an error", values)
	}
}

// Validate refuses values that only a program can store in a TunablesChange,
// because Set refuses them.
func TestValidateTunables(t *testing.T) {
	no, short, long, part := uint64(0), time.Second-1, 86401*time.Second, 1500*time.Millisecond
	for i, d := range []*time.Duration{&short, &long, &part} {
		for _, c := range []conf.TunablesChange{{RekeyAfterTime: d}, {RekeyTimeout: d}, {RekeyAttemptTime: d}, {KeepaliveTimeout: d}} {
			if err := (&conf.Change{Tunables: c}).Validate(); err == nil || !strings.Contains(err.Error(), "give 1 to 86400 whole seconds") {
				t.Errorf("case %d: Validate of %v in %+v: %v", i, *d, c, err)
			}
		}
	}
	if err := (&conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: &no}}).Validate(); err == nil {
		t.Error("Validate accepts RekeyAfterMessages 0")
	}
}

// A row in the table is all that a new tunable needs: conf and uapi handle it.
func TestARowIsEnough(t *testing.T) {
	conf.AddTunable(t, "of_this_test")
	const name = "net.wg.of_this_test"
	var c conf.TunablesChange
	if err := c.Set(name, "7"); err != nil {
		t.Fatal(err)
	}
	if err := (&conf.Change{Tunables: c}).Validate(); err != nil {
		t.Fatal(err)
	}
	changed := map[string]string{}
	c.Each(func(name, value string) { changed[name] = value })
	if changed[name] != "7" {
		t.Errorf("Each reports %v", changed)
	}

	var text bytes.Buffer
	if err := uapi.WriteChange(bufio.NewWriter(&text), &conf.Change{Tunables: c}); err != nil || !strings.Contains(text.String(), name+"=7\n") {
		t.Errorf("WriteChange: %q, %v", &text, err)
	}
	request, err := uapi.NewDecoder(&text).Next()
	if err != nil || request.Change.Tunables.RekeyTimeout == nil || *request.Change.Tunables.RekeyTimeout != 7*time.Second {
		t.Errorf("Decoder.Next: %+v, %v", request.Change.Tunables, err)
	}
	text.Reset()
	want := conf.Status{Tunables: c.ApplyTo(conf.DefaultTunables())}
	if err := uapi.WriteStatus(bufio.NewWriter(&text), &want); err != nil || !strings.Contains(text.String(), name+"=7\n") {
		t.Errorf("WriteStatus: %q, %v", &text, err)
	}
	status, err := uapi.NewReader(&text).Status()
	if got, _ := status.Tunables.Get(name); got != "7" || err != nil {
		t.Errorf("Reader.Status: %+v, %v", status.Tunables, err)
	}
}
