package tun

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

func TestErrorsKeepKindAndCause(t *testing.T) {
	err := fmt.Errorf("start: %w", &Error{Text: "x", Kind: ErrPermission, Cause: os.ErrPermission})
	if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
}
