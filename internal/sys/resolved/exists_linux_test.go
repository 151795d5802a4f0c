package resolved

import "testing"

func TestLinkExists(t *testing.T) {
	const loopback, none = 1, 1 << 30
	if !linkExists(loopback) || linkExists(none) {
		t.Errorf("the loopback interface exists: %t; one with the index %d: %t", linkExists(loopback), none, linkExists(none))
	}
}
