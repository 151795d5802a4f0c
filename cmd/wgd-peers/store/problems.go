package store

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"

	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/internal/wire"
)

// Problems keeps the first thing that is wrong with a peer as somebody has written it.
type Problems struct {
	First string // a sentence; "": nothing is wrong
}

// Add adds an error. It ignores nil.
func (p *Problems) Add(err error) {
	if err != nil && p.First == "" {
		p.First = quote.Text(err.Error())
	}
}

// Prefixes parses allowed IPs. One that is not in the form in which it is looked for is left
// out.
func (p *Problems) Prefixes(texts []string) (list []netip.Prefix) {
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			p.Add(fmt.Errorf("allowed IP %s: write ADDRESS/LENGTH", quote.Text(text)))
		case prefix.Masked().String() != text:
			p.Add(fmt.Errorf("allowed IP %s: write %s, so that it is found", quote.Text(text), prefix.Masked()))
		default:
			list = append(list, prefix)
		}
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// Stamp parses a timestamp in hexadecimal digits.
func (p *Problems) Stamp(text string) (stamp wire.TAI64N) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(stamp) {
		p.Add(fmt.Errorf("stamp %s: write %d hexadecimal digits", quote.Text(text), 2*len(stamp)))
		return stamp
	}
	return wire.TAI64N(b)
}

// Check checks a peer that was read, and sets its Problem.
func (p *Problems) Check(peer *Peer) {
	written := peer.Endpoint
	if p.First == "" {
		p.Add(peer.Check())
	}
	if e, err := resolve.Parse(written); p.First == "" && err == nil {
		if literal, ok := e.Literal(); ok && literal.String() != written {
			p.Add(fmt.Errorf("endpoint %s: write %s, so that it is found", quote.Name(written), literal))
		}
	}
	peer.Problem = p.First
}
