package uapi

import (
	"bytes"
	"errors"
	"io"
	"net/netip"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// A Request is a complete request of a client. Its Change is valid (see
// conf.Change.Validate).
type Request struct {
	Get     bool // get=1: the client requests the state
	Summary bool // summary=1: the client requests the summary
	Reload  bool // reload=1: the daemon is to read its file again
	// Connect is HOST:PORT, to which the client wants a connection through the tunnel, of
	// which the rest of this connection is then a part. "" if it is another request.
	Connect string
	Early   bool        // something behind a Connect has arrived with it
	Change  conf.Change // set=1: the client requests this change

	Capture *conf.Capture // capture=1: the client requests these packets; nil: it does not

	Watch bool // events=SEQ: the client requests the events after number After
	After uint64

	Wants  bool          // wants=1: the client requests the wants
	Refuse *conf.Refusal // refuse=1: the client refuses a want; nil: it does not
}

// A Decoder reads the requests of a connection, one after the other.
type Decoder struct {
	lines    lines
	change   *conf.Change
	peer     *conf.PeerChange // the current peer; nil before the first
	prefixes int              // allowed IPs in the request so far
	started  bool             // the first line of the request has been read
	permit   func(operation string) *Error
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{lines: lines{r: r}}
}

// BeforeRead sets a function that is called before each read from the reader.
// begun reports whether a part of a request has been read already, even if only
// a part of its first line. The server sets its timeout accordingly.
func (d *Decoder) BeforeRead(f func(begun bool)) {
	d.lines.beforeRead = func() { f(d.started || !d.lines.atEnd()) }
}

// Permit sets a function that is called with the name in the first line of each request,
// also if there is no such operation. If it returns an error, the request is refused with
// that, and nothing of it is parsed or kept.
func (d *Decoder) Permit(f func(operation string) *Error) { d.permit = f }

// Next returns the next request. After an *Error, which refuses a request, the
// next one can be read: the refused one was read to its end, and nothing of it is
// left (A59). Next returns io.EOF if the connection ends between two requests,
// and io.ErrUnexpectedEOF if it ends within one.
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
		// Refused rather than ignored, so that a client that sends only an empty line
		// gets an answer (B54).
		return Request{}, refusef(EPROTO, "an empty request: begin with get=1 or set=1")
	}
	if refusal := d.permitted(line); refusal != nil {
		return Request{}, d.refuse(refusal)
	}
	return d.operation(line)
}

// permitted returns why the operation in the first line of a request is not permitted.
func (d *Decoder) permitted(line []byte) *Error {
	if d.permit == nil {
		return nil
	}
	name, _, _ := bytes.Cut(line, []byte{'='})
	return d.permit(string(name))
}

// operation reads the rest of a request, according to its first line.
func (d *Decoder) operation(line []byte) (Request, error) {
	switch {
	case string(line) == "get=1":
		return Request{Get: true}, d.nothingMore("get=1")
	case string(line) == "summary=1":
		return Request{Summary: true}, d.nothingMore("summary=1")
	case string(line) == "reload=1":
		return Request{Reload: true}, d.nothingMore("reload=1")
	case bytes.HasPrefix(line, []byte("connect=")):
		request := Request{Connect: string(line[len("connect="):])}
		if request.Connect == "" {
			return Request{}, d.refuse(refusef(EINVAL, "connect= names nothing: give HOST:PORT"))
		}
		err := d.nothingMore("connect=")
		request.Early = !d.lines.atEnd()
		return request, err
	case string(line) == "capture=1":
		return d.capture()
	case bytes.HasPrefix(line, []byte(watchName+"=")):
		return d.watch(line)
	case string(line) == "wants=1":
		return Request{Wants: true}, d.nothingMore("wants=1")
	case string(line) == "refuse=1":
		return d.refusal()
	case string(line) == "set=1":
		return d.set()
	}
	return Request{}, d.refuse(refusef(EPROTO, "%s: not an operation: begin with get=1 or set=1", quoteName(line)))
}

// nothingMore reads the end of a request that has one line.
func (d *Decoder) nothingMore(operation string) error {
	return d.readRest(func(line []byte) *Error {
		return refusef(EINVAL, "%s: %s takes no further lines: end the request with an empty line", quoteName(line), operation)
	})
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

// readRest reads the request up to its empty line, and returns the first error of
// handle. After an error it reads on, because the client may read the answer only
// when it has sent the whole request.
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

// refuse reads the request to its end and then returns refusal.
func (d *Decoder) refuse(refusal *Error) error {
	if err := d.readRest(func([]byte) *Error { return nil }); err != nil {
		return err
	}
	return refusal
}

// beforeRequest returns the error for a reader that failed before the first line
// was complete.
func (d *Decoder) beforeRequest(err error) error {
	if errors.Is(err, io.EOF) && d.lines.atEnd() {
		return io.EOF
	}
	return d.midRequest(err)
}

// midRequest returns the error for a reader that failed within a request.
func (d *Decoder) midRequest(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func tooLong() *Error {
	return refusef(EINVAL, "a line is longer than %d bytes, the maximum", MaxLine)
}

// quoteName returns the key of a line, without the value, which may be secret.
func quoteName(line []byte) string {
	name, _, _ := bytes.Cut(line, []byte{'='})
	return quote.Text(string(name))
}

// setLine handles one line of a set request.
func (d *Decoder) setLine(line []byte) *Error {
	name, value, ok := bytes.Cut(line, []byte{'='})
	if !ok {
		// The error does not contain the line, which may be part of a key.
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
	return invalid.Errorf("%s: no such key of %s: nothing of the request was applied", quote.Text(string(name)), of)
}

// allowedIP handles PREFIX, which is added, and -PREFIX, which is removed, as new
// versions of wg request. +PREFIX means the same as PREFIX.
func (d *Decoder) allowedIP(name string, value []byte) error {
	remove := len(value) > 0 && value[0] == '-'
	if remove || len(value) > 0 && value[0] == '+' {
		value = value[1:]
	}
	prefix, err := netip.ParsePrefix(string(value))
	if err != nil {
		return invalid.Errorf("%s: %s: give ADDRESS/LENGTH, with at most 32 for IPv4 and 128 for IPv6", name, quote.Text(string(value)))
	}
	if d.prefixes == conf.MaxAllowedIPs {
		return invalid.Errorf("more than %d %s in one request: split the request", conf.MaxAllowedIPs, name)
	}
	d.prefixes++
	d.peer.AllowedIPs = append(d.peer.AllowedIPs, conf.AllowedIPChange{Prefix: prefix.Masked(), Remove: remove})
	return nil
}
