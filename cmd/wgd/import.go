package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/wgimport"
)

// runImport makes configuration files of those of other programs.
func runImport(c *cli.Call) error {
	sources, err := readSources(c.Args("FILE"))
	defer func() {
		for _, s := range sources {
			clear(s.Text)
		}
	}()
	if err != nil {
		return err
	}
	result := wgimport.Import(sources)
	defer func() {
		for _, t := range result.Tunnels {
			t.Document.Erase()
		}
	}()
	result.Notes = append(result.Notes, dropIns(c.Args("FILE"))...)
	if !c.Has("json") {
		printNotes(c, result.Notes)
	}
	folder, toFolder := c.Value("output")
	switch {
	case len(result.Tunnels) == 0:
	case toFolder:
		err = writeTunnels(c, folder, result.Tunnels)
	case c.Has("json"):
	case len(result.Tunnels) > 1:
		err = fmt.Errorf("%d tunnels: give the folder for their files with -o DIR", len(result.Tunnels))
	default:
		err = printTunnel(c.Stdout, result.Tunnels[0])
	}
	if err != nil {
		return err
	}
	if c.Has("json") {
		if err := c.PrintJSON(importResult(folder, toFolder, result)); err != nil {
			return err
		}
	}
	if len(result.Tunnels) == 0 || refused(result.Notes) {
		return cli.Status(1)
	}
	return nil
}

// readSources reads all files, as far as they can be read.
func readSources(paths []string) (sources []wgimport.Source, err error) {
	for _, path := range paths {
		text, _, err := readFile(path)
		if err != nil {
			return sources, fmt.Errorf("%s: %w: correct the path, or its permissions", quote.Path(path), plain(err))
		}
		sources = append(sources, wgimport.Source{Name: path, Text: text})
	}
	return sources, nil
}

// dropIns says that systemd would read more than the file.
func dropIns(paths []string) (notes []wgimport.Note) {
	for _, path := range paths {
		if files, _ := filepath.Glob(filepath.Join(path+".d", "*.conf")); len(files) > 0 {
			notes = append(notes, wgimport.Note{File: path, Kind: wgimport.Lost, Text: "the drop-in files in " + path + ".d: append their lines to a copy of the file, and import that"})
		}
	}
	return notes
}

func printNotes(c *cli.Call, notes []wgimport.Note) {
	for _, n := range notes {
		if n.Kind == wgimport.Changed {
			c.Warnf("%s", n)
		} else {
			cli.PrintError(c.Stderr, c.Command.Name, errors.New(n.String()))
		}
	}
}

func refused(notes []wgimport.Note) bool {
	for _, n := range notes {
		if n.Kind == wgimport.Refused {
			return true
		}
	}
	return false
}

func printTunnel(to io.Writer, t wgimport.Tunnel) error {
	text := t.Document.Bytes()
	defer clear(text)
	_, err := to.Write(text)
	return err
}

// writeTunnels writes a file for each tunnel, that only its owner can read. It
// writes none if one of them exists.
func writeTunnels(c *cli.Call, folder string, tunnels []wgimport.Tunnel) error {
	var exist []error
	for _, t := range tunnels {
		path := tunnelFile(folder, t)
		if _, err := os.Lstat(path); err == nil && !c.Has("force") {
			exist = append(exist, fmt.Errorf("%s: the file exists: remove it, or replace it with --force", path))
		}
	}
	if len(exist) > 0 {
		return errors.Join(exist...)
	}
	for _, t := range tunnels {
		path := tunnelFile(folder, t)
		if err := writeTunnel(path, t, c.Has("force")); err != nil {
			return fmt.Errorf("%s: %w: correct the folder, or its permissions", quote.Path(path), plain(err))
		}
		if !c.Has("json") {
			if _, err := fmt.Fprintf(c.Stdout, "%s: peers: %d\n", path, t.Peers); err != nil {
				return err
			}
		}
	}
	return nil
}

func tunnelFile(folder string, t wgimport.Tunnel) string {
	return filepath.Join(folder, t.Name+".conf")
}

// writeTunnel makes the file complete under another name first, so that none is
// ever there in parts, or readable by others. Without force, a file that exists
// stays.
func writeTunnel(path string, t wgimport.Tunnel, force bool) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".wgd-import-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = errors.Join(printTunnel(file, t), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if force {
		return os.Rename(file.Name(), path)
	}
	if err := os.Link(file.Name(), path); errors.Is(err, fs.ErrExist) {
		return errors.New("the file exists by now")
	} else if err != nil {
		return err
	}
	return nil
}

// imported is the answer of --json.
type imported struct {
	Tunnels []importedTunnel `json:"tunnels"`
	Notes   []importedNote   `json:"notes"`
}

type importedTunnel struct {
	Interface string `json:"interface"`
	Source    string `json:"source"`
	File      string `json:"file"`
	Peers     int    `json:"peers"`
}

type importedNote struct {
	Source string `json:"source"`
	Line   int    `json:"line"`
	Key    string `json:"key"`
	Kind   string `json:"kind"`
	Text   string `json:"text"`
}

func importResult(folder string, written bool, result wgimport.Result) imported {
	answer := imported{Tunnels: []importedTunnel{}, Notes: []importedNote{}}
	for _, t := range result.Tunnels {
		file := ""
		if written {
			file = tunnelFile(folder, t)
		}
		answer.Tunnels = append(answer.Tunnels, importedTunnel{t.Name, t.Source, file, t.Peers})
	}
	for _, n := range result.Notes {
		answer.Notes = append(answer.Notes, importedNote{n.File, n.Line, n.Key, n.Kind.String(), n.Text})
	}
	return answer
}
