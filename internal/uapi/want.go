package uapi

import (
	"bufio"
	"bytes"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// wantRows are the keys of a want, in the order of their lines. A want has the lines of
// those of its fields that are not zero, and ends with an empty line.
var wantRows = []row[struct{}, conf.Want]{
	{name: "want", value: "a word", meaning: "what arrived, see below",
		answer: func(o *out, name string, w *conf.Want) { o.text(name, string(w.Kind)) },
		read: func(w *conf.Want, _ string, value []byte) error {
			w.Kind = conf.WantKind(sentence(string(value)))
			return nil
		}},
	{name: peerKeyName, value: hexKey, meaning: "the public key that the sender claims to have",
		answer: func(o *out, name string, w *conf.Want) {
			if !w.Key.IsZero() {
				o.public(name, &w.Key)
			}
		},
		read: func(w *conf.Want, _ string, value []byte) (err error) {
			w.Key, err = key.ParsePublicHex(string(value))
			return err
		}},
	{name: "endpoint", value: "ADDRESS:PORT, or [ADDRESS]:PORT for IPv6", meaning: "the address and port of the sender",
		answer: func(o *out, name string, w *conf.Want) {
			if w.Endpoint.IsValid() {
				o.address(name, w.Endpoint)
			}
		},
		read: func(w *conf.Want, name string, value []byte) error {
			endpoint := &w.Endpoint
			if err := parseEndpoint(name, value, &endpoint); err != nil {
				return err
			}
			w.Endpoint = *endpoint
			return nil
		}},
	{name: "address", value: "an IP address", meaning: "the inner address to which packets are sent",
		answer: func(o *out, name string, w *conf.Want) {
			if w.Address.IsValid() {
				o.text(name, w.Address.String())
			}
		},
		read: func(w *conf.Want, name string, value []byte) (err error) {
			w.Address, err = parseAddress(name, value)
			return err
		}},
	{name: "missed", value: "a number", meaning: "with missed: how many packets and messages were not reported; at most so many wants were missed",
		answer: func(o *out, name string, w *conf.Want) {
			if w.Missed != 0 {
				o.number(name, w.Missed)
			}
		},
		read: func(w *conf.Want, name string, value []byte) error { return parseInto(&w.Missed, name, value) }},
}

var wantKeys = byName(wantRows)

// WantKeys describes the keys of a want.
func WantKeys() []Key { return describe(wantRows) }

// WriteWant writes a want, which is an answer to wants=1. There may be any number, and
// WriteResult after the last.
func WriteWant(w *bufio.Writer, want *conf.Want) error {
	o := &out{Writer: w}
	for i := range wantRows {
		r := &wantRows[i]
		r.answer(o, r.name, want)
	}
	return o.WriteByte('\n')
}

// refusal reads the rest of refuse=1.
func (d *Decoder) refusal() (Request, error) {
	r := conf.Refusal{For: conf.MaxRefusal}
	err := d.readRest(func(line []byte) *Error { return refusalLine(&r, line) })
	subjects := 0
	for _, is := range []bool{!r.Key.IsZero(), r.Endpoint.IsValid(), r.Address.IsValid()} {
		if is {
			subjects++
		}
	}
	switch {
	case err != nil:
	case subjects == 0:
		err = refusef(EINVAL, "refuse=1 without a subject: give the public_key of the want, the endpoint of one of unknown_session, or the address of one of unknown_destination")
	case subjects > 1:
		err = refusef(EINVAL, "refuse=1 with several subjects: give only the public_key, for unknown_session only the endpoint, or for unknown_destination only the address")
	}
	if err != nil {
		return Request{}, err
	}
	return Request{Refuse: &r}, nil
}

func refusalLine(r *conf.Refusal, line []byte) *Error {
	name, value, _ := bytes.Cut(line, []byte{'='})
	switch string(name) {
	case peerKeyName:
		public, err := key.ParsePublicHex(string(value))
		if err != nil {
			return refusef(EINVAL, "%s: %v", name, err)
		}
		r.Key = public
	case "endpoint":
		endpoint := &r.Endpoint
		if err := parseEndpoint(string(name), value, &endpoint); err != nil {
			return &Error{EINVAL, err.Error()}
		}
		r.Endpoint = *endpoint
	case "address":
		address, err := parseAddress(string(name), value)
		if err != nil {
			return &Error{EINVAL, err.Error()}
		}
		r.Address = address
	case "seconds":
		var n uint16
		if err := parseInto(&n, string(name), value); err != nil || time.Duration(n)*time.Second > conf.MaxRefusal {
			return refusef(EINVAL, "seconds: give a number from 0 to %d", conf.MaxRefusal/time.Second)
		}
		r.For = time.Duration(n) * time.Second
	default:
		return refusef(EINVAL, "%s: not a line of a refusal: it has public_key=, endpoint= or address=, and seconds=", quoteName(line))
	}
	return nil
}

// parseAddress parses the address of a want.
func parseAddress(name string, value []byte) (netip.Addr, error) {
	address, err := netip.ParseAddr(string(value))
	if err != nil || address.Zone() != "" {
		return netip.Addr{}, invalid.Errorf("%s: %s: give the address of the want", name, quote.Text(string(value)))
	}
	return address, nil
}
