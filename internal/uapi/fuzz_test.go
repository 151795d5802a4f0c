package uapi_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"wgd/conf"
	"wgd/internal/uapi"
)

// FuzzDecoder: the decoder ends on every input, however it is split. An accepted
// request is valid, and is the same after it was encoded and decoded again (B40,
// B54).
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(fullRequest))
	f.Add([]byte("\n\nget=1\n\n"))
	f.Add([]byte("set=1\r\n\r\n"))
	f.Add([]byte("set=1\npublic_key=" + hexB + "\nallowed_ip=::ffff:10.0.0.1/97\nendpoint=[::ffff:1.2.3.4%x]:1\n\n"))
	f.Add([]byte("set=1\nlisten_port"))
	f.Add([]byte("set=1\npublic_key=" + hexB + "\nendpoint=192.0.2.1:7\ninitiate=true\nstamp=" + hexStamp + "\n\n"))
	f.Add([]byte("set=1\nlent_limit=10\nstamp_floor=" + hexStamp + "\npublic_key=" + hexB + "\nlent=60\n\n"))
	f.Add([]byte("refuse=1\naddress=fd00::1\n\n"))
	f.Add([]byte("refuse=1\nendpoint=[2001:db8::1]:7\nseconds=9\n\n"))
	f.Add([]byte("capture=1\npublic_key=" + hexB + "\nouter=1\ninner=0\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := uapi.NewDecoder(bytes.NewReader(data))
		slow := uapi.NewDecoder(iotest.OneByteReader(bytes.NewReader(data)))
		for {
			request, err := d.Next()
			again, slowErr := slow.Next()
			if !reflect.DeepEqual(request, again) || (err == nil) != (slowErr == nil) {
				t.Fatalf("reading byte by byte gives a different request: %v, %v", err, slowErr)
			}
			var refused *uapi.Error
			switch {
			case errors.As(err, &refused):
				continue
			case err == io.EOF || err == io.ErrUnexpectedEOF:
				return
			case err != nil:
				t.Fatal(err)
			}
			if request.Capture != nil {
				checkCapture(t, request.Capture)
			} else if !request.Get {
				checkRoundTrip(t, request.Change)
			}
		}
	})
}

// FuzzPermit: however requests look, a decoder that permits get returns nothing else, and
// calls the others what their first line calls them.
func FuzzPermit(f *testing.F) {
	f.Add([]byte(fullRequest + "get=1\n\n"))
	f.Add([]byte("get=1\nset=1\n\n"))
	f.Add([]byte("=\nset=1\n\nget\n\nget=2\n\nget=1\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := uapi.NewDecoder(bytes.NewReader(data))
		no := &uapi.Error{Errno: uapi.EPERM, Sentence: "no"}
		d.Permit(func(operation string) *uapi.Error {
			if operation == "get" {
				return nil
			}
			return no
		})
		for {
			request, err := d.Next()
			if err == nil && !reflect.DeepEqual(request, uapi.Request{Get: true}) {
				t.Fatalf("permitted: %+v", request)
			}
			if refused := (*uapi.Error)(nil); err != nil && !errors.As(err, &refused) {
				return
			}
		}
	})
}

// checkCapture encodes and decodes a request for a capture.
func checkCapture(t *testing.T, c *conf.Capture) {
	t.Helper()
	var text bytes.Buffer
	if err := uapi.WriteCapture(bufio.NewWriter(&text), c); err != nil {
		t.Fatal(err)
	}
	request, err := uapi.NewDecoder(&text).Next()
	if err != nil || !reflect.DeepEqual(request, uapi.Request{Capture: c}) || !c.Outer && !c.Inner {
		t.Fatalf("%+v differs after encoding and decoding: %v", c, err)
	}
}

// checkRoundTrip encodes and decodes a change.
func checkRoundTrip(t *testing.T, c conf.Change) {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatalf("the decoder accepted an invalid change: %v", err)
	}
	for i, p := range c.Peers {
		if p.Remove {
			c.Peers[i] = conf.PeerChange{PublicKey: p.PublicKey, Remove: true} // the other fields are not sent
		}
	}
	var text bytes.Buffer
	if err := uapi.WriteChange(bufio.NewWriter(&text), &c); err != nil {
		t.Fatal(err)
	}
	request, err := uapi.NewDecoder(bytes.NewReader(text.Bytes())).Next()
	if err != nil || !reflect.DeepEqual(request.Change, c) {
		t.Fatalf("the change differs after encoding and decoding: %v\n%s", err, text.Bytes())
	}
}

// FuzzReader: the reader ends on every input. An accepted status can be written
// and read again.
func FuzzReader(f *testing.F) {
	var text bytes.Buffer
	s := status(f)
	uapi.WriteStatus(bufio.NewWriter(&text), &s)
	f.Add(text.Bytes())
	f.Add([]byte("errno=-22\nerror=no\n\n"))
	f.Add([]byte("public_key=" + hexB + "\nstamp=" + hexStamp + "\nerrno=0\n\n"))
	f.Add([]byte("public_key=" + hexB + "\nlast_handshake_time_nsec=1\nlast_handshake_time_sec=1\nerrno=0\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := uapi.NewReader(bytes.NewReader(data)).Status()
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := uapi.WriteStatus(bufio.NewWriter(&text), &s); err != nil {
			t.Fatal(err)
		}
		if _, err := uapi.NewReader(&text).Status(); err != nil {
			t.Fatalf("reading the status that was written: %v", err)
		}
	})
}
