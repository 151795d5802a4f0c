package key

import "testing"

// The methods return "(hidden)" also when they are called directly, without fmt.
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
