package aead

import "testing"

// eachKernel runs a test with every kernel that this processor has, whatever the
// size of the groups, and with x/crypto alone.
func eachKernel(t *testing.T, test func(*testing.T)) {
	before := chosen
	defer func() { chosen = before }()
	for _, k := range append([]kernel{{name: "x-crypto"}}, kernels...) {
		if k.run != nil && !k.supported() {
			t.Logf("kernel %s cannot run on this processor", k.name)
			continue
		}
		k.least = 1
		chosen = k
		t.Run(k.name, test)
	}
}
