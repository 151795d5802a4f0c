//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

// These tests bring a counter to its limit with a few reservations that do not
// fit into an int of 32 bits. Package session tests the limit on such systems.

package dataplane

import (
	"encoding/binary"
	"math"
	"testing"

	"wgd/internal/session"
	"wgd/internal/wire"
)

// A37, B3: the last counter is RejectAfterMessages-1.
func TestCountersRunOut(t *testing.T) {
	a, _ := pair(t)
	k := a.peer.Sessions().Current
	k.Reserve(math.MaxInt64)
	k.Reserve(int(session.RejectAfterMessages - math.MaxInt64 - 3))
	f := frame(udpPacket(addrA, addrB, 64))
	a.send(start, f)
	a.send(start, f, f, f) // three do not fit into two
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 3})
	a.send(start, f, f)
	trains := a.udp.take()
	if len(trains) != 2 || wire.DataCounter(trains[1].At(1)) != session.RejectAfterMessages-1 {
		t.Fatalf("%d trains, want 2 that end with the last counter", len(trains))
	}
	a.send(start, f)
	if len(a.udp.take()) != 0 || !a.peer.HasStaged() {
		t.Error("sent beyond the limit")
	}
	if wants, _, _ := a.notes.take(); wants == 0 {
		t.Error("no new session was requested")
	}
}

// A37: when the counters run out within a super-packet that is sent in several
// parts, the rest is dropped and counted once, whether it was staged or not.
func TestCountersRunOutInAFrame(t *testing.T) {
	for _, staged := range []bool{false, true} {
		a, _ := pair(t)
		k := a.peer.Sessions().Current
		k.Reserve(math.MaxInt64)
		k.Reserve(int(session.RejectAfterMessages - math.MaxInt64 - 130))
		long, f := tcpSuper(1, pattern(300*100), 100), frame(udpPacket(addrA, addrB, 64))
		if staged {
			a.peer.Stage(long, 300)
			a.send(start, f, f)
		} else {
			a.send(start, long, f, f)
		}
		a.wantDrops(map[Drop]uint64{DropSessionEnded: 172})
		sent := 0
		for _, train := range a.udp.take() {
			sent += train.Count()
		}
		if sent != 130 || a.peer.HasStaged() {
			t.Errorf("staged %v: %d sent, want 130 and nothing staged", staged, sent)
		}
		if wants, _, _ := a.notes.take(); wants == 0 {
			t.Errorf("staged %v: no new session was requested", staged)
		}
	}
}

// A37, B3: the receiver enforces the limit of the counter. A38: the replay
// window does not overflow near it.
func TestCounterLimitOnReceipt(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	k.Reserve(math.MaxInt64)
	k.Reserve(int(session.RejectAfterMessages - math.MaxInt64 - 1))
	last := seal(k, a.at, 0, udpPacket(addrA, addrB, 64))
	if wire.DataCounter(last.Data) != session.RejectAfterMessages-1 {
		t.Fatal("the message does not have the last counter")
	}
	beyond := copyOf(last)
	binary.LittleEndian.PutUint64(beyond.Data[8:], session.RejectAfterMessages)
	b.receive(beyond, last)
	b.wantDrops(map[Drop]uint64{DropForged: 1})
	if len(b.tun.take()) != 1 {
		t.Error("the last counter was refused")
	}
}
