package interop

import (
	"errors"
	"os"
	"testing"

	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	build := func() error {
		return errors.Join(
			lab.BuildFrom(".", "golang.zx2c4.com/wireguard", lab.Theirs),
			lab.BuildFrom(".", "./stack", theirStack),
			lab.BuildFrom("../..", "./test/stackload/wgdstack", ourStack))
	}
	os.Exit(lab.Main(m, "interop", "wireguard-go, wg and wg-quick", build, "nft", "wg", "wg-quick"))
}
