package noise

import (
	"bytes"
	"crypto/hkdf"
	stdhmac "crypto/hmac"
	"hash"
	"sync"
	"testing"

	"golang.org/x/crypto/blake2s"

	"wgd/internal/wire"
	"wgd/key"
)

func newHash() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err)
	}
	return h
}

// A9: HMAC and HKDF agree with those of the standard library over BLAKE2s.
func TestKeyDerivation(t *testing.T) {
	chain, input := keyOf(1), keyOf(2)
	for n := range 34 {
		long := append(input[:], 7)
		mac := stdhmac.New(newHash, chain[:])
		mac.Write(long[:n])
		var got [32]byte
		if hmac(&got, &chain, long[:n]); !bytes.Equal(got[:], mac.Sum(nil)) {
			t.Fatalf("HMAC of %d bytes differs", n)
		}
	}
	extracted, err := hkdf.Extract(newHash, input[:], chain[:])
	if err != nil {
		t.Fatal(err)
	}
	out, err := hkdf.Expand(newHash, extracted, "", 96)
	if err != nil {
		t.Fatal(err)
	}

	var k [32]byte
	tr := transcript{chain: chain}
	tr.mixKey(&input)
	if !bytes.Equal(tr.chain[:], out[:32]) {
		t.Error("KDF1 differs")
	}
	tr = transcript{chain: chain}
	tr.mixKeyTo(&k, &input)
	if !bytes.Equal(tr.chain[:], out[:32]) || !bytes.Equal(k[:], out[32:64]) {
		t.Error("KDF2 differs")
	}
	extracted, err = hkdf.Extract(newHash, nil, chain[:])
	if err != nil {
		t.Fatal(err)
	}
	if out, err = hkdf.Expand(newHash, extracted, "", 64); err != nil {
		t.Fatal(err)
	}
	tr = transcript{chain: chain}
	var first, second [32]byte
	tr.split(&first, &second)
	if !bytes.Equal(first[:], out[:32]) || !bytes.Equal(second[:], out[32:]) {
		t.Error("the session keys differ")
	}
}

// A9: without a preshared key, KDF3 mixes 32 zero bytes.
func TestPresharedDerivation(t *testing.T) {
	chain, h := keyOf(1), keyOf(3)
	extracted, err := hkdf.Extract(newHash, make([]byte, 32), chain[:])
	if err != nil {
		t.Fatal(err)
	}
	out, err := hkdf.Expand(newHash, extracted, "", 96)
	if err != nil {
		t.Fatal(err)
	}
	var k [32]byte
	tr := transcript{chain: chain, hash: h}
	tr.mixPreshared(&k, key.Preshared{})
	wantHash := blake2s.Sum256(append(h[:], out[32:64]...))
	if !bytes.Equal(tr.chain[:], out[:32]) || !bytes.Equal(k[:], out[64:]) || tr.hash != wantHash {
		t.Error("KDF3 differs")
	}
}

// Jobs on all cores use one Remote and one Static. If Erase runs meanwhile, no
// step uses zeroes as a secret. (Run with -race.)
func TestRemoteIsSharedByJobs(t *testing.T) {
	alice, bob := twoEnds()
	first, _ := alice.initiate(t, 1)
	var jobs sync.WaitGroup
	for range 4 {
		jobs.Go(func() {
			for range 20 {
				_, st, err := ConsumeInitiationStatic(nil, bob.static, first)
				if err != nil {
					t.Error(err)
					return
				}
				if _, _, err := st.Finish(nil, bob.static, bob.remote); err != nil && err != ErrWrongStep {
					t.Error(err)
					return
				}
			}
		})
	}
	jobs.Go(func() {
		if _, st, err := ConsumeInitiationStatic(nil, bob.static, first); err != nil {
			t.Error(err)
		} else if _, _, err := st.Finish(nil, bob.static, bob.remote); err != nil {
			t.Error(err)
		}
		bob.remote.Erase()
	})
	jobs.Wait()
	for i := range bob.remote.shared {
		if bob.remote.shared[i].Load() != 0 {
			t.Fatal("a job stored the static Diffie-Hellman after Erase")
		}
	}
}

// A4, A5: no initiation makes a step panic, and only the genuine one is accepted.
func FuzzInitiation(f *testing.F) {
	alice, bob := twoEnds()
	msg, _, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		f.Fatal(err)
	}
	good := msg.AppendTo(nil)
	f.Add(good)
	f.Add(make([]byte, wire.InitiationSize))
	for _, point := range lowOrder() {
		f.Add(forge(alice.remote, point, alice.static.Public(), secrets{}).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, ok := wire.DecodeInitiation(b)
		if !ok {
			return
		}
		_, st, err := ConsumeInitiationStatic(nil, bob.static, &msg)
		if err != nil {
			return
		}
		_, hs, err := st.Finish(nil, bob.static, bob.remote)
		if err != nil {
			return
		}
		// Only mac1 covers the sender's index, and nothing covers mac2.
		if !bytes.Equal(b[8:wire.InitiationSize-2*wire.MACSize], good[8:wire.InitiationSize-2*wire.MACSize]) {
			t.Fatal("a forged initiation was accepted")
		}
		if _, err := hs.CreateResponse(nil, new(Keys), &bob.ephemeral, key.Preshared{}, 1); err != nil {
			t.Fatal(err)
		}
	})
}

// A4, A13: the same for responses, which never change the pending handshake.
func FuzzResponse(f *testing.F) {
	alice, bob := twoEnds()
	msg, pending, err := CreateInitiation(nil, alice.static, alice.remote, &alice.ephemeral, 1, stampOne)
	if err != nil {
		f.Fatal(err)
	}
	good := bob.answer(f, msg, &bob.ephemeral).AppendTo(nil)
	f.Add(good)
	f.Add(make([]byte, wire.ResponseSize))
	for _, point := range lowOrder() {
		f.Add(forgeResponse(pending, point, secrets{}).AppendTo(nil))
	}
	before := *pending
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, ok := wire.DecodeResponse(b)
		if !ok {
			return
		}
		err := pending.ConsumeResponse(nil, new(Keys), alice.static, key.Preshared{}, &msg)
		if *pending != before {
			t.Fatal("the pending handshake was changed")
		}
		if err == nil && !bytes.Equal(b[8:wire.ResponseSize-2*wire.MACSize], good[8:wire.ResponseSize-2*wire.MACSize]) {
			t.Fatal("a forged response was accepted")
		}
	})
}
