package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"wgd/internal/cli"
	"wgd/internal/proxyconf"
	"wgd/internal/sys/file"
	"wgd/internal/wgconf"
)

// maxFile is the maximum size of a file. A million peers need less.
const maxFile = 1 << 28

var checkForm = cli.Form{
	Syntax:  "check CONF",
	Example: "wgd check wg0",
	Summary: "report everything that is wrong with a configuration file",
	Options: []cli.Option{{Long: "json", Text: "print the result as JSON"}},
	Text: []string{
		"The file has the format of wg-quick(8), see wgd.conf(5), or that of wireproxy. Each problem is printed with its line. The exit status is 1 if there are errors, " +
			"and 0 if there are only warnings. Nothing is started or changed.",
		"The JSON object has the fields `file`, `interface`, `ok`, `peers` and `services` (their numbers; 0 if there are errors) and `problems`: a list of objects with `file`, `line` " +
			"(0: the file as a whole), `severity` (`error` or `warning`) and `text`.",
	},
	Run: runCheck,
}

// runCheck reports everything that is wrong with a configuration file. It starts nothing.
func runCheck(c *cli.Call) error {
	path, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil { // wgd proxy takes files with any name
		path = c.Arg("CONF")
	}
	text, exposed, readErr := readFile(path)
	switch {
	case err != nil && (readErr != nil || !proxyconf.IsWireproxy(text)):
		return err
	case readErr != nil:
		return fmt.Errorf("%s: %w: correct the path, or its permissions", path, plain(readErr))
	}
	config, problems := decode(text, path, exposed)
	if c.Has("json") {
		if err := c.PrintJSON(checkResult(path, name, config, problems)); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			if p.Warning {
				c.Warnf("%s", p)
			} else {
				cli.PrintError(c.Stderr, c.Command.Name, errors.New(p.String()))
			}
		}
	}
	if problems.HasErrors() {
		return cli.Status(1)
	}
	if c.Has("json") {
		return nil
	}
	line := fmt.Sprintf("%s: no errors: ", path)
	if name != "" {
		line += fmt.Sprintf("interface %s, ", name)
	}
	line += fmt.Sprintf("peers: %d", len(config.Tunnel.Peers))
	if n := len(config.Services); n > 0 {
		line += fmt.Sprintf(", services: %d", n)
	}
	_, err = fmt.Fprintln(c.Stdout, line)
	return err
}

// decode decodes the text of a file, and erases the text and its keys, because only the
// problems are needed.
func decode(text []byte, path string, exposed bool) (*proxyconf.Config, proxyconf.Problems) {
	defer clear(text)
	env := proxySurroundings(path)
	env.CheckOnly = true
	config, problems := proxyconf.Read(path, text, env)
	if config != nil {
		config.Erase()
	}
	if exposed {
		first := proxyconf.Problem{File: path, Problem: wgconf.Problem{Warning: true, Text: "others may read this file, and its keys: chmod 600 it"}}
		problems = append(proxyconf.Problems{first}, problems...)
	}
	return config, problems
}

// proxySurroundings are where a file takes keys, variables and other files from.
func proxySurroundings(path string) proxyconf.Env {
	return proxyconf.Env{Env: surroundings(path), LookupEnv: os.LookupEnv, ReadFile: func(path string) ([]byte, error) {
		text, _, err := readFile(path)
		return text, plain(err)
	}}
}

// readKey reads a key file.
func readKey(path string) (wgconf.KeyFile, error) {
	text, exposed, err := readFile(path)
	return wgconf.KeyFile{Text: text, Exposed: exposed}, err
}

// readFile reads a file, and reports whether other users may read it.
func readFile(path string) (text []byte, exposed bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if info.Size() > maxFile {
		return nil, false, errors.New("the file is too large for a configuration")
	}
	text, err = os.ReadFile(path)
	return text, file.ReadableByOthers(info), err
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
	Services  int              `json:"services"`
	Problems  []checkedProblem `json:"problems"`
}

type checkedProblem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Text     string `json:"text"`
}

func checkResult(path, name string, config *proxyconf.Config, problems proxyconf.Problems) checked {
	result := checked{File: path, Interface: name, OK: config != nil, Problems: []checkedProblem{}}
	if config != nil {
		result.Peers, result.Services = len(config.Tunnel.Peers), len(config.Services)
	}
	for _, p := range problems {
		severity := "error"
		if p.Warning {
			severity = "warning"
		}
		result.Problems = append(result.Problems, checkedProblem{p.File, p.Line, severity, p.Text})
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
