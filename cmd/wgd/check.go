package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"wgd/internal/cli"
	"wgd/internal/wgconf"
)

// maxFile is the maximum size of a file. A million peers need less.
const maxFile = 1 << 28

// runCheck reports everything that is wrong with a configuration file. It starts nothing.
func runCheck(c *cli.Call) error {
	path, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil {
		return err
	}
	text, exposed, err := readFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w: correct the path, or its permissions", path, plain(err))
	}
	file, problems := decode(text, path, exposed)
	if c.Has("json") {
		if err := c.PrintJSON(checkResult(path, name, file, problems)); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			if p.Warning {
				c.Warnf("%s", p.In(path))
			} else {
				cli.PrintError(c.Stderr, c.Command.Name, errors.New(p.In(path)))
			}
		}
	}
	if problems.HasErrors() {
		return cli.Status(1)
	}
	if !c.Has("json") {
		_, err = fmt.Fprintf(c.Stdout, "%s: no errors: interface %s, peers: %d\n", path, name, len(file.Peers))
	}
	return err
}

// decode decodes the text of a file, and erases the text and its keys, because only the
// problems are needed.
func decode(text []byte, path string, exposed bool) (*wgconf.File, wgconf.Problems) {
	defer clear(text)
	document := wgconf.Parse(text)
	defer document.Erase()
	env := surroundings(path)
	env.CheckOnly = true
	file, problems := document.Decode(env)
	if file != nil {
		change := file.Change()
		change.Erase()
	}
	if exposed {
		first := wgconf.Problem{Warning: true, Text: "others may read this file, and its keys: chmod 600 it"}
		problems = append(wgconf.Problems{first}, problems...)
	}
	return file, problems
}

// readKey reads a key file.
func readKey(path string) (wgconf.KeyFile, error) {
	text, exposed, err := readFile(path)
	return wgconf.KeyFile{Text: text, Exposed: exposed}, err
}

// readFile reads a file, and reports whether other users may read it.
func readFile(path string) (text []byte, exposed bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, false, err
	}
	if info.Size() > maxFile {
		return nil, false, errors.New("the file is too large for a configuration")
	}
	text, err = os.ReadFile(path)
	return text, cli.ReadableByOthers(info), err
}

// plain removes the name of the file from an error.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// checked is what --json prints.
type checked struct {
	File      string           `json:"file"`
	Interface string           `json:"interface"`
	OK        bool             `json:"ok"`
	Peers     int              `json:"peers"`
	Problems  []checkedProblem `json:"problems"`
}

type checkedProblem struct {
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
}

func checkResult(path, name string, file *wgconf.File, problems wgconf.Problems) checked {
	result := checked{File: path, Interface: name, OK: file != nil, Problems: []checkedProblem{}}
	if file != nil {
		result.Peers = len(file.Peers)
	}
	for _, p := range problems {
		severity := "error"
		if p.Warning {
			severity = "warning"
		}
		result.Problems = append(result.Problems, checkedProblem{p.Line, severity, p.Text})
	}
	return result
}

// completeConf offers the names of the files in /etc/wireguard, and files.
func completeConf([]string) []string {
	words := []string{cli.FilesHere}
	files, _ := filepath.Glob(filepath.Join(wgconf.Folder, "*.conf"))
	for _, file := range files {
		words = append(words, strings.TrimSuffix(filepath.Base(file), ".conf"))
	}
	return words
}
