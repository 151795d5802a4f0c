package interop

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	os.Exit(run(m))
}

// run leaves the tests out, loudly, on a machine that cannot have simulated
// hosts; CI must have them.
func run(m *testing.M) int {
	what := lab.Missing()
	for _, name := range []string{"wg", "wg-quick"} {
		if _, err := exec.LookPath(name); err != nil && what == "" {
			what = name + " of the package wireguard-tools"
		}
	}
	if what != "" {
		fmt.Printf("\n*** interop: LEFT OUT, ALL OF IT. It needs %s.\n"+
			"*** Nothing was proved about wireguard-go, wg and wg-quick. Run it as root: sudo make interop\n\n", what)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	if err := lab.BuildFrom(".", "golang.zx2c4.com/wireguard", lab.Theirs); err != nil {
		fmt.Println(err)
		return 1
	}
	defer lab.RemoveBinaries()
	return m.Run()
}
