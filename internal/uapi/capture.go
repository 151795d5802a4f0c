package uapi

import (
	"bufio"
	"bytes"
	"io"

	"wgd/conf"
	"wgd/key"
)

// WriteCapture requests a capture of packets. The daemon answers like to a set and then,
// if that was no refusal, with a capture in the format pcapng, until the client closes
// its direction of the connection.
func WriteCapture(w *bufio.Writer, c *conf.Capture) error {
	o := &out{Writer: w}
	o.text("capture", "1")
	if c.Peer != nil {
		o.text(peerKeyName, c.Peer.Hex())
	}
	o.bit("outer", c.Outer)
	o.bit("inner", c.Inner)
	o.WriteByte('\n')
	return o.end()
}

// capture reads the request after its first line.
func (d *Decoder) capture() (Request, error) {
	request := Request{Capture: &conf.Capture{}}
	err := d.readRest(func(line []byte) *Error { return captureLine(request.Capture, line) })
	if err == nil && !request.Capture.Outer && !request.Capture.Inner {
		err = refusef(EINVAL, "a capture of nothing: give outer=1, inner=1 or both")
	}
	if err != nil {
		return Request{}, err
	}
	return request, nil
}

func captureLine(c *conf.Capture, line []byte) *Error {
	name, value, _ := bytes.Cut(line, []byte{'='})
	bit := string(value) == "1"
	switch {
	case string(name) == peerKeyName:
		public, err := key.ParsePublicHex(string(value))
		if err != nil {
			return refusef(EINVAL, "%s: %v", name, err)
		}
		c.Peer = &public
	case string(name) == "outer" && (bit || string(value) == "0"):
		c.Outer = bit
	case string(name) == "inner" && (bit || string(value) == "0"):
		c.Inner = bit
	default:
		return refusef(EINVAL, "%s: not a line of a capture: it has public_key=, outer=0 or 1, and inner=0 or 1", quoteName(line))
	}
	return nil
}

// Rest returns what follows the answers that were read. The Reader must not be used any
// more.
func (r *Reader) Rest() io.Reader {
	l := &r.lines
	return io.MultiReader(bytes.NewReader(l.buf[l.start:l.end]), l.r)
}
