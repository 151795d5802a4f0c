package uapi

import (
	"bytes"
	"errors"
	"io"
	"net/netip"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/key"
)

// Request is one request of a client, whole and valid in itself.
type Request struct {
	Get    bool        // what is the state?
	Change conf.Change // otherwise: make this so
}

// Decoder reads the requests of one connection, one after the other.
type Decoder struct {
	lines    lines
	change   *conf.Change
	peer     *conf.PeerChange // nil: the lines are about the interface
	prefixes int
	started  bool // the first line of the request has been read
}

// NewDecoder reads requests from r.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{lines: lines{r: r}}
}

// BeforeRead sets a function that is called whenever the reader is about to be
// asked for more: begun says whether a part of a request has been read, if only
// of its first line. Who waits between requests waits for ever, but not within one.
func (d *Decoder) BeforeRead(f func(begun bool)) {
	d.lines.beforeRead = func() { f(d.started || !d.lines.atEnd()) }
}

// Next is the next request. An *Error means that this one is refused, and that
// the next can be read: the request was read to its end and nothing of it is
// left (A59). io.EOF is the end between two requests; io.ErrUnexpectedEOF the
// end within one, which is not carried out.
func (d *Decoder) Next() (Request, error) {
	defer d.lines.erase()
	defer func() { d.started = false }()
	line, err := d.lines.next()
	if err != nil && !errors.Is(err, errTooLong) {
		return Request{}, d.beforeRequest(err)
	}
	d.started = true
	switch {
	case err != nil:
		return Request{}, d.refuse(tooLong())
	case len(line) == 0:
		// An answer, so that who sent a lone empty line does not wait (B54).
		return Request{}, refusef(EPROTO, "an empty request: begin with get=1 or set=1")
	case string(line) == "get=1":
		return d.get()
	case string(line) == "set=1":
		return d.set()
	}
	return Request{}, d.refuse(refusef(EPROTO, "%s: no operation: begin with get=1 or set=1", quoteName(line)))
}

func (d *Decoder) get() (Request, error) {
	err := d.readRest(func(line []byte) *Error {
		return refusef(EINVAL, "%s: get=1 is followed by an empty line", quoteName(line))
	})
	return Request{Get: true}, err
}

func (d *Decoder) set() (Request, error) {
	request := Request{}
	d.change, d.peer, d.prefixes = &request.Change, nil, 0
	err := d.readRest(d.setLine)
	d.change, d.peer = nil, nil
	if err == nil {
		if invalid := request.Change.Validate(); invalid != nil {
			err = &Error{EINVAL, invalid.Error()}
		}
	}
	if err != nil {
		request.Change.Erase()
		return Request{}, err
	}
	return request, nil
}

// readRest reads the request to its empty line, whatever is wrong with it: so the
// client can finish writing before it reads the answer. The first error counts.
func (d *Decoder) readRest(handle func(line []byte) *Error) error {
	var refusal *Error
	for {
		line, err := d.lines.next()
		switch {
		case errors.Is(err, errTooLong):
			if refusal == nil {
				refusal = tooLong()
			}
			continue
		case err != nil:
			return d.midRequest(err)
		case len(line) == 0 && refusal != nil:
			return refusal
		case len(line) == 0:
			return nil
		case refusal == nil:
			refusal = handle(line)
		}
	}
}

// refuse reads the request to its end and then gives the error.
func (d *Decoder) refuse(refusal *Error) error {
	if err := d.readRest(func([]byte) *Error { return nil }); err != nil {
		return err
	}
	return refusal
}

// beforeRequest is the error of a reader that gave out before a request.
func (d *Decoder) beforeRequest(err error) error {
	if errors.Is(err, io.EOF) && d.lines.atEnd() {
		return io.EOF
	}
	return d.midRequest(err)
}

func (d *Decoder) midRequest(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func tooLong() *Error {
	return refusef(EINVAL, "a line of over %d bytes: no value is so long", MaxLine)
}

// quoteName is what stands before the = of a line: the value may be a key.
func quoteName(line []byte) string {
	name, _, _ := bytes.Cut(line, []byte{'='})
	return quote(name)
}

// quote makes what a client sent fit for a sentence: short, and printable.
func quote(b []byte) string {
	const maxLen = 40
	cut := ""
	if len(b) > maxLen {
		b, cut = b[:maxLen], "…"
	}
	printable := bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, b)
	return string(printable) + cut
}

// setLine takes one line of a set request.
func (d *Decoder) setLine(line []byte) *Error {
	name, value, ok := bytes.Cut(line, []byte{'='})
	if !ok {
		// Not printed: a line cut in two may be a key.
		return refusef(EPROTO, "a line without =: every line is key=value")
	}
	var err error
	switch {
	case string(name) == peerKeyName:
		err = d.newPeer(string(value))
	case d.peer == nil:
		if r, known := interfaceKey(name); r != nil && r.decode != nil {
			err = r.decode(d, known, value)
		} else {
			err = unknownKey(name, "an interface")
		}
	default:
		if r := peerKeys[string(name)]; r != nil && r.decode != nil {
			err = r.decode(d, r.name, value)
		} else {
			err = unknownKey(name, "a peer")
		}
	}
	if err == nil {
		return nil
	}
	return &Error{EINVAL, err.Error()}
}

func (d *Decoder) newPeer(value string) error {
	public, err := key.ParsePublicHex(value)
	if err != nil {
		return invalid.Errorf("%s: %v", peerKeyName, err)
	}
	if len(d.change.Peers) == conf.MaxPeers {
		return invalid.Errorf("more than %d peers in one request: split the request", conf.MaxPeers)
	}
	d.change.Peers = append(d.change.Peers, conf.PeerChange{PublicKey: public})
	d.peer = &d.change.Peers[len(d.change.Peers)-1]
	return nil
}

func unknownKey(name []byte, of string) error {
	return invalid.Errorf("%s: no such key of %s: nothing of the request was applied", quote(name), of)
}

// allowedIP takes PREFIX, or -PREFIX to remove it, as the newer wg sends; a +
// means what no sign means.
func (d *Decoder) allowedIP(name string, value []byte) error {
	remove := len(value) > 0 && value[0] == '-'
	if remove || len(value) > 0 && value[0] == '+' {
		value = value[1:]
	}
	prefix, err := netip.ParsePrefix(string(value))
	if err != nil {
		return invalid.Errorf("%s: %s: give ADDRESS/LENGTH, with at most 32 for IPv4 and 128 for IPv6", name, quote(value))
	}
	if d.prefixes == conf.MaxAllowedIPs {
		return invalid.Errorf("more than %d %s in one request: split the request", conf.MaxAllowedIPs, name)
	}
	d.prefixes++
	d.peer.AllowedIPs = append(d.peer.AllowedIPs, conf.AllowedIPChange{Prefix: prefix.Masked(), Remove: remove})
	return nil
}
