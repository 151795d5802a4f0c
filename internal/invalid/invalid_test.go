package invalid_test

import (
	"errors"
	"fmt"
	"testing"

	"wgd/internal/invalid"
)

// An error prints only its sentence. It matches Err, also when it is wrapped.
func TestErrorf(t *testing.T) {
	err := invalid.Errorf("port %d: give 1 to 65535", 70000)
	if err.Error() != "port 70000: give 1 to 65535" {
		t.Errorf("got %q", err)
	}
	if !errors.Is(err, invalid.Err) || !errors.Is(fmt.Errorf("wg0: %w", err), invalid.Err) {
		t.Error("the error does not match Err")
	}
	if errors.Is(errors.New(err.Error()), invalid.Err) || errors.Is(err, errors.ErrUnsupported) {
		t.Error("another error matches, or the error matches another one")
	}
}
