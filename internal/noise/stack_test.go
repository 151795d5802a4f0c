package noise

import (
	"bytes"
	"crypto/ecdh"
	"runtime/debug"
	"testing"
	"unsafe"

	"wgd/internal/x25519"
	"wgd/key"
)

// readStackBelow copies to dst the stack below the caller's frame, where the
// frames of the functions that the caller called were.
//
//go:noinline
func readStackBelow(dst []byte) {
	var here byte
	at := uintptr(unsafe.Pointer(&here)) - uintptr(len(dst))
	for i := range dst {
		p := at + uintptr(i)
		dst[i] = **(**byte)(unsafe.Pointer(&p))
	}
}

//go:noinline
func grow() byte {
	var buf [1 << 15]byte
	return buf[len(stampOne)]
}

// A35: no step leaves a scalar, a chaining key or a session key on the stack,
// where the trace of a panic could print it.
func TestStepsLeaveNothingOnTheStack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // because it may move stacks
	alice, bob := twoEnds()
	first, pending := alice.initiate(t, 1)
	hs := bob.consume(t, first)
	response := bob.answer(t, first, &bob.ephemeral)
	_, st, err := ConsumeInitiationStatic(nil, bob.static, first)
	if err != nil {
		t.Fatal(err)
	}
	var keys, out Keys
	if err := pending.ConsumeResponse(nil, &keys, alice.static, key.Preshared{}, response); err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{alice.private.Bytes(), bob.private.Bytes(), alice.ephemeral[:], bob.ephemeral[:], keys.Send[:], keys.Recv[:],
		pending.transcript.chain[:], hs.transcript.chain[:]}
	stack := make([]byte, 6000)
	grow()
	leaks := func(step func()) (found bool) {
		step()
		readStackBelow(stack)
		for _, s := range secrets {
			for i := 0; i+8 <= len(s); i++ {
				found = found || bytes.Contains(stack, s[i:i+8])
			}
		}
		return found
	}
	var x Exchange
	for _, point := range []*[32]byte{nil, &first.Ephemeral, &response.Ephemeral} {
		x.ephemeral.Set(&alice.ephemeral)
		x.ask(&x.ephemeral, point)
	}
	for name, step := range map[string]func(){
		"Multiply":                func() { x25519.Multiply(x.Products()) },
		"Multiply one":            func() { x25519.Multiply(x.Products()[1:2]) },
		"NewStatic":               func() { NewStatic(alice.private) },
		"Public":                  func() { alice.private.Public() },
		"CreateInitiation":        func() { CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne) },
		"ConsumeInitiationStatic": func() { ConsumeInitiationStatic(nil, bob.static, first) },
		"Finish":                  func() { st.Finish(nil, bob.static, NewRemote(alice.static.Public())) },
		"CreateResponse":          func() { hs.CreateResponse(nil, &out, &bob.ephemeral, key.Preshared{}, 2) },
		"ConsumeResponse":         func() { pending.ConsumeResponse(nil, &out, alice.static, key.Preshared{}, response) },
	} {
		if leaks(step) {
			t.Errorf("%s leaves part of a secret on the stack", name)
		}
	}
	for try := 0; !leaks(func() { ecdh.X25519().NewPrivateKey(alice.ephemeral[:]) }); try++ {
		if try == 100 {
			t.Fatal("no secret found after a plain X25519, so this test shows nothing")
		}
	}
}
