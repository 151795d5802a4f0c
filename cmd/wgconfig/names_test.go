package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/key"
)

// TestUnnamedPeers: eight digits, more while not unique, and never a given name.
func TestUnnamedPeers(t *testing.T) {
	target := start(t, conf.Status{Peers: []conf.PeerStatus{
		{PublicKey: key.Public{1, 2, 3, 4, 5}},
		{PublicKey: key.Public{1, 2, 3, 4, 5, 0x60}},
		{PublicKey: key.Public{9, 9, 9, 9, 5}},
		{PublicKey: key.Public{7}, Name: "09090909"},
	}})
	want := []string{"01020304050", "01020304056", "090909090", "09090909"}
	if got := show.Names(target.Status().Peers); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	does(t, "wg0 set peer 01020304056 --rename=six")
	does(t, "wg0 delete peer 01020304")
	does(t, "wg0 delete peer 09090909")
	if got, want := show.Names(target.Status().Peers), []string{"six", "09090909"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestLargeShow: 100,000 unnamed peers are shown in time (B22).
func TestLargeShow(t *testing.T) {
	var s conf.Status
	for i := range 100000 {
		s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{1, 1, 1, 1, byte(i), byte(i >> 8), byte(i >> 16)}})
	}
	start(t, s)
	began := time.Now()
	if got := strings.Count(does(t, "wg0"), "\n\tpeer: 01010101"); got != len(s.Peers) {
		t.Errorf("%d peers", got)
	}
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("took %v", took)
	}
}
