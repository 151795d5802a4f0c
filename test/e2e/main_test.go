package e2e

import (
	"fmt"
	"os"
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
	if what := lab.Missing(); what != "" {
		fmt.Printf("\n*** e2e: LEFT OUT, ALL OF IT. It needs %s.\n"+
			"*** Nothing was proved about real interfaces, sockets and commands. Run it as root: sudo make e2e\n\n", what)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	if _, err := lab.Build(); err != nil {
		fmt.Println(err)
		return 1
	}
	defer lab.RemoveBinaries()
	return m.Run()
}
