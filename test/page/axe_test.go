package page

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"wgd/test/lab"
)

// The version of axe-core, and what its package in the registry of npm is.
const (
	axeVersion = "4.14.1"
	axePackage = "https://registry.npmjs.org/axe-core/-/axe-core-" + axeVersion + ".tgz"
	axeSHA512  = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
	axeFile    = "package/axe.min.js"
)

var errNoRegistry = errors.New("the registry of npm cannot be reached")

// axeSource returns the script of axe-core. It is downloaded once.
func axeSource() (string, error) {
	file := filepath.Join(lab.Unpacked("axe-core-"+axeVersion), "axe.min.js")
	if text, err := os.ReadFile(file); err == nil {
		return string(text), nil
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Get(axePackage)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoRegistry, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", axePackage, response.Status)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoRegistry, err)
	}
	if sum := sha512.Sum512(data); base64.StdEncoding.EncodeToString(sum[:]) != axeSHA512 {
		return "", fmt.Errorf("%s is not the package that this test knows", axePackage)
	}
	text, err := extract(data, axeFile)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	return string(text), os.WriteFile(file, text, 0o644)
}

// extract returns a file of a package.
func extract(archive []byte, name string) ([]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(plain); ; {
		header, err := files.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if header.Name == name {
			return io.ReadAll(files)
		}
	}
}

// accessible fails the test if axe-core finds something serious on the page.
func (b *browser) accessible(what string) {
	b.t.Helper()
	source, err := axeSource()
	if errors.Is(err, errNoRegistry) {
		b.t.Logf("LEFT OUT: axe-core on %s: %v", what, err)
		return
	}
	if err != nil {
		b.t.Fatal(err)
	}
	var found []string
	b.do(chromedp.Evaluate(source+"; true", nil),
		chromedp.Evaluate(`axe.run().then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
			.map(v => v.impact + ": " + v.help + ": " + v.nodes.map(n => n.target + " " + n.failureSummary).join("; ")))`, &found,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if len(found) > 0 {
		b.t.Errorf("axe-core on %s:\n%s", what, strings.Join(found, "\n"))
	}
}
