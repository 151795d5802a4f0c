package uapi_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
	"wgd/key"
)

// fullEvent has every field.
func fullEvent() conf.Event {
	return conf.Event{
		Seq: 7, Time: time.Unix(1_795_937_400, 123), SinceBoot: 5 * time.Second, Kind: conf.HandshakeDone,
		Peer: key.Public{1, 2}, Name: "B", Endpoint: netip.MustParseAddrPort("[2001:db8::1]:51820"),
		Initiator: true, Renewed: true, After: 21 * time.Millisecond, Stamp: conf.Stamp{11: 1}, RxBytes: 8, TxBytes: 9, Count: 5, Cause: "a-cause", Reason: "a reason", Missed: 4,
		By: conf.Caller{PID: 12, UID: 1000, Command: "wgconfig"}, Run: "R1",
	}
}

// Each field of an event survives the socket, and the test knows of each.
func TestEventRoundTrip(t *testing.T) {
	e := fullEvent()
	for _, v := range []reflect.Value{reflect.ValueOf(e), reflect.ValueOf(e.By)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("the test does not set %s", v.Type().Field(i).Name)
			}
		}
	}
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	list := []conf.Event{e, {Seq: 8, Kind: conf.WentUp}, {Seq: 9, Kind: "unheard-of", Reason: "two\nlines\n\nerrno=0"}}
	for i := range list {
		if err := uapi.WriteEvent(w, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	uapi.WriteResult(w, 0, "")
	list[2].Reason = "two lines  errno=0"
	r := uapi.NewReader(&text)
	for _, want := range list {
		got, err := r.Event()
		if err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	if _, err := r.Event(); err != io.EOF {
		t.Errorf("after the last event: %v, want io.EOF", err)
	}
}

func TestWatchRequest(t *testing.T) {
	var text bytes.Buffer
	if err := uapi.WriteWatch(bufio.NewWriter(&text), 1<<63); err != nil {
		t.Fatal(err)
	}
	request, err := uapi.NewDecoder(&text).Next()
	if err != nil || !request.Watch || request.After != 1<<63 {
		t.Errorf("got %+v, %v", request, err)
	}
	for _, bad := range []string{"events=\n\n", "events=-1\n\n", "events=x\n\n", "events=1\nlisten_port=1\n\n"} {
		d := uapi.NewDecoder(strings.NewReader(bad + "get=1\n\n"))
		var refused *uapi.Error
		if _, err := d.Next(); !errors.As(err, &refused) || refused.Errno != uapi.EINVAL {
			t.Errorf("%q: %v, want a refusal", bad, err)
		}
		if next, err := d.Next(); err != nil || !next.Get {
			t.Errorf("%q: the request after it: %+v, %v", bad, next, err)
		}
	}
}

// What is no event is an error, and a daemon's refusal is one.
func TestEventErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "closed the connection",
		"seq=1\nkind=up\n":               "closed the connection",
		"seq=x\nkind=up\n\n":             "seq: x",
		"\n":                             "no result",
		"seq=1\n\n":                      "no result",
		"errno=-71\nerror=no events\n\n": "no events",
		"kind=up\npid=99999999999\n\n":   "pid",
		"kind=up\ntime_nsec=9999999999999999999\n\n": "time_nsec",
	} {
		e, err := uapi.NewReader(strings.NewReader(text)).Event()
		if err == nil || err == io.EOF || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want an error with %q", text, e, err, want)
		}
	}
}

// FuzzEvent: the reader ends on every input, and an accepted event is the same after
// it was written and read again.
func FuzzEvent(f *testing.F) {
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	e := fullEvent()
	uapi.WriteEvent(w, &e)
	w.Flush()
	f.Add(text.Bytes())
	f.Add([]byte("kind=up\n\nerrno=0\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := uapi.NewReader(bytes.NewReader(data))
		for {
			e, err := r.Event()
			if err != nil {
				return
			}
			if e.By.PID == 0 {
				e.By.UID = 0 // which means nothing without the process
			}
			var text bytes.Buffer
			w := bufio.NewWriter(&text)
			if err := uapi.WriteEvent(w, &e); err != nil {
				t.Fatal(err)
			}
			w.Flush()
			again, err := uapi.NewReader(&text).Event()
			if err != nil || again != e {
				t.Fatalf("%+v\nwas read again as\n%+v: %v", e, again, err)
			}
		}
	})
}
