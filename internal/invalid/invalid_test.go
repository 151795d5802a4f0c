package invalid_test

import (
	"errors"
	"fmt"
	"testing"

	"wgd/internal/invalid"
)

// An error is the sentence alone, and is Err, also inside of another error.
func TestErrorf(t *testing.T) {
	err := invalid.Errorf("port %d: give 1 to 65535", 70000)
	if err.Error() != "port 70000: give 1 to 65535" {
		t.Errorf("%q", err)
	}
	if !errors.Is(err, invalid.Err) || !errors.Is(fmt.Errorf("wg0: %w", err), invalid.Err) {
		t.Error("the error is not Err")
	}
	if errors.Is(errors.New(err.Error()), invalid.Err) || errors.Is(err, errors.ErrUnsupported) {
		t.Error("another error is taken for it")
	}
}
