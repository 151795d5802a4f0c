package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The other tunnels are built for the rows that compare with them only.
func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		o    options
		want []side
	}{
		{options{}, nil},
		{options{all: true}, []side{fork, nebula}},
		{options{only: []string{"tcp-tailscale-cpu"}}, []side{fork}},
		{options{only: []string{"tcp", "tcp-nebula"}}, []side{nebula}},
	} {
		var got []side
		for _, a := range others {
			if c.o.needs(a.side) {
				got = append(got, a.side)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v needs %v, want %v", c.o, got, c.want)
		}
	}
}

// Each of them has a module that pins its version and names its programs as tools. A
// process has a name of at most 15 characters, by which its daemon is found.
func TestOtherModules(t *testing.T) {
	for _, a := range others {
		text, err := os.ReadFile(filepath.Join(a.folder, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for name, pkg := range a.programs {
			if !slices.Contains(strings.Fields(string(text)), pkg) {
				t.Errorf("%s/go.mod has no tool %s", a.folder, pkg)
			}
			if len(name) > 15 {
				t.Errorf("%s is too long for the name of a process", name)
			}
		}
		if _, err := os.Stat(filepath.Join(a.folder, "go.sum")); err != nil {
			t.Error(err)
		}
		if _, ok := a.programs[(options{}).program(a.side)]; !ok {
			t.Errorf("side %d is measured with %s, which is not built", a.side, (options{}).program(a.side))
		}
	}
}
