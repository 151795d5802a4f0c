package load

import (
	"encoding/json"
	"reflect"
	"testing"
)

// A job and an answer are on the way what they were, all of them: whoever adds a
// field adds it here.
func TestJobsSurviveTheWay(t *testing.T) {
	for _, sent := range []any{
		&Job{"fd00::1", 4, 2e8, 64, 2e3, 10, &Crowd{7, 3, "a key"}},
		&Reading{1 << 60, 3, 1<<62 + 1, 4},
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
		Initiators: {Remote: "127.0.0.1:9", Count: 1, Crowd: &Crowd{Peers: 1, Daemon: "no key"}},
		Storm:      {Remote: "127.0.0.1:9", Count: 1, Crowd: &Crowd{Peers: 1, Daemon: "no key"}},
		Responders: {Crowd: &Crowd{Peers: 1, Daemon: "no key"}},
		Reconnect:  {Remote: "127.0.0.1:9", Crowd: &Crowd{Peers: 1, Daemon: "no key"}},
		Ping:       {Remote: "nowhere", Count: 1},
		TCPSource:  {Remote: "no where", Streams: 1},
		UDPSource:  {Remote: "no where", Size: 64},
		UDPRound:   {Count: 0, PacketRate: 1},
	} {
		if _, err := crew[role](j); err == nil {
			t.Errorf("%s: %+v is accepted", role, j)
		}
	}
}
