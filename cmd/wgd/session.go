package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"wgd/internal/cli"
	"wgd/internal/nameserver"
	"wgd/internal/netsetup"
	"wgd/internal/sys/link"
	"wgd/internal/sys/unixsocket"
	"wgd/internal/wgconf"
)

// load reads a file, and prints warnings about it.
func load(c *cli.Call, path string) (*wgconf.File, error) {
	text, exposed, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w: run it as root", path, plain(err))
	case err != nil:
		return nil, fmt.Errorf("%s: %w: correct the path", path, plain(err))
	}
	defer clear(text)
	document := wgconf.Parse(text)
	defer document.Erase()
	file, problems := document.Decode(surroundings(path))
	if exposed {
		c.Warnf("%s: others may read this file, and its keys: chmod 600 it", path)
	}
	for _, p := range problems {
		if p.Warning {
			c.Warnf("%s", p.In(path))
		}
	}
	return file, problems.Err(path)
}

// surroundings are where the keys come from that a file names.
func surroundings(path string) wgconf.Env {
	return wgconf.Env{
		ReadKey:     readKey,
		Dir:         filepath.Dir(path),
		Credentials: credentials(),
	}
}

// credentials is the folder of the credentials of a systemd service. Only the main process
// sees them: to a command of ExecReload, systemd 252 shows an empty folder, and 257 does
// not tell where they are. Such a command looks where the main process does.
func credentials() string {
	folder, main := os.Getenv("CREDENTIALS_DIRECTORY"), os.Getenv("MAINPID")
	if _, err := strconv.ParseUint(main, 10, 31); err != nil {
		return folder
	}
	if _, err := os.ReadDir(folder); err == nil {
		return folder
	}
	process := filepath.Join("/proc", main)
	environment, _ := os.ReadFile(filepath.Join(process, "environ"))
	for variable := range strings.SplitSeq(string(environment), "\x00") {
		if its, ok := strings.CutPrefix(variable, "CREDENTIALS_DIRECTORY="); ok {
			return filepath.Join(process, "root", its)
		}
	}
	return folder
}

// A session is one call of a command that works on an interface and its file.
type session struct {
	call    *cli.Call
	name    string
	kernel  *netsetup.Kernel
	setup   netsetup.Setup
	release func() // the lock

	readers *unixsocket.Group // of the control socket of a daemon that is started
}

// begin keeps others from changing the interface, until end.
func begin(c *cli.Call, name string) (*session, error) {
	links, err := link.Open()
	if err != nil {
		return nil, err
	}
	store := netsetup.Store{Dir: netsetup.Folder()}
	release, err := store.Lock(name)
	if err != nil {
		links.Close()
		return nil, err
	}
	index := func(name string) (int, error) {
		info, err := links.Get(name)
		return info.Index, err
	}
	s := &session{call: c, name: name, kernel: &netsetup.Kernel{Links: links, DNS: nameserver.Open(netsetup.Folder(), index)}, release: release}
	s.kernel.Start = func(name string) error { return background(name, s.readers) }
	s.setup = netsetup.Setup{Store: store, System: s.kernel, Note: s.note,
		Warn: func(warning error) { c.Warnf("%s: %v", name, warning) }}
	return s, nil
}

func (s *session) end() {
	s.release()
	s.kernel.Close()
}

// note prints what is done, if that is wanted.
func (s *session) note(what string) {
	if s.call.Has(optVerbose.Long) {
		fmt.Fprintln(s.call.Stderr, what)
	}
}
