package uapi

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// eventRows are the keys of an event, in the order of their lines. An event has the
// lines of those of its fields that are not zero, and ends with an empty line. Two
// lines are always there, so an event is never mistaken for a result.
var eventRows = []row[struct{}, conf.Event]{
	{name: "seq", value: "a number", meaning: "the sequence number of the event. With begin, the number after which the events begin",
		answer: func(o *out, name string, e *conf.Event) { o.number(name, e.Seq) },
		read:   func(e *conf.Event, name string, value []byte) error { return parseInto(&e.Seq, name, value) }},
	{name: "kind", value: "a word", meaning: "what happened, see below",
		answer: func(o *out, name string, e *conf.Event) { o.text(name, sentence(string(e.Kind))) },
		read: func(e *conf.Event, _ string, value []byte) error {
			e.Kind = conf.EventKind(sentence(string(value)))
			return nil
		}},
	{name: "time_nsec", value: "a number", meaning: "the wall clock, in nanoseconds since 1970",
		answer: func(o *out, name string, e *conf.Event) {
			if !e.Time.IsZero() {
				o.signed(name, e.Time.UnixNano())
			}
		},
		read: func(e *conf.Event, name string, value []byte) error {
			n, err := parseSigned(name, value)
			e.Time = time.Unix(0, n)
			return err
		}},
	{name: "since_boot_nsec", value: "a number", meaning: "the clock that counts suspend and is never set, in nanoseconds since the computer was started",
		answer: durationLine(func(e *conf.Event) *time.Duration { return &e.SinceBoot }),
		read:   readDuration(func(e *conf.Event) *time.Duration { return &e.SinceBoot })},
	{name: "run", value: "a word", meaning: "with begin: identifies the run of the daemon",
		answer: textLine(func(e *conf.Event) *string { return &e.Run }),
		read:   readText(func(e *conf.Event) *string { return &e.Run })},
	{name: peerKeyName, value: hexKey, meaning: "the peer. Absent if the event is about the interface",
		answer: func(o *out, name string, e *conf.Event) {
			if !e.Peer.IsZero() {
				o.public(name, &e.Peer)
			}
		},
		read: func(e *conf.Event, _ string, value []byte) (err error) {
			e.Peer, err = key.ParsePublicHex(string(value))
			return err
		}},
	{name: "name", value: "a name", meaning: "the name of the peer",
		answer: textLine(func(e *conf.Event) *string { return &e.Name }),
		read:   readText(func(e *conf.Event) *string { return &e.Name })},
	{name: "endpoint", value: "ADDRESS:PORT, or [ADDRESS]:PORT for IPv6", meaning: "the address and port of the peer",
		answer: func(o *out, name string, e *conf.Event) {
			if e.Endpoint.IsValid() {
				o.address(name, e.Endpoint)
			}
		},
		read: func(e *conf.Event, name string, value []byte) error {
			endpoint := &e.Endpoint
			if err := parseEndpoint(name, value, &endpoint); err != nil {
				return err
			}
			e.Endpoint = *endpoint
			return nil
		}},
	{name: "initiator", value: "0 or 1", meaning: "whether this side began the handshake. Absent while it is 0",
		answer: bitLine(func(e *conf.Event) *bool { return &e.Initiator }),
		read:   readBit(func(e *conf.Event) *bool { return &e.Initiator })},
	{name: "renewed", value: "0 or 1", meaning: "whether the new session replaces another one. Absent while it is 0",
		answer: bitLine(func(e *conf.Event) *bool { return &e.Renewed }),
		read:   readBit(func(e *conf.Event) *bool { return &e.Renewed })},
	{name: "after_nsec", value: "a number", meaning: "the duration of the handshake, or with peer-back the time since peer-quiet, in nanoseconds",
		answer: durationLine(func(e *conf.Event) *time.Duration { return &e.After }),
		read:   readDuration(func(e *conf.Event) *time.Duration { return &e.After })},
	{name: "stamp", value: hexStamp, meaning: "with handshake-done, if the peer began the handshake, and with returned: the greatest timestamp of initiations that was received from it",
		answer: func(o *out, name string, e *conf.Event) {
			if !e.Stamp.IsZero() {
				o.text(name, e.Stamp.String())
			}
		},
		read: func(e *conf.Event, name string, value []byte) error {
			stamp := &e.Stamp
			if err := parseStamp(name, value, &stamp); err != nil {
				return err
			}
			e.Stamp = *stamp
			return nil
		}},
	{name: "rx_bytes", value: "a number", meaning: "with returned: bytes received from the peer",
		answer: countLine(func(e *conf.Event) *uint64 { return &e.RxBytes }),
		read:   readCount(func(e *conf.Event) *uint64 { return &e.RxBytes })},
	{name: "tx_bytes", value: "a number", meaning: "with returned: bytes sent to it",
		answer: countLine(func(e *conf.Event) *uint64 { return &e.TxBytes }),
		read:   readCount(func(e *conf.Event) *uint64 { return &e.TxBytes })},
	{name: "count", value: "a number", meaning: "with packets-dropped: how many packets",
		answer: countLine(func(e *conf.Event) *uint64 { return &e.Count }),
		read:   readCount(func(e *conf.Event) *uint64 { return &e.Count })},
	{name: "cause", value: "a word", meaning: "a word for the reason, see below",
		answer: textLine(func(e *conf.Event) *string { return &e.Cause }),
		read:   readText(func(e *conf.Event) *string { return &e.Cause })},
	{name: "reason", value: "a text", meaning: "why it happened, or what has changed, for a person",
		answer: textLine(func(e *conf.Event) *string { return &e.Reason }),
		read:   readText(func(e *conf.Event) *string { return &e.Reason })},
	{name: "missed", value: "a number", meaning: "with events-missed: how many events are lost to this reader",
		answer: countLine(func(e *conf.Event) *uint64 { return &e.Missed }),
		read:   readCount(func(e *conf.Event) *uint64 { return &e.Missed })},
	{name: "pid", value: "a number", meaning: "the process that sent the request",
		answer: func(o *out, name string, e *conf.Event) {
			if e.By.PID > 0 {
				o.number(name, uint64(e.By.PID))
			}
		},
		read: func(e *conf.Event, name string, value []byte) error {
			var pid uint32
			if err := parseInto(&pid, name, value); err != nil || pid > 1<<30 {
				return invalid.Errorf("%s: %s: not the number of a process", name, quote.Text(string(value)))
			}
			e.By.PID = int(pid)
			return nil
		}},
	{name: "uid", value: "a number", meaning: "the user of that process",
		answer: func(o *out, name string, e *conf.Event) {
			if e.By.PID > 0 {
				o.number(name, uint64(e.By.UID))
			}
		},
		read: func(e *conf.Event, name string, value []byte) error { return parseInto(&e.By.UID, name, value) }},
	{name: "command", value: "a text", meaning: "the name of its program, without arguments",
		answer: textLine(func(e *conf.Event) *string { return &e.By.Command }),
		read:   readText(func(e *conf.Event) *string { return &e.By.Command })},
}

