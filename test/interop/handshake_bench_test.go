package interop

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn/bindtest"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// The benchmarks compare the arithmetic of one handshake at one end: what the
// benchmarks of package noise measure, and the same with wireguard-go's functions,
// without sockets, queues and MACs.
//
//	cd test/interop && go test -run '^$' -bench Handshake -benchtime 200x

// apart is how long a peer of wireguard-go must wait between two initiations.
const apart = device.HandshakeInitationRate + 5*time.Millisecond

func BenchmarkHandshake(b *testing.B) {
	b.Run("responder/wgd", func(b *testing.B) { benchOurs(b, true) })
	b.Run("responder/wireguard-go", func(b *testing.B) { benchTheirs(b, true) })
	b.Run("initiator/wgd", func(b *testing.B) { benchOurs(b, false) })
	b.Run("initiator/wireguard-go", func(b *testing.B) { benchTheirs(b, false) })
}

// measured runs f, with the timer if this is the end that is measured.
func measured(b *testing.B, is bool, f func()) {
	if is {
		b.StartTimer()
		defer b.StopTimer()
	}
	f()
}

func ourKey(b *testing.B) key.Private {
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return private
}

func benchOurs(b *testing.B, responder bool) {
	one, two := ourKey(b), ourKey(b)
	alice, bob := noise.NewStatic(one), noise.NewStatic(two)
	toBob, toAlice := noise.NewRemote(two.Public()), noise.NewRemote(one.Public())
	secrets := [2][32]byte{[32]byte(ourKey(b).Bytes()), [32]byte(ourKey(b).Bytes())}
	var failed error
	note := func(err error) {
		if err != nil {
			failed = err
		}
	}
	for b.Loop() {
		b.StopTimer()
		var first *wire.Initiation
		var second *wire.Response
		var pending *noise.Handshake
		measured(b, !responder, func() {
			var err error
			first, pending, err = noise.CreateInitiation(nil, alice, toBob, &secrets[0], 1, wire.StampAt(time.Now()))
			note(err)
		})
		measured(b, responder, func() {
			_, st, err := noise.ConsumeInitiationStatic(nil, bob, first)
			note(err)
			_, hs, err := st.Finish(nil, bob, toAlice)
			note(err)
			second, err = hs.CreateResponse(nil, new(noise.Keys), &secrets[1], key.Preshared{}, 2)
			note(err)
		})
		measured(b, !responder, func() {
			err := pending.ConsumeResponse(nil, new(noise.Keys), alice, key.Preshared{}, second)
			note(err)
		})
		b.StartTimer()
	}
	if failed != nil {
		b.Fatal(failed)
	}
}

func benchTheirs(b *testing.B, responder bool) {
	one, two := ourKey(b), ourKey(b)
	binds := bindtest.NewChannelBinds()
	open := func(i int, private key.Private, other key.Public) (*device.Device, *device.Peer) {
		d := device.NewDevice(tuntest.NewChannelTUN().TUN(), binds[i], device.NewLogger(device.LogLevelSilent, ""))
		b.Cleanup(d.Close)
		if err := d.IpcSet("private_key=" + private.Hex() + "\npublic_key=" + hex.EncodeToString(other[:]) + "\n"); err != nil {
			b.Fatal(err)
		}
		return d, d.LookupPeer(device.NoisePublicKey(other))
	}
	alice, toBob := open(0, one, two.Public())
	bob, toAlice := open(1, two, one.Public())
	for b.Loop() {
		b.StopTimer()
		time.Sleep(apart)
		var first *device.MessageInitiation
		var second *device.MessageResponse
		failed := false
		measured(b, !responder, func() {
			var err error
			first, err = alice.CreateMessageInitiation(toBob)
			failed = failed || err != nil
		})
		measured(b, responder, func() {
			failed = failed || bob.ConsumeMessageInitiation(first) == nil
			var err error
			second, err = bob.CreateMessageResponse(toAlice)
			failed = failed || err != nil || toAlice.BeginSymmetricSession() != nil
		})
		measured(b, !responder, func() {
			failed = failed || alice.ConsumeMessageResponse(second) == nil || toBob.BeginSymmetricSession() != nil
		})
		if failed {
			b.Fatal("the handshake failed")
		}
		b.StartTimer()
	}
}
