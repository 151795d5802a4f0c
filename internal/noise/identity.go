package noise

import (
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"wgd/internal/erase"
	"wgd/internal/wire"
	"wgd/key"
)

// Why a step fails. None of them is told to the other end (A5).
var (
	ErrLowOrder  = errors.New("handshake: a public key of low order: its owner must make another")
	ErrDecrypt   = errors.New("handshake: does not decrypt: forged, or made for other keys")
	ErrWrongPeer = errors.New("handshake: not by this peer")
	ErrWrongStep = errors.New("handshake: not at this step, or erased")
)

// Static is our own identity. It is only read by the steps; Erase it when none
// is under way.
//
// The library's key of it is made once, not for each operation: to make it
// costs as much as the operation itself, and leaves another copy of the scalar
// in the heap, which cannot be zeroed. (It is the secret ones of handshakes
// that live for one operation only, see newScalar.)
type Static struct {
	key.Hidden
	scalar *ecdh.PrivateKey // nil: no private key, or erased
	public key.Public
	hash   [32]byte // of a handshake that is addressed to us
}

// NewStatic is the identity that private proves; with the zero key, one that
// proves nothing and whose steps all fail.
func NewStatic(private key.Private) *Static {
	defer erase.Stack()
	s := &Static{public: private.Public()}
	mix(&s.hash, &initialHash, s.public[:])
	if private.IsZero() {
		return s // clamping would make a scalar of it that everybody knows
	}
	b := private.Bytes()
	defer clear(b)
	scalar, err := newScalar(b)
	if err != nil {
		panic("noise: 32 bytes refused as a scalar: " + err.Error())
	}
	s.scalar = scalar
	return s
}

// Public is our public key.
func (s *Static) Public() key.Public { return s.public }

// Erase drops the private key; steps with s fail from here on.
func (s *Static) Erase() { s.scalar = nil }

// agree is the Diffie-Hellman of our static key with a public key.
func (s *Static) agree(shared *[32]byte, public *[32]byte) error {
	if s.scalar == nil {
		return ErrWrongStep
	}
	return agree(shared, s.scalar, public)
}

// Remote is a peer's identity, seen from one Static: another private key needs
// new Remotes. Many steps may use one at once, and Erase may come in between.
//
// It keeps the Diffie-Hellman of both static keys, which is the same for all
// handshakes of the two, from the first time on.
type Remote struct {
	key.Hidden
	public key.Public
	hash   [32]byte // of a handshake that is addressed to this peer

	// All who write shared write the same words, so that only the order to
	// state matters: words before stateKnown, stateErased before zeroes.
	state  atomic.Uint32
	shared [4]atomic.Uint64
}

const (
	stateUnknown = iota
	stateKnown
	stateErased
)

// NewRemote is the identity of the peer with this public key, of any value: of
// low order, too, may be configured, and nothing is ever sent to it (A11).
func NewRemote(public key.Public) *Remote {
	r := &Remote{public: public}
	mix(&r.hash, &initialHash, public[:])
	return r
}

// Public is the peer's public key.
func (r *Remote) Public() key.Public { return r.public }

// Erase zeroes what both static keys share; steps with r fail from here on.
func (r *Remote) Erase() {
	r.state.Store(stateErased)
	for i := range r.shared {
		r.shared[i].Store(0)
	}
}

// agreeStatic is the Diffie-Hellman of both static keys.
func (r *Remote) agreeStatic(shared *[32]byte, s *Static) error {
	switch r.state.Load() {
	case stateUnknown:
		if err := s.agree(shared, (*[32]byte)(&r.public)); err != nil {
			return err
		}
		r.store(shared)
	case stateKnown:
		for i := range r.shared {
			binary.LittleEndian.PutUint64(shared[8*i:], r.shared[i].Load())
		}
	}
	// Asked again: an Erase meanwhile may have given us zeroes for a secret.
	if r.state.Load() != stateErased {
		return nil
	}
	clear(shared[:])
	return ErrWrongStep
}

func (r *Remote) store(shared *[32]byte) {
	for i := range r.shared {
		r.shared[i].Store(binary.LittleEndian.Uint64(shared[8*i:]))
	}
	if r.state.CompareAndSwap(stateUnknown, stateKnown) || r.state.Load() == stateKnown {
		return
	}
	r.Erase() // came first, and our words after it
}

// newScalar makes the key of the standard library out of one of our scalars. An
// ephemeral one is made for one step only: the library's cannot be zeroed (A35).
func newScalar(b []byte) (*ecdh.PrivateKey, error) { return ecdh.X25519().NewPrivateKey(b) }

// agree is X25519. An all-zero result, which every point of low order gives,
// is an error (A10).
func agree(shared *[32]byte, e *ecdh.PrivateKey, public *[32]byte) error {
	p, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return err
	}
	b, err := e.ECDH(p)
	if err != nil {
		return ErrLowOrder // the only way it fails with keys of this curve
	}
	copy(shared[:], b)
	clear(b)
	return nil
}

// putPublic writes the public key of e.
func putPublic(public *[32]byte, e *ecdh.PrivateKey) { copy(public[:], e.PublicKey().Bytes()) }

// sealedStamp is the length of a stamp as it is on the wire.
const sealedStamp = wire.TAI64NSize + wire.TagSize
