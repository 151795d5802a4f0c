package proxyconf

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"wgd/internal/wgconf"
)

// A Config is the meaning of a file.
type Config struct {
	Tunnel    *wgconf.File
	Services  []Service // in the order of the file
	Check     CheckAlive
	Preferred Family
	Included  string // the file that WGConfig names, as written; "" if it names none
}

// Erase zeroes the keys.
func (c *Config) Erase() {
	change := c.Tunnel.Change()
	change.Erase()
}

// CheckAlive says which addresses inside the tunnel are pinged, to know whether it works.
type CheckAlive struct {
	Addresses []netip.Addr
	Interval  time.Duration
}

// defaultInterval is wireproxy's default of CheckAliveInterval.
const defaultInterval = 5 * time.Second

// A Family says which addresses of a name inside the tunnel are used first.
type Family int

const (
	Auto Family = iota // IPv6, unless the tunnel has IPv4 addresses only
	IPv4
	IPv6
)

// A Kind is what a Service does.
type Kind int

const (
	SOCKS5     Kind = iota + 1 // a SOCKS5 server: Listen
	HTTP                       // an HTTP proxy: Listen
	Forward                    // TCP from outside to Target inside: Listen
	UDPForward                 // likewise for UDP
	Remote                     // TCP from inside, at Listen.Port, to Target outside
	UDPRemote                  // likewise for UDP
	Stdio                      // standard input and output are a connection to Target
)

// A Service is one way to use the tunnel. Services are comparable.
type Service struct {
	Kind     Kind
	Listen   Listen
	Target   Target
	Username string
	Password string
	CertFile string // with KeyFile: HTTP over TLS
	KeyFile  string
	Timeout  time.Duration // of UDP flows without packets; 0: the default of the service
	Forever  bool          // UDP flows have no timeout
}

// String describes the service, without its password.
func (s *Service) String() string {
	switch s.Kind {
	case SOCKS5:
		return "SOCKS5 on " + s.Listen.String()
	case HTTP:
		if s.CertFile != "" {
			return "HTTPS proxy on " + s.Listen.String()
		}
		return "HTTP proxy on " + s.Listen.String()
	case Forward:
		return "TCP from " + s.Listen.String() + " to " + s.Target.String() + " in the tunnel"
	case UDPForward:
		return "UDP from " + s.Listen.String() + " to " + s.Target.String() + " in the tunnel"
	case Remote:
		return "TCP from " + s.Listen.String() + " of the tunnel to " + s.Target.String()
	case UDPRemote:
		return "UDP from " + s.Listen.String() + " of the tunnel to " + s.Target.String()
	case Stdio:
		return "standard input and output to " + s.Target.String() + " in the tunnel"
	}
	return "nothing"
}

// Inside reports whether Listen is an address of the tunnel.
func (s *Service) Inside() bool { return s.Kind == Remote || s.Kind == UDPRemote }

// UDP reports whether the service forwards datagrams.
func (s *Service) UDP() bool { return s.Kind == UDPForward || s.Kind == UDPRemote }

// check reports what the parts of a service do not allow together.
func (s *Service) check() error {
	switch {
	case s.Inside() && s.Listen.Unix != "":
		return fmt.Errorf("%s: the tunnel has no unix sockets: give a port", s.Listen)
	case s.Inside() && s.Listen.Port == 0:
		return fmt.Errorf("%s: give the port of the tunnel, from 1 to 65535", s.Listen)
	case s.UDP() && (s.Listen.Unix != "" || s.Target.Unix != ""):
		return errors.New("unix sockets are for TCP: give ADDRESS:PORT for UDP")
	}
	return nil
}