var eventKeys = byName(eventRows)

// The functions below make the rows of fields of one type. A field that is zero has
// no line.

type field[T any] func(*conf.Event) *T

func textLine(f field[string]) func(*out, string, *conf.Event) {
	return func(o *out, name string, e *conf.Event) {
		if text := *f(e); text != "" {
			o.text(name, sentence(text))
		}
	}
}

func readText(f field[string]) func(*conf.Event, string, []byte) error {
	return func(e *conf.Event, _ string, value []byte) error {
		*f(e) = sentence(string(value))
		return nil
	}
}

func bitLine(f field[bool]) func(*out, string, *conf.Event) {
	return func(o *out, name string, e *conf.Event) {
		if *f(e) {
			o.bit(name, true)
		}
	}
}

func readBit(f field[bool]) func(*conf.Event, string, []byte) error {
	return func(e *conf.Event, name string, value []byte) error {
		on, err := parseBit(name, value)
		if err == nil {
			*f(e) = *on
		}
		return err
	}
}

func countLine(f field[uint64]) func(*out, string, *conf.Event) {
	return func(o *out, name string, e *conf.Event) {
		if n := *f(e); n != 0 {
			o.number(name, n)
		}
	}
}

func readCount(f field[uint64]) func(*conf.Event, string, []byte) error {
	return func(e *conf.Event, name string, value []byte) error { return parseInto(f(e), name, value) }
}

func durationLine(f field[time.Duration]) func(*out, string, *conf.Event) {
	return func(o *out, name string, e *conf.Event) {
		if d := *f(e); d != 0 {
			o.signed(name, int64(d))
		}
	}
}

func readDuration(f field[time.Duration]) func(*conf.Event, string, []byte) error {
	return func(e *conf.Event, name string, value []byte) error {
		n, err := parseSigned(name, value)
		*f(e) = time.Duration(n)
		return err
	}
}

func (o *out) signed(name string, n int64) {
	o.scratch = strconv.AppendInt(o.scratch[:0], n, 10)
	o.bytes(name, o.scratch)
}

func parseSigned(name string, value []byte) (int64, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, invalid.Errorf("%s: %s: not a number", name, quote.Text(string(value)))
	}
	return n, nil
}

// WriteWatch requests the events after a number.
func WriteWatch(w *bufio.Writer, seq uint64) error {
	o := &out{Writer: w}
	o.number(watchName, seq)
	o.WriteByte('\n')
	return o.Flush()
}

const watchName = "events"

// WriteEvent writes an event, which is an answer to the request of WriteWatch. There
// may be any number, and WriteResult after the last.
func WriteEvent(w *bufio.Writer, e *conf.Event) error {
	o := &out{Writer: w}
	for i := range eventRows {
		r := &eventRows[i]
		r.answer(o, r.name, e)
	}
	return o.WriteByte('\n')
}

// Event reads the next event. It returns io.EOF after the last, and an *Error if the
// daemon refused the request. It ignores keys that it does not know.
func (r *Reader) Event() (conf.Event, error) {
	var e conf.Event
	err := r.answer(func(name, value []byte) error {
		if row := eventKeys[string(name)]; row != nil {
			return row.read(&e, row.name, value)
		}
		return nil
	})
	switch {
	case errors.Is(err, errNoResult) && e.Kind != "":
		return e, nil
	case err == nil:
		return conf.Event{}, io.EOF
	}
	return conf.Event{}, err
}

// watch reads the rest of a request for events.
func (d *Decoder) watch(line []byte) (Request, error) {
	value := bytes.TrimPrefix(line, []byte(watchName+"="))
	request := Request{Watch: true}
	if err := parseInto(&request.After, watchName, value); err != nil {
		return Request{}, d.refuse(&Error{EINVAL, err.Error()})
	}
	if err := d.nothingMore(watchName + "="); err != nil {
		return Request{}, err
	}
	return request, nil
}
