package page

import (
	"os"
	"testing"

	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	os.Exit(lab.Main(m, "page", "the page of wgd web in a browser", func() error { return nil }, "chromium", "curl"))
}
