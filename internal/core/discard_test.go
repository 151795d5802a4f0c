package core

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// A35: discarding a job that was not run erases its secrets, and also a replaced
// private key that waited for the job.
func TestDiscardErases(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	identity := a.m.identity
	a.hold, b.hold = true, true
	next := func(h *host) *Job {
		t.Helper()
		w.run(time.Second)
		if len(h.jobs) == 0 {
			t.Fatal("there is no job")
		}
		j := h.jobs[0]
		h.jobs = h.jobs[1:]
		return j
	}
	a.send(b, "hello")
	created := next(a)
	if !created.Initiates() {
		t.Error("Initiates is false for the job of our initiation")
	}
	created.Run()
	a.finish(created)
	identified := next(b)
	identified.Run()
	b.finish(identified)
	answered := next(b)
	if identified.Initiates() || answered.Initiates() {
		t.Error("Initiates is true for a job of a received initiation")
	}
	answered.Run()
	b.finish(answered)
	completed := next(a).work.(*completion)

	secret, err := key.ParsePresharedHex(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	again := &creation{identity: a.m.identity.acquire(), member: a.member(b), ephemeral: [32]byte{1}}
	later := &answer{identity: b.m.identity.acquire(), state: answered.work.(*answer).state, ephemeral: [32]byte{1}, preshared: secret}
	b.m.Discard(&Job{&identification{identity: b.m.identity.acquire()}})
	b.m.Discard(&Job{later})
	a.m.Discard(&Job{again})
	completed.preshared = secret
	private := keyFor(9)
	a.apply(conf.Change{PrivateKey: &private})
	if identity.jobs != 1 {
		t.Fatalf("%d jobs have the old key, want 1", identity.jobs)
	}
	a.m.Discard(&Job{completed})
	if again.ephemeral != [32]byte{} || later.ephemeral != [32]byte{} || !later.preshared.IsZero() || !completed.preshared.IsZero() {
		t.Error("a job still has a secret")
	}
	if identity.jobs != 0 || b.m.identity.jobs != 0 {
		t.Error("a private key still waits for a job")
	}
	if !reflect.ValueOf(completed.hs).Elem().IsZero() {
		t.Error("the handshake was not erased")
	}
}
