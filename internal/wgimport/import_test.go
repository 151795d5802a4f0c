package wgimport

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wgd/internal/wgconf"
)

var update = flag.Bool("update", false, "write testdata/samples/*/want")

// Each folder in testdata/samples has files of other programs, and in the file want what
// becomes of them: our files, and the messages.
func TestSamples(t *testing.T) {
	folders, err := filepath.Glob("testdata/samples/*")
	if err != nil || len(folders) < 8 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			got := print(t, Import(read(t, folder)))
			wanted := filepath.Join(folder, "want")
			if *update {
				if err := os.WriteFile(wanted, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wanted)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func read(t *testing.T, folder string) (sources []Source) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{Name: filepath.Base(file), Text: text})
	}
	return sources
}

// print shows a Result, after it has checked what holds for all of them.
func print(t *testing.T, r Result) string {
	t.Helper()
	check(t, r)
	var b strings.Builder
	for _, tunnel := range r.Tunnels {
		fmt.Fprintf(&b, "--- %s.conf, peers: %d\n%s", tunnel.Name, tunnel.Peers, tunnel.Document.Bytes())
	}
	b.WriteString("--- messages\n")
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "%-7s %s\n", n.Kind, n)
	}
	return b.String()
}

// check: each file has no errors, each name is one for an interface, and stands
// once; no message has a control character or a key.
func check(t *testing.T, r Result) {
	t.Helper()
	names := map[string]bool{}
	for _, tunnel := range r.Tunnels {
		text := string(tunnel.Document.Bytes())
		_, problems := wgconf.Parse([]byte(text)).Decode(env)
		if err := problems.Err("x"); err != nil {
			t.Fatalf("%s: %v\n%s", tunnel.Name, err, text)
		}
		if _, name, err := wgconf.Locate("/" + tunnel.Name + ".conf"); err != nil || name != tunnel.Name || names[name] {
			t.Fatalf("the name %q: %v, %v", tunnel.Name, err, names)
		}
		names[tunnel.Name] = true
	}
	for _, n := range r.Notes {
		if strings.ContainsFunc(n.String(), func(r rune) bool { return r < ' ' || r == 0x7f }) || n.Text == "" || n.File == "" {
			t.Fatalf("the message %q", n)
		}
	}
}
