package key

import (
	"crypto/fips140"
	"errors"
)

var errFIPS = errors.New("in the mode fips140=only (FIPS 140-3) Go forbids X25519 and ChaCha20-Poly1305, " +
	"which WireGuard needs: remove fips140=only from GODEBUG")

// Permitted returns an error if this process may not use the algorithms of
// WireGuard, which is so with GODEBUG=fips140=only.
func Permitted() error {
	if fips140.Enforced() {
		return errFIPS
	}
	return nil
}
