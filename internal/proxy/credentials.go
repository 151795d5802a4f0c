package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
)

// sameCredentials compares user names and passwords in constant time, without
// showing how long the right ones are.
func sameCredentials(username, password []byte, wantUsername, wantPassword string) bool {
	return same(username, wantUsername)&same(password, wantPassword) == 1
}

func same(got []byte, want string) int {
	a, b := sha256.Sum256(got), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:])
}
