package e2e

import (
	"os"
	"testing"

	"wgd/test/lab"
	"wgd/test/load"
)

func TestMain(m *testing.M) {
	becomeFiltered()
	lab.BecomeAgent()
	load.Become()
	build := func() error { _, err := lab.Build(); return err }
	os.Exit(lab.Main(m, "e2e", "real interfaces, sockets and commands", build))
}
