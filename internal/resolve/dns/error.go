package dns

import (
	"fmt"
	"net/netip"
	"time"
)

// A Kind is a way in which a lookup fails.
type Kind uint8

const (
	NotFound     Kind = 1 + iota // there is no such name (NXDOMAIN)
	NoAddress                    // the name exists, but has no address that a datagram can be sent to
	ServerFailed                 // the name servers answer that they cannot tell (SERVFAIL, REFUSED and others)
	NoAnswer                     // no name server answers
	NotAsked                     // no name server can be asked, or the name cannot be asked for
)

// An Error says why a lookup failed. Only NotFound and NoAddress tell something
// about the name.
type Error struct {
	Name   string
	Kind   Kind
	Family Family         // that was looked up
	Server netip.AddrPort // who said so, or did not answer; zero if nobody was asked
	TTL    time.Duration  // how long name servers will repeat this answer; 0: unknown
	Cause  error          // may be nil
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %s", e.Name, e.Reason()) }

// Reason returns the text of the error without the name.
func (e *Error) Reason() (text string) {
	server := "the name server"
	if e.Server.IsValid() {
		server += " " + e.Server.Addr().String()
	}
	switch e.Kind {
	case NotFound:
		return "there is no host of this name, says " + server
	case NoAddress:
		return "this name has no " + map[Family]string{IPv4: "IPv4 ", IPv6: "IPv6 "}[e.Family] + "address, says " + server
	case NoAnswer:
		text = server + " does not answer"
	case ServerFailed:
		text = server + " cannot tell"
	default:
		text = "cannot be looked up"
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }
