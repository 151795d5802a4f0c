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

// wants are those that a daemon may report: with each field, of a later version, the first.
func wants() []conf.Want {
	return []conf.Want{
		{Kind: conf.UnknownPeerKey, Key: key.Public{1, 2}, Endpoint: netip.MustParseAddrPort("[2001:db8::1]:51820"), Address: netip.MustParseAddr("fd00::7"), Missed: 3},
		{Kind: "unheard-of"},
		{Kind: conf.WantsBegin},
	}
}

// Each field of a want survives the socket. What a later version adds is ignored.
func TestWantRoundTrip(t *testing.T) {
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	list := wants()
	for v, i := reflect.ValueOf(list[0]), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("the test does not set %s", v.Type().Field(i).Name)
		}
	}
	for i := range list {
		if err := uapi.WriteWant(w, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(w, "want=begin\nof_later=1\n\n")
	uapi.WriteResult(w, 0, "")
	r := uapi.NewReader(&text)
	for _, want := range append(list, conf.Want{Kind: conf.WantsBegin}) {
		if got, err := r.Want(); err != nil || got != want {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	}
	if _, err := r.Want(); err != io.EOF {
		t.Errorf("after the last want: %v, want io.EOF", err)
	}
}

// A refusal is decoded as it was written, and so is the request for wants.
func TestWantRequests(t *testing.T) {
	for _, want := range []conf.Refusal{{Key: key.Public{7}, For: 3 * time.Second}, {Key: key.Public{7}}, {Endpoint: netip.MustParseAddrPort("[2001:db8::1]:7"), For: time.Minute}, {Address: netip.MustParseAddr("10.2.0.7")}} {
		var text bytes.Buffer
		if err := uapi.WriteRefusal(bufio.NewWriter(&text), &want); err != nil {
			t.Fatal(err)
		}
		if r, err := uapi.NewDecoder(&text).Next(); err != nil || r.Refuse == nil || *r.Refuse != want {
			t.Errorf("got %+v, %v, want %+v", r.Refuse, err, want)
		}
	}
	var text bytes.Buffer
	if err := uapi.WriteWantsRequest(bufio.NewWriter(&text)); err != nil {
		t.Fatal(err)
	}
	if r, err := uapi.NewDecoder(&text).Next(); err != nil || !r.Wants {
		t.Errorf("got %+v, %v", r, err)
	}
}

// FuzzWant: the reader of wants ends on every input. An accepted want can be written and
// is the same when it is read again.
func FuzzWant(f *testing.F) {
	var text bytes.Buffer
	w := bufio.NewWriter(&text)
	for _, want := range wants() {
		uapi.WriteWant(w, &want)
		w.Flush()
		f.Add(text.Bytes())
	}
	f.Add([]byte("errno=-71\nerror=no\n\n"))
	f.Add([]byte("want=unknown_destination\naddress=fe80::1%eth0\n\n"))
	f.Add([]byte("want=missed\nmissed=99999999999999999999\nendpoint=1\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := uapi.NewReader(bytes.NewReader(data)).Want()
		if err != nil {
			return
		}
		var text bytes.Buffer
		w := bufio.NewWriter(&text)
		if err := errors.Join(uapi.WriteWant(w, &want), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if again, err := uapi.NewReader(&text).Want(); err != nil || again != want {
			t.Fatalf("%+v becomes %+v, %v", want, again, err)
		}
	})
}

// The peers that EachPeer passes are those of Status, and their keys are erased afterwards.
func TestEachPeer(t *testing.T) {
	var text bytes.Buffer
	s := status(t)
	want := len(s.Peers)
	if err := uapi.WriteStatus(bufio.NewWriter(&text), &s); err != nil {
		t.Fatal(err)
	}
	whole := text.String()
	all, err := uapi.NewReader(strings.NewReader(whole)).Status()
	if err != nil || len(all.Peers) != want || want < 2 {
		t.Fatalf("%d peers of %d, %v", len(all.Peers), want, err)
	}
	var kept []key.Preshared
	i := 0
	err = uapi.NewReader(strings.NewReader(whole)).EachPeer(func(p *conf.PeerStatus) {
		if p.PublicKey != all.Peers[i].PublicKey || !p.PresharedKey.Equal(all.Peers[i].PresharedKey) || p.RxBytes != all.Peers[i].RxBytes ||
			!reflect.DeepEqual(p.AllowedIPs, all.Peers[i].AllowedIPs) {
			t.Errorf("peer %d: %+v, want %+v", i, p, all.Peers[i])
		}
		kept = append(kept, p.PresharedKey)
		i++
	})
	if err != nil || i != want {
		t.Errorf("%d peers, %v, want %d", i, err, want)
	}
	for i := range kept {
		if !kept[i].IsZero() {
			t.Errorf("the preshared key of peer %d was not erased", i)
		}
	}
	if err := uapi.NewReader(strings.NewReader("errno=-5\nerror=no\n\n")).EachPeer(func(*conf.PeerStatus) {}); err == nil || err.Error() != "no" {
		t.Errorf("a refusal: %v", err)
	}
}
