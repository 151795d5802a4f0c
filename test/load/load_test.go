package load

import (
	"crypto/rand"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/cookie"
)

// A job and an answer are on the way what they were, all of them: whoever adds a
// field adds it here.
func TestJobsSurviveTheWay(t *testing.T) {
	for _, sent := range []any{
		&Job{"fd00::1", 4, 2e8, 64, 2e3, 10, "a kind", &Peers{7, 3, "a key"}, "fd00::2"},
		&Reading{1 << 60, 3, 1<<62 + 1, 4, 5, 6, []Silence{{1 << 61, 7}}, []int64{8}},
	} {
		text, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(sent).Elem()).Interface()
		if err := json.Unmarshal(text, got); err != nil || !reflect.DeepEqual(got, sent) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// A job that makes no sense is refused before anything is sent.
func TestJobsWithoutSense(t *testing.T) {
	for role, j := range map[string]Job{
		Initiators: {Remote: "127.0.0.1:9", Count: 1, Peers: &Peers{Peers: 1, Daemon: "no key"}},
		Storm:      {Remote: "127.0.0.1:9", Count: 1, Peers: &Peers{Peers: 1, Daemon: "no key"}},
		Responders: {Peers: &Peers{Peers: 1, Daemon: "no key"}},
		Reconnect:  {Remote: "127.0.0.1:9", Peers: &Peers{Peers: 1, Daemon: "no key"}},
		PeersSend:  {Remote: "127.0.0.1:9", Size: 27}, // before it looks for peers
		Ping:       {Remote: "nowhere", Count: 1},
		TCPSource:  {Remote: "no where", Streams: 1},
		IdleSOCKS5: {Remote: "no where", Count: 1},
		UDPSource:  {Remote: "no where", Size: 64},
		UDPRound:   {Count: 0, PacketRate: 1},
		Clients:    {Remote: "127.0.0.1:9", Inner: "nowhere", PacketRate: 1, Peers: &Peers{Daemon: strings.Repeat("01", 32)}},
		TCPFlows:   {Remote: "127.0.0.1", Count: 1},
		UDPFlows:   {Remote: "127.0.0.1", PacketRate: 1},
		First:      {Remote: "127.0.0.1:9", Peers: &Peers{Peers: 1, Daemon: "no key"}},
		Flood:      {Remote: "127.0.0.1:9", PacketRate: 1, Flood: "nonsense", Peers: &Peers{Daemon: strings.Repeat("01", 32)}},
	} {
		if _, err := crew[role](j); err == nil {
			t.Errorf("%s: %+v is accepted", role, j)
		}
	}
}

// The daemon judges the datagrams of each flood as the name of the flood says.
func TestFloodDatagrams(t *testing.T) {
	daemon, c := newDaemon(t, 0)
	gate := cookie.NewGate(daemon.Public(), rand.Reader)
	gate.SetForce(true)
	from := netip.MustParseAddrPort("198.18.0.1:1")
	for kind, want := range map[string]cookie.Verdict{
		GoodMAC1: cookie.Reply, Strangers: cookie.Reply, GuessMAC2: cookie.Reply, BadMAC1: cookie.DropMAC1, Junk: cookie.DropMalformed, Replies: cookie.DropMalformed,
	} {
		list, err := floodDatagrams(Job{Flood: kind, Peers: c})
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range list {
			got := gate.Check(msg)
			if got == cookie.Admit {
				got, _ = gate.Admit(1, from, msg, 0, 1)
			}
			if got != want {
				t.Fatalf("%s: got %s, want %s", kind, got, want)
			}
		}
		if kind == GoodMAC1 && cookie.HasMAC2(list[0]) || kind == GuessMAC2 && !cookie.HasMAC2(list[0]) {
			t.Errorf("%s: mac2 set: %t", kind, cookie.HasMAC2(list[0]))
		}
	}
}

// A LateRelay delivers datagrams in the order in which they are due.
func TestDeliverInTime(t *testing.T) {
	zero := time.Now().Add(-time.Second)
	arriving := make(chan lateDatagram, 10)
	for _, d := range []struct {
		ms   int
		late bool
	}{{0, false}, {6, true}, {2, false}, {8, true}, {5, false}, {7, false}, {9, false}} {
		arriving <- lateDatagram{zero.Add(time.Duration(d.ms) * time.Millisecond), d.late, []byte{byte(d.ms)}}
	}
	close(arriving)
	var got []byte
	deliverInTime(arriving, func(d lateDatagram) { got = append(got, d.data...) })
	if want := []byte{0, 2, 5, 6, 7, 8, 9}; !slices.IsSorted(got) || len(got) != len(want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}
