package control_test

import (
	"reflect"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
)

// A summary is what the target says. A target that makes none refuses the request, and
// the connection can be used afterwards.
func TestSummary(t *testing.T) {
	useTempDir(t)
	target := controltest.New(conf.Status{Up: true, Peers: []conf.PeerStatus{{RxBytes: 3, TxBytes: 4}}})
	serve(t, "wg0", target)
	serve(t, "wg1", struct{ control.Target }{target})
	got, err := dial(t, "wg0").Summary()
	want := target.Summary()
	want.Name = "wg0"
	if err != nil || !reflect.DeepEqual(got, want) || got.Peers != 1 || got.RxBytes != 3 {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	client := dial(t, "wg1")
	if _, err := client.Summary(); err == nil || !strings.Contains(err.Error(), "read its status") {
		t.Errorf("a target without summaries: %v", err)
	}
	if s, err := client.Status(); err != nil || len(s.Peers) != 1 {
		t.Errorf("the status afterwards: %v", err)
	}
}
