package wg

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"wgd/conf"
	"wgd/internal/resolve"
	"wgd/internal/sys/file"
	"wgd/internal/wgconf"
)

// A File is what a configuration file in the format of wg-quick(8) says.
type File struct {
	// Change configures the tunnel: pass it to Interface.Apply. It replaces all
	// peers.
	Change conf.Change
	// Addresses are the addresses of the interface, with their host bits.
	Addresses []netip.Prefix
	// MTU is the MTU of the interface in bytes; 0 means that the file has none.
	MTU int
	// NameServers are the name servers behind the tunnel.
	NameServers []netip.Addr
	// Search are the domains that are appended to names without a dot.
	Search []string
	// Warnings are sentences about what is doubtful in the file, for a person.
	// They contain no keys.
	Warnings []string
}

// Erase zeroes the secret keys in f. Call it after f.Change was applied.
func (f *File) Erase() { f.Change.Erase() }

// maxFile is the maximum size of a file in bytes. A million peers need less.
const maxFile = 1 << 28

// ReadFile reads a configuration file, and the key files that it names (relative
// to its folder). Its error is one sentence for each thing that is wrong, with the
// number of the line.
//
// With package netstack, a tunnel from a file is
//
//	f, err := wg.ReadFile("wg0.conf")
//	stack, err := netstack.New(netstack.Options{Addresses: f.Addresses, MTU: f.MTU,
//		NameServers: f.NameServers, Search: f.Search})
//	w, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
//	err = w.Apply(f.Change)
//
// The names of endpoints are not looked up by ReadFile: the Interface does so, as
// this computer is configured to, and follows their changes. What concerns the
// system only is left out: Table, the hooks (PreUp and others), SaveConfig, and
// domains of DNS with ~.
func ReadFile(path string) (*File, error) {
	text, exposed, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	f, err := parseFile(text, path, wgconf.Env{
		ReadKey: func(path string) (wgconf.KeyFile, error) {
			text, exposed, err := readFile(path)
			return wgconf.KeyFile{Text: text, Exposed: exposed}, err
		},
		Dir:         filepath.Dir(path),
		Credentials: os.Getenv("CREDENTIALS_DIRECTORY"),
	})
	if err == nil && exposed {
		f.Warnings = append(f.Warnings, path+": others may read this file, and its keys: chmod 600 it")
	}
	return f, err
}

// ParseFile is like ReadFile, for the text of a file. It reads no key files: if the
// text names one, that is an error. The text belongs to the caller, who should zero
// it if it contains keys.
func ParseFile(text []byte) (*File, error) {
	return parseFile(text, "the configuration", wgconf.Env{ReadKey: func(string) (wgconf.KeyFile, error) {
		return wgconf.KeyFile{}, errors.New("no key files are read here: give the key itself, or use ReadFile")
	}})
}

func parseFile(text []byte, path string, env wgconf.Env) (*File, error) {
	document := wgconf.Parse(text)
	defer document.Erase()
	file, problems := document.Decode(env)
	if err := problems.Err(path); err != nil {
		return nil, err
	}
	f := &File{
		Change:      file.Change(),
		Addresses:   file.Interface.Network.Addresses,
		MTU:         file.Interface.Network.MTU,
		NameServers: file.Interface.Network.DNS.Servers,
	}
	for _, domain := range file.Interface.Network.DNS.Search {
		f.Search = append(f.Search, string(domain))
	}
	for _, p := range problems {
		f.Warnings = append(f.Warnings, p.In(path))
	}
	for i := range file.Peers {
		endpoint := file.Peers[i].Endpoint
		if endpoint == (resolve.Endpoint{}) || f.Change.Peers[i].Endpoint != nil {
			continue
		}
		name, err := endpoint.Named()
		if err != nil {
			f.Erase()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f.Change.Peers[i].EndpointName = &name
	}
	return f, nil
}

// readFile reads a file, and reports whether users other than its owner may read
// it.
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
	if text, err = readSecret(f, info.Size()); err != nil {
		return nil, false, fmt.Errorf("%s: %w", path, err)
	}
	return text, file.ReadableByOthers(info), nil
}

// readSecret reads all of r, of which size bytes are expected. It leaves no copies of
// what it has read in memory.
func readSecret(r io.Reader, size int64) ([]byte, error) {
	text := make([]byte, 0, max(min(size, maxFile), 4000)+1)
	for {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case err == io.EOF:
			return text, nil
		case err == nil && len(text) > maxFile:
			err = errors.New("the file is too large for a configuration")
		}
		if err != nil {
			clear(text)
			return nil, err
		}
		if len(text) == cap(text) {
			longer := make([]byte, len(text), 2*cap(text))
			copy(longer, text)
			clear(text)
			text = longer
		}
	}
}
