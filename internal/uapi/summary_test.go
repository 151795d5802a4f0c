package uapi_test

import (
	"bufio"
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

// summary has a value for each field.
func summary() conf.Summary {
	return conf.Summary{
		Started: time.Unix(1795937401, 0), Up: true, Fault: "port 1 is taken: choose another", ListenPort: 51820, FirewallMark: 7, MTU: 1420,
		Peers: 100_000, ActivePeers: 99, RxBytes: 1 << 63, TxBytes: 3, RxPackets: 4, TxPackets: 5, Goroutines: 30, Memory: 6 << 20,
		Drops:    []conf.Drop{{Reason: "no-peer", Count: 7}, {Reason: "loop"}},
		Counters: []conf.Counter{{Name: "unjoined", Count: 8}},
		Handshakes: []conf.HandshakeCount{
			{Outcome: conf.CompletedAsInitiator, Count: 9}, {Outcome: conf.FailedHandshake, Reason: "no-answer", Count: 10},
		},
		HandshakeTime: conf.Histogram{Bounds: []float64{0.001, 0.0025, 5}, Counts: []uint64{1, 0, 3, 1 << 63}, Sum: 0.125},
		Idle:          conf.Histogram{Counts: []uint64{4}, Sum: 1e9},
	}
}

func writeSummary(t testing.TB, s *conf.Summary) []byte {
	var text bytes.Buffer
	if err := uapi.WriteSummary(bufio.NewWriter(&text), s); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func TestSummary(t *testing.T) {
	want := summary()
	v := reflect.ValueOf(want)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Name" {
			t.Errorf("the test has no value for %s", name)
		}
	}
	text := writeSummary(t, &want)
	text = append([]byte("a_key_of_later_versions=1\n"), text...)
	if got, err := uapi.NewReader(bytes.NewReader(text)).Summary(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v\n%s", err, got, want, text)
	}
	request, err := uapi.NewDecoder(strings.NewReader("summary=1\n\n")).Next()
	if err != nil || !request.Summary || request.Get {
		t.Errorf("summary=1: %+v, %v", request, err)
	}
	if _, err := uapi.NewDecoder(strings.NewReader("summary=1\nup=1\n\n")).Next(); err == nil {
		t.Error("summary=1 with a further line is accepted")
	}
}

func TestBadSummaries(t *testing.T) {
	for _, line := range []string{
		"peers=-1", "peers=x", "rx_bytes=18446744073709551616", "drop=no-peer", "handshake=failed:", "idle=", "idle=sum:1", "idle=1:1 sum:1", "idle=+Inf:1",
		"idle=+Inf:1 sum:NaN", "idle=+Inf:1 sum:Inf", "idle=2:1 1:1 +Inf:1 sum:1", "idle=1:1 1:1 +Inf:1 sum:1", "idle=NaN:1 +Inf:1 sum:1", "idle=1:1 +Inf:1 +Inf:1 sum:1",
		"idle=1:-1 +Inf:1 sum:1", "idle=" + strings.Repeat("1:1 ", 200) + "sum:1", "listen_port=65536",
	} {
		if s, err := uapi.NewReader(strings.NewReader(line + "\nerrno=0\n\n")).Summary(); err == nil {
			t.Errorf("%s is accepted: %+v", line, s)
		}
	}
}

// FuzzSummary: the reader ends on every input. An accepted summary is the same after it
// was written and read again.
func FuzzSummary(f *testing.F) {
	s := summary()
	f.Add(writeSummary(f, &s))
	f.Add([]byte("idle=1:1 +Inf:2 sum:3\nerrno=0\n\n"))
	f.Add([]byte("errno=-71\nerror=no\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := uapi.NewReader(bytes.NewReader(data)).Summary()
		if err != nil {
			return
		}
		if s.Started.IsZero() { // written as a number
			s.Started = time.Unix(0, 0)
		}
		again, err := uapi.NewReader(bytes.NewReader(writeSummary(t, &s))).Summary()
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, again, s)
		}
	})
}
