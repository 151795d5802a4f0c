package main

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/key"
)

// An unnamed peer is shown by eight digits of its key, or more while they are
// not unique or are the name of another peer.
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
	runOK(t, "wg0 set peer 01020304056 --rename=six")
	runOK(t, "wg0 delete peer 01020304")
	runOK(t, "wg0 delete peer 09090909")
	if got, want := show.Names(target.Status().Peers), []string{"six", "09090909"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Every valid name is accepted as a name, even if it looks like a mistyped key. A whole
// key is not a name.
func TestLongNames(t *testing.T) {
	target := start(t, conf.Status{})
	names := []string{strings.Repeat("n", 63), strings.Repeat("5f", 31), private.Base64()[:43]}
	for i, name := range names {
		runOK(t, "wg0 add peer "+name+" "+key.Public{9, byte(i)}.Base64())
		runOK(t, "wg0 show peer "+name)
		runOK(t, "wg0 set peer "+name+" --rename=x")
		runOK(t, "wg0 set peer x --rename="+name)
	}
	if got := show.Names(target.Status().Peers); !reflect.DeepEqual(got, names) {
		t.Errorf("%v, want %v", got, names)
	}
	const exchanged = "wgconfig: there is a key in place of the name: give the name first, then the public key\n"
	for _, k := range []string{pubkeyB, key.Public{9}.Hex(), pubkeyB[:43]} { // with a + in it
		if status, _, stderr := run("wg0", "add", "peer", k, pubkeyB); status != 2 || !strings.HasPrefix(stderr, exchanged) {
			t.Errorf("%q as a name: exit status %d\n%s", k, status, stderr)
		}
	}
}

// A11: a public key with which no handshake can succeed is accepted, with a warning.
func TestLowOrderKey(t *testing.T) {
	target := start(t, conf.Status{})
	for i, k := range []key.Public{{}, {1}} {
		name := strconv.Itoa(i)
		status, stdout, stderr := run("wg0", "add", "peer", name, k.Base64())
		want := "wgconfig: warning: peer " + name + ": it was added, but no handshake with this public key can succeed: " +
			"give the one that wg-keygen --pub printed on the other side\n"
		if status != 0 || stdout != "" || stderr != want {
			t.Errorf("%v: exit status %d, %q, %q", k, status, stdout, stderr)
		}
		if peers := target.Status().Peers; len(peers) != i+1 || peers[i].PublicKey != k {
			t.Errorf("%v: the peers are %v", k, peers)
		}
		runOK(t, "wg0 set peer "+k.Base64()+" --persistent-keepalive=1")
	}
	runOK(t, "wg0 delete peer "+key.Public{}.Base64())
	if got := show.Names(target.Status().Peers); !reflect.DeepEqual(got, []string{"1"}) {
		t.Errorf("%v", got)
	}
}

// An interface with 100,000 unnamed peers is shown in reasonable time (B22).
func TestLargeShow(t *testing.T) {
	var s conf.Status
	for i := range 100000 {
		s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{1, 1, 1, 1, byte(i), byte(i >> 8), byte(i >> 16)}})
	}
	start(t, s)
	began := time.Now()
	if got := strings.Count(runOK(t, "wg0"), "\n\tpeer: 01010101"); got != len(s.Peers) {
		t.Errorf("%d peers are shown, want %d", got, len(s.Peers))
	}
	if took := time.Since(began); took > 5*time.Minute {
		t.Errorf("it took %v, want at most 5 minutes", took)
	}
}
