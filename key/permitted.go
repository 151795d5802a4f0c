package key

import (
	"crypto/fips140"
	"errors"
)

var errFIPS = errors.New("in the mode fips140=only (FIPS 140-3) Go forbids X25519 and ChaCha20-Poly1305, " +
	"and without them there is no WireGuard: take it out of GODEBUG")

// Permitted says why no tunnel is possible in this process: an error in the mode
// that GODEBUG=fips140=only asks for, and nil in every other one.
func Permitted() error {
	if fips140.Enforced() {
		return errFIPS
	}
	return nil
}
