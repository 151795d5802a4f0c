package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"wgd/internal/cli"
	"wgd/internal/history"
	"wgd/internal/quote"
)

// writeDrawing writes a drawing to a file, which it replaces in one step, or to standard
// output.
func writeDrawing(c *cli.Call, d *history.Drawing, path string) error {
	if path == "-" {
		w := bufio.NewWriter(c.Stdout)
		return errors.Join(d.Write(w), w.Flush())
	}
	draft := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8])
	file, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		w := bufio.NewWriter(file)
		err = errors.Join(d.Write(w), w.Flush(), file.Sync(), file.Close())
		if err == nil {
			err = os.Rename(draft, path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(draft))
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w: choose another file", quote.Path(path), plain(err))
	}
	return nil
}
