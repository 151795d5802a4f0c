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

// Every key has a value and a meaning for docs/control-socket.md, and stands in
// the request and in the answer with which the other tests go both ways.
func TestEveryKey(t *testing.T) {
	var answer, request bytes.Buffer
	s, c := status(t), fullChange(t)
	if err := uapi.WriteStatus(bufio.NewWriter(&answer), &s); err != nil {
		t.Fatal(err)
	}
	if err := uapi.WriteChange(bufio.NewWriter(&request), &c); err != nil {
		t.Fatal(err)
	}
	keys := append(uapi.InterfaceKeys(), uapi.PeerKeys()...)
	if len(keys) < 20 {
		t.Fatalf("only %d keys", len(keys))
	}
	for _, k := range keys {
		if k.Value == "" || k.Meaning == "" || strings.ContainsAny(k.Value+k.Meaning, "|\n") {
			t.Errorf("%s: value %q, meaning %q: give texts that fit in a cell", k.Name, k.Value, k.Meaning)
		}
		if !k.Get && !k.Set {
			t.Errorf("%s is neither told nor taken", k.Name)
		}
		begin, one := strings.CutSuffix(k.Name, "*")
		if !one {
			begin += "="
		}
		has := func(text string) bool { return strings.Contains("\n"+text, "\n"+begin) }
		if has(answer.String()) != k.Get {
			t.Errorf("%s: told by a get: %v, in the answer of these tests: %v", k.Name, k.Get, !k.Get)
		}
		if has(fullRequest) != k.Set {
			t.Errorf("%s: taken by a set: %v, in the request of these tests: %v", k.Name, k.Set, !k.Set)
		}
		// The daemon takes the version; our client leaves it out.
		if k.Name != "protocol_version" && has(request.String()) != k.Set {
			t.Errorf("%s: taken by a set: %v, sent by the client: %v", k.Name, k.Set, !k.Set)
		}
	}
}

// What these tests send both ways has every field that there is: one that has
// no key in the language would not survive it.
func TestEveryFieldHasAKey(t *testing.T) {
	s, c := status(t), fullChange(t)
	s.Name = "not on the wire: the socket has the interface's name"
	for _, v := range []reflect.Value{
		reflect.ValueOf(s), reflect.ValueOf(s.Peers[0]), reflect.ValueOf(c),
		// Both together: a peer that is removed has nothing else.
		reflect.ValueOf(mergePeers(c.Peers)),
	} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%v.%s is not tried in these tests", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
}

// mergePeers is one peer with every field that any of them has.
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

// Of a peer that is removed nothing else is sent, in particular no key.
func TestRemovedPeerIsSentWithoutTheRest(t *testing.T) {
	p := fullChange(t).Peers[0]
	p.Remove = true
	var text bytes.Buffer
	if err := uapi.WriteChange(bufio.NewWriter(&text), &conf.Change{Peers: []conf.PeerChange{p}}); err != nil {
		t.Fatal(err)
	}
	if want := "set=1\npublic_key=" + hexB + "\nremove=true\n\n"; text.String() != want {
		t.Errorf("%q, want %q", &text, want)
	}
}
