package key

import "testing"

// Whoever calls a method itself, and not fmt, gets "(hidden)" as well.
func TestMethodsHide(t *testing.T) {
	private, preshared := exampleSecrets()
	for _, k := range []interface {
		String() string
		GoString() string
	}{private, preshared} {
		if k.String() != hidden || k.GoString() != hidden {
			t.Errorf("%T: %s, %s", k, k.String(), k.GoString())
		}
	}
	if private.LogValue().String() != hidden || preshared.LogValue().String() != hidden {
		t.Errorf("%v, %v", private.LogValue(), preshared.LogValue())
	}
}
