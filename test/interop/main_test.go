package interop

import (
	"os"
	"testing"

	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	build := func() error { return lab.BuildFrom(".", "golang.zx2c4.com/wireguard", lab.Theirs) }
	os.Exit(lab.Main(m, "interop", "wireguard-go, wg and wg-quick", build, "nft", "wg", "wg-quick"))
}
