package noise

import (
	"wgd/internal/erase"
	"wgd/internal/wire"
	"wgd/key"
)

// A Handshake is in progress: either our initiation waits for the response, or a
// peer's initiation, which has passed all checks, waits for ours. The steps only
// read it; the caller erases it in the end.
type Handshake struct {
	key.Hidden
	role       role
	local      uint32 // index that we chose; 0 at a responder
	remote     uint32 // index that the peer chose; 0 at an initiator
	transcript transcript
	ephemeral  [32]byte   // initiator: our private one; responder: the peer's public one
	peer       key.Public // static key of the peer
}

type role uint8

const (
	erased role = iota
	initiator
	responder
)

// CreateInitiation returns the first message to r, and the handshake that the
// response will complete. ephemeral is 32 random bytes that are used for nothing
// else; the handshake keeps a copy.
func CreateInitiation(x *Exchange, s *Static, r *Remote, ephemeral *[32]byte, index uint32, stamp wire.TAI64N) (*wire.Initiation, *Handshake, error) {
	defer erase.Stack()
	var own Exchange
	x, err := begin(x, &own, creatingInitiation, func(x *Exchange) {
		x.ephemeral.Set(ephemeral)
		x.ask(&x.ephemeral, nil)
		x.ask(&x.ephemeral, (*[32]byte)(&r.public)) // es
		r.ask(x, s)                                 // ss
	})
	if err != nil {
		return nil, nil, err
	}
	defer x.Erase()
	public, err := x.result(0)
	if err != nil {
		return nil, nil, err
	}
	es, err := x.result(1)
	if err != nil {
		return nil, nil, err
	}
	msg := &wire.Initiation{Sender: index, Ephemeral: *public}
	hs := &Handshake{role: initiator, local: index, ephemeral: *ephemeral, peer: r.public}
	t := &hs.transcript
	*t = transcript{chain: initialChain, hash: r.hash}
	t.mixKey(&msg.Ephemeral)
	t.mixHash(msg.Ephemeral[:])

	var shared, k [32]byte
	defer clear(shared[:])
	defer clear(k[:])
	t.mixKeyTo(&k, es)
	t.seal(&k, msg.Static[:], s.public[:])
	if err := r.agreeStatic(&shared, x, 2); err != nil {
		hs.Erase()
		return nil, nil, err
	}
	t.mixKeyTo(&k, &shared)
	t.seal(&k, msg.Timestamp[:], stamp[:])
	return msg, hs, nil
}

// An InitiationState is an initiation of which only the claimed static key of
// the sender has been decrypted. It is not authenticated and may be a replay.
type InitiationState struct {
	key.Hidden
	live       bool
	sender     uint32
	transcript transcript
	ephemeral  [32]byte
	stamp      [sealedStamp]byte
	peer       key.Public
}

// ConsumeInitiationStatic decrypts the static key of the sender of msg. The
// caller must have checked its mac1 (A22).
func ConsumeInitiationStatic(x *Exchange, s *Static, msg *wire.Initiation) (key.Public, *InitiationState, error) {
	defer erase.Stack()
	if !s.live {
		return key.Public{}, nil, ErrWrongStep
	}
	var own Exchange
	x, err := begin(x, &own, consumingInitiation, func(x *Exchange) { x.ask(&s.scalar, &msg.Ephemeral) }) // es
	if err != nil {
		return key.Public{}, nil, err
	}
	defer x.Erase()
	es, err := x.result(0)
	if err != nil {
		return key.Public{}, nil, err
	}
	st := &InitiationState{live: true, sender: msg.Sender, ephemeral: msg.Ephemeral, stamp: msg.Timestamp}
	t := &st.transcript
	*t = transcript{chain: initialChain, hash: s.hash}
	t.mixKey(&msg.Ephemeral)
	t.mixHash(msg.Ephemeral[:])

	var k [32]byte
	defer clear(k[:])
	t.mixKeyTo(&k, es)
	if !t.open(&k, st.peer[:], msg.Static[:]) {
		st.Erase()
		return key.Public{}, nil, ErrDecrypt
	}
	return st.peer, st, nil
}

