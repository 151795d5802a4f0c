package core

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

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

// A35: a job that lacks random bytes is not started, and its secrets are erased.
func TestNoRandomnessErases(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	good := a.m.random
	short := &shortRandom{}
	a.m.random = short
	a.send(b, "x")
	w.run(6 * time.Second)
	a.m.random = good
	ephemerals := short.given
	b.m.random = short
	secret, err := key.ParsePresharedHex(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	b.member(a).preshared = secret
	w.run(6 * time.Second)
	if len(ephemerals) == 0 || len(short.given) == len(ephemerals) {
		t.Fatal("no job lacked random bytes")
	}
	for _, given := range short.given {
		if *given != [32]byte{} {
			t.Error("a part of an ephemeral key was not erased")
		}
	}
	for _, given := range short.given[len(ephemerals):] {
		job := (*answer)(unsafe.Add(unsafe.Pointer(given), -int(unsafe.Offsetof(answer{}.ephemeral))))
		if !job.preshared.IsZero() {
			t.Error("the copy of the preshared key was not erased")
		}
	}
}

// A shortRandom gives only a half of an ephemeral key, and remembers where it went.
type shortRandom struct{ given []*[32]byte }

func (s *shortRandom) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i + len(s.given))
	}
	if len(b) != 32 {
		return len(b), nil
	}
	clear(b[16:])
	s.given = append(s.given, (*[32]byte)(b))
	return 16, errors.New("broken")
}
