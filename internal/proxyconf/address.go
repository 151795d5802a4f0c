package proxyconf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"wgd/internal/quote"
)

// A Listen is where a service accepts connections.
type Listen struct {
	Unix string // the path of a unix socket; the other fields are empty then
	Host string // an address or a name; "": all addresses
	Port uint16 // 0: any that is free
}

// String returns what ParseListen accepts.
func (l Listen) String() string {
	if l.Unix != "" {
		return unixPrefix + l.Unix
	}
	return join(l.Host, l.Port)
}

// A Target is where connections lead.
type Target struct {
	Unix string // the path of a unix socket; the other fields are empty then
	Host string // an address without brackets, or a name
	Port uint16
}

// String returns what ParseTarget accepts.
func (t Target) String() string {
	if t.Unix != "" {
		return unixPrefix + t.Unix
	}
	return join(t.Host, t.Port)
}

// Address returns the address if the host is not a name.
func (t Target) Address() (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(t.Host)
	return netip.AddrPortFrom(a.Unmap(), t.Port), err == nil
}

const unixPrefix = "unix:"

// maxUnix is the maximum length of the path of a unix socket on Linux.
const maxUnix = 107

func join(host string, port uint16) string {
	number := strconv.Itoa(int(port))
	if strings.Contains(host, ":") {
		return "[" + host + "]:" + number
	}
	return host + ":" + number
}

// ParseListen parses ADDRESS:PORT, :PORT, [ADDRESS]:PORT or unix:PATH.
func ParseListen(text string) (Listen, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		return Listen{Unix: path}, validUnix(path)
	}
	host, port, err := split(text)
	if err != nil {
		return Listen{}, fmt.Errorf("%s: %w: write ADDRESS:PORT or unix:PATH", quote.Text(text), err)
	}
	return Listen{Host: host, Port: port}, nil
}

// ParseTarget parses HOST:PORT or [ADDRESS]:PORT.
func ParseTarget(text string) (Target, error) {
	host, port, err := split(text)
	switch {
	case err == nil && host == "":
		err = errors.New("there is no host")
	case err == nil && port == 0:
		err = errors.New("the port is 0")
	}
	if err != nil {
		return Target{}, fmt.Errorf("%s: %w: write HOST:PORT", quote.Name(text), err)
	}
	return Target{Host: host, Port: port}, nil
}

// parseOutside parses a target outside of the tunnel, which may be a unix socket as well.
func parseOutside(text string) (Target, error) {
	if path, ok := strings.CutPrefix(text, unixPrefix); ok {
		return Target{Unix: path}, validUnix(path)
	}
	return ParseTarget(text)
}

func validUnix(path string) error {
	switch {
	case path == "" || strings.ContainsRune(path, 0):
		return errors.New("unix: the path of the socket is missing: write unix:PATH")
	case len(path) > maxUnix:
		return fmt.Errorf("unix:%s: the path of a unix socket has at most %d bytes: choose a shorter one", quote.Path(path), maxUnix)
	}
	return nil
}

// split splits HOST:PORT, in which the port is a number.
func split(text string) (host string, port uint16, err error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", 0, errors.New("there is no port")
	}
	host = text[:colon]
	if inside, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inside, "]"); !ok || !strings.Contains(host, ":") {
			return "", 0, errors.New("brackets are for IPv6 addresses")
		}
	} else if strings.Contains(host, ":") {
		return "", 0, errors.New("an IPv6 address needs brackets")
	}
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", 0, errors.New("this is no IPv6 address")
		}
	} else if !validHost(host) {
		return "", 0, errors.New("this is no address and no name of a host")
	}
	digits := text[colon+1:]
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || digits[0] == '+' {
		return "", 0, errors.New("a port is a number up to 65535")
	}
	return host, uint16(n), nil
}

// validHost reports whether the text is an IPv4 address, a name, or empty.
func validHost(host string) bool {
	if strings.Trim(host, "0123456789.") == "" && host != "" {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	return len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return r >= 0x80 || !(r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	})
}