// Finish authenticates the initiation as one of r, whose key it contained, and
// returns its stamp. The caller must check that the stamp is new when it records
// the stamp (A12, A18).
func (st *InitiationState) Finish(x *Exchange, s *Static, r *Remote) (wire.TAI64N, *Handshake, error) {
	defer erase.Stack()
	if !st.live {
		return wire.TAI64N{}, nil, ErrWrongStep
	}
	if st.peer != r.public {
		return wire.TAI64N{}, nil, ErrWrongPeer
	}
	var own Exchange
	x, err := begin(x, &own, finishing, func(x *Exchange) { r.ask(x, s) }) // ss
	if err != nil {
		return wire.TAI64N{}, nil, err
	}
	defer x.Erase()
	hs := &Handshake{role: responder, remote: st.sender, transcript: st.transcript, ephemeral: st.ephemeral, peer: st.peer}
	var shared, k [32]byte
	defer clear(shared[:])
	defer clear(k[:])
	if err := r.agreeStatic(&shared, x, 0); err != nil {
		hs.Erase()
		return wire.TAI64N{}, nil, err
	}
	var stamp wire.TAI64N
	hs.transcript.mixKeyTo(&k, &shared)
	if !hs.transcript.open(&k, stamp[:], st.stamp[:]) {
		hs.Erase()
		return wire.TAI64N{}, nil, ErrDecrypt
	}
	return stamp, hs, nil
}

// AskForResponse makes x ask for the products of the CreateResponse that follows if
// the initiation is authentic, so that they can be computed together with those of
// Finish. CreateResponse must get x and the same ephemeral.
func (st *InitiationState) AskForResponse(x *Exchange, ephemeral *[32]byte) {
	x.asked = creatingResponse
	x.askForResponse(ephemeral, &st.ephemeral, (*[32]byte)(&st.peer))
}

// Erase zeroes st.
func (st *InitiationState) Erase() { *st = InitiationState{} }

// Keys are the keys of a session. The caller erases them.
type Keys struct {
	key.Hidden
	Send, Recv [32]byte // the keys with which we send, and with which the peer sends
}

// Erase zeroes the keys.
func (k *Keys) Erase() { *k = Keys{} }

// CreateResponse returns the second message and writes the keys of the session
// to keys. ephemeral is 32 random bytes that are used for nothing else.
func (hs *Handshake) CreateResponse(x *Exchange, keys *Keys, ephemeral *[32]byte, psk key.Preshared, index uint32) (*wire.Response, error) {
	defer erase.Stack()
	if hs.role != responder {
		return nil, ErrWrongStep
	}
	var own Exchange
	x, err := begin(x, &own, creatingResponse, func(x *Exchange) {
		x.askForResponse(ephemeral, &hs.ephemeral, (*[32]byte)(&hs.peer))
	})
	if err != nil {
		return nil, err
	}
	defer x.Erase()
	public, err := x.result(0)
	if err != nil {
		return nil, err
	}
	msg := &wire.Response{Sender: index, Receiver: hs.remote, Ephemeral: *public}
	t := hs.transcript
	defer t.erase()
	t.mixHash(msg.Ephemeral[:])
	t.mixKey(&msg.Ephemeral)
	var k [32]byte
	defer clear(k[:])
	if err := t.mixResults(x, 1, 2); err != nil {
		return nil, err
	}
	t.mixPreshared(&k, psk)
	t.seal(&k, msg.Empty[:], nil)
	t.split(&keys.Recv, &keys.Send)
	return msg, nil
}

// mixResults mixes two products into the chaining key.
func (t *transcript) mixResults(x *Exchange, first, second int) error {
	for _, i := range [2]int{first, second} {
		shared, err := x.result(i)
		if err != nil {
			return err
		}
		t.mixKey(shared)
	}
	return nil
}

// ConsumeResponse completes our initiation and writes the keys of the session to
// keys. It never changes hs, so the genuine response can still complete the
// handshake after a forged one (A13, B28).
func (hs *Handshake) ConsumeResponse(x *Exchange, keys *Keys, s *Static, psk key.Preshared, msg *wire.Response) error {
	defer erase.Stack()
	if hs.role != initiator || !s.live {
		return ErrWrongStep
	}
	if msg.Receiver != hs.local {
		return ErrWrongPeer
	}
	var own Exchange
	x, err := begin(x, &own, consumingResponse, func(x *Exchange) {
		x.ephemeral.Set(&hs.ephemeral)
		x.ask(&x.ephemeral, &msg.Ephemeral) // ee
		x.ask(&s.scalar, &msg.Ephemeral)    // se
	})
	if err != nil {
		return err
	}
	defer x.Erase()
	t := hs.transcript
	defer t.erase()
	t.mixHash(msg.Ephemeral[:])
	t.mixKey(&msg.Ephemeral)
	var k [32]byte
	defer clear(k[:])
	if err := t.mixResults(x, 0, 1); err != nil {
		return err
	}
	t.mixPreshared(&k, psk)
	if !t.open(&k, nil, msg.Empty[:]) {
		return ErrDecrypt
	}
	t.split(&keys.Send, &keys.Recv)
	return nil
}

// Erase zeroes hs; every later step with it fails (A35).
func (hs *Handshake) Erase() { *hs = Handshake{} }
