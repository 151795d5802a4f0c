package uapi

import (
	"bufio"
	"errors"
	"io"
	"time"

	"wgd/conf"
)

// WriteWantsRequest requests wants.
func WriteWantsRequest(w *bufio.Writer) error {
	o := &out{Writer: w}
	o.text("wants", "1")
	o.WriteByte('\n')
	return o.Flush()
}

// Want reads the next want. It returns io.EOF after the last, and an *Error if the daemon
// refused the request. It ignores keys that it does not know.
func (r *Reader) Want() (conf.Want, error) {
	var w conf.Want
	err := r.answer(func(name, value []byte) error {
		if row := wantKeys[string(name)]; row != nil {
			return row.read(&w, row.name, value)
		}
		return nil
	})
	switch {
	case errors.Is(err, errNoResult) && w.Kind != "":
		return w, nil
	case err == nil:
		return conf.Want{}, io.EOF
	}
	return conf.Want{}, err
}

// WriteRefusal requests that a want is refused.
func WriteRefusal(w *bufio.Writer, r *conf.Refusal) error {
	o := &out{Writer: w}
	o.text("refuse", "1")
	if !r.Key.IsZero() {
		o.public(peerKeyName, &r.Key)
	}
	if r.Endpoint.IsValid() {
		o.address("endpoint", r.Endpoint)
	}
	if r.Address.IsValid() {
		o.text("address", r.Address.String())
	}
	o.number("seconds", uint64(r.For/time.Second))
	o.WriteByte('\n')
	return o.Flush()
}
