package uapi_test

import (
	"bufio"
	"bytes"
	"reflect"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/uapi"
)

// Every key has a value and a meaning for docs/control-socket.md. It occurs in the
// request and in the answer of the round-trip tests, as far as it can.
func TestEveryKey(t *testing.T) {
	var answer, request bytes.Buffer
	c := fullChange(t)
	for _, s := range []conf.Status{status(t), withheld(t)} {
		if err := uapi.WriteStatus(bufio.NewWriter(&answer), &s); err != nil {
			t.Fatal(err)
		}
	}
	if err := uapi.WriteChange(bufio.NewWriter(&request), &c); err != nil {
		t.Fatal(err)
	}
	keys := append(uapi.InterfaceKeys(), uapi.PeerKeys()...)
	if len(keys) < 20 {
		t.Fatalf("only %d keys, want at least 20", len(keys))
	}
	for _, k := range keys {
		if k.Value == "" || k.Meaning == "" || strings.ContainsAny(k.Value+k.Meaning, "|\n") {
			t.Errorf("%s: value %q, meaning %q: give texts that fit into a cell of a table", k.Name, k.Value, k.Meaning)
		}
		if !k.Get && !k.Set {
			t.Errorf("%s occurs neither in a get nor in a set", k.Name)
		}
		begin, one := strings.CutSuffix(k.Name, "*")
		if !one {
			begin += "="
		}
		has := func(text string) bool { return strings.Contains("\n"+text, "\n"+begin) }
		if has(answer.String()) != k.Get {
			t.Errorf("%s: Get is %v, but in the answer of these tests: %v", k.Name, k.Get, !k.Get)
		}
		if has(fullRequest) != k.Set {
			t.Errorf("%s: Set is %v, but in the request of these tests: %v", k.Name, k.Set, !k.Set)
		}
		// The daemon accepts protocol_version, but our client does not send it.
		if k.Name != "protocol_version" && has(request.String()) != k.Set {
			t.Errorf("%s: Set is %v, but sent by the client: %v", k.Name, k.Set, !k.Set)
		}
	}
}

// The round-trip tests use every field. A field without a key in the language
// would make them fail.
func TestEveryFieldHasAKey(t *testing.T) {
	s, c := status(t), fullChange(t)
	s.Name = "not in the language: the client knows the interface's name"
	s.KeysWithheld = withheld(t).KeysWithheld
	s.Peers[0].PresharedKeyWithheld = withheld(t).Peers[0].PresharedKeyWithheld
	for _, v := range []reflect.Value{
		reflect.ValueOf(s), reflect.ValueOf(s.Peers[0]), reflect.ValueOf(c),
		// All peers merged, because a removed peer has no other fields.
		reflect.ValueOf(mergePeers(c.Peers)),
	} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%v.%s is not set in these tests", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
}

// mergePeers returns a peer with every field that is set in any of the peers.
func mergePeers(peers []conf.PeerChange) (all conf.PeerChange) {
	to := reflect.ValueOf(&all).Elem()
	for _, p := range peers {
		from := reflect.ValueOf(p)
		for i := range from.NumField() {
			if !from.Field(i).IsZero() {
				to.Field(i).Set(from.Field(i))
			}
		}
	}
	return all
}

// For a peer that is removed nothing else is sent, in particular no secret key.
func TestRemovedPeerIsSentWithoutTheRest(t *testing.T) {
	p := fullChange(t).Peers[0]
	p.Remove = true
	var text bytes.Buffer
	if err := uapi.WriteChange(bufio.NewWriter(&text), &conf.Change{Peers: []conf.PeerChange{p}}); err != nil {
		t.Fatal(err)
	}
	if want := "set=1\npublic_key=" + hexB + "\nremove=true\n\n"; text.String() != want {
		t.Errorf("got %q, want %q", &text, want)
	}
}
