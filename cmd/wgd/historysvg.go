package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"

	"wgd/internal/cli"
	"wgd/internal/history"
	"wgd/internal/quote"
	"wgd/internal/sys/file"
)

// writeDrawing writes a drawing to a file, which it replaces in one step, or to standard
// output.
func writeDrawing(c *cli.Call, d *history.Drawing, path string) error {
	if path == "-" {
		w := bufio.NewWriter(c.Stdout)
		return errors.Join(d.Write(w), w.Flush())
	}
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	if err := errors.Join(d.Write(w), w.Flush(), putFile(path, text.Bytes())); err != nil {
		return fmt.Errorf("%s: %w: choose another file", quote.Path(path), plain(err))
	}
	return nil
}

// putFile makes a file, or replaces its content. What is no ordinary file, such as a named
// pipe, is written to.
func putFile(path string, text []byte) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() {
		return file.Replace(path, text)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil && info == nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
