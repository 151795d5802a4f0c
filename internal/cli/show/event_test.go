package show

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// Each kind of event has a sentence, with what belongs to it.
func TestEventText(t *testing.T) {
	e := conf.Event{
		Seq: 7, Time: time.Unix(1_795_937_400, 0), SinceBoot: 1500 * time.Millisecond, Peer: key.Public{0xab},
		Endpoint: netip.MustParseAddrPort("192.0.2.1:7"), After: time.Second, Count: 5, Cause: "a-cause", Reason: "THE REASON", Missed: 4,
		By: conf.Caller{PID: 12, UID: 0, Command: "wg"},
	}
	seen := map[string]bool{}
	for kind, want := range map[conf.EventKind]string{
		conf.EventsBegin: "number 7", conf.EventsEnd: "has ended", conf.WatchStarted: "was started", conf.EventsMissed: "4 events", conf.WentUp: "is up", conf.WentDown: "is down",
		conf.Faulted: "THE REASON", conf.HandshakeDone: "a new session at 192.0.2.1:7: the peer began the handshake, which took 1s",
		conf.HandshakeFailed: "at 192.0.2.1:7: THE REASON", conf.EndpointMoved: "now 192.0.2.1:7", conf.PeerQuiet: "nothing comes back",
		conf.SessionEnded: "the session has ended: THE REASON", conf.PeerBack: "heard again at 192.0.2.1:7, after 1s", conf.PacketsDropped: "5 packets were dropped (a-cause), the last from 192.0.2.1:7: THE REASON", conf.NameFailed: "THE REASON", conf.NameFound: "again",
		conf.ConfigurationChanged: "by wg (process 12 of user 0): THE REASON", "unheard-of": "unheard-of: THE REASON",
	} {
		e.Kind = kind
		text := EventText(&e)
		if !strings.Contains(text, want) || seen[text] {
			t.Errorf("%s: %q, want %q in it", kind, text, want)
		}
		seen[text] = true
		if line := EventLine("wg0", &e); !strings.HasSuffix(line, " wg0 peer ab000000: "+text) {
			t.Errorf("the line %q", line)
		}
		j := EventJSON("wg0", "R", &e)
		if j.Text != text || j.Kind != string(kind) || j.UID == nil || *j.UID != 0 || j.SinceBoot != 1.5 || j.PublicKey != e.Peer.String() {
			t.Errorf("the value %+v", j)
		}
	}
	all := conf.Event{Kind: conf.SessionEnded, Reason: "THE REASON"}
	if text := EventText(&all); text != "all sessions have ended: THE REASON" {
		t.Errorf("without a peer: %q", text)
	}
	one := conf.Event{Kind: conf.PacketsDropped, Count: 1, Cause: "mac1", Endpoint: e.Endpoint}
	if text := EventText(&one); text != "a packet was dropped (mac1), from 192.0.2.1:7" {
		t.Errorf("one packet: %q", text)
	}
	e.Kind, e.Renewed, e.Initiator = conf.HandshakeDone, true, true
	if text := EventText(&e); !strings.Contains(text, "renewed at 192.0.2.1:7: this side began") {
		t.Errorf("a renewed session: %q", text)
	}
}
