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

// The errors of steps. We never report them to the other end (A5).
var (
	ErrLowOrder  = errors.New("handshake: the public key is of low order: its owner must generate another")
	ErrDecrypt   = errors.New("handshake: the message does not decrypt: it is forged, or made for other keys")
	ErrWrongPeer = errors.New("handshake: the message belongs to another handshake or peer")
	ErrWrongStep = errors.New("handshake: the step is out of order, or its state is erased")
)

// A Static is our own identity. The steps only read it; erase it when no step is
// in progress.
//
// It holds one *ecdh.PrivateKey for all operations: making one costs as much as
// an operation, and leaves another copy of the scalar in the heap, which cannot
// be zeroed. (Those of ephemeral keys exist for one step only, see newScalar.)
type Static struct {
	key.Hidden
	scalar *ecdh.PrivateKey // nil: no private key, or erased
	public key.Public
	hash   [32]byte // initial hash of a handshake with us as responder
}

// NewStatic returns the identity with this private key. With the zero key, all
// steps of the identity fail.
func NewStatic(private key.Private) *Static {
	defer erase.Stack()
	s := &Static{public: private.Public()}
	mix(&s.hash, &initialHash, s.public[:])
	if private.IsZero() {
		return s // clamping would turn it into a scalar that is publicly known
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

// Public returns our public key.
func (s *Static) Public() key.Public { return s.public }

// Erase drops the private key; later steps with s fail.
func (s *Static) Erase() { s.scalar = nil }

// agree computes the Diffie-Hellman of our static key and a public key.
func (s *Static) agree(shared *[32]byte, public *[32]byte) error {
	if s.scalar == nil {
		return ErrWrongStep
	}
	return agree(shared, s.scalar, public)
}

// A Remote is the identity of a peer, for one Static: another private key needs
// new Remotes. It is safe for concurrent use, including Erase.
//
// It caches the Diffie-Hellman of the two static keys, which is the same for all
// handshakes of the two.
type Remote struct {
	key.Hidden
	public key.Public
	hash   [32]byte // initial hash of a handshake with this peer as responder

	// All writers of shared write the same words, so only the order relative
	// to state matters: words before stateKnown, stateErased before zeroes.
	state  atomic.Uint32
	shared [4]atomic.Uint64
}

const (
	stateUnknown = iota
	stateKnown
	stateErased
)

// NewRemote returns the identity of the peer with this public key. Any value is
// allowed: a peer with a key of low order may be configured, but nothing is ever
// sent to it (A11).
func NewRemote(public key.Public) *Remote {
	r := &Remote{public: public}
	mix(&r.hash, &initialHash, public[:])
	return r
}

// Public returns the public key of the peer.
func (r *Remote) Public() key.Public { return r.public }

// Erase zeroes the cached Diffie-Hellman; later steps with r fail.
func (r *Remote) Erase() {
	r.state.Store(stateErased)
	for i := range r.shared {
		r.shared[i].Store(0)
	}
}

// agreeStatic returns the Diffie-Hellman of the two static keys in shared.
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
	// Check again, because a concurrent Erase may have made us read zeroes.
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
	r.Erase() // again: the first Erase came before our words
}

// newScalar converts a scalar to a key of the standard library. For an ephemeral
// scalar, each step makes its own, because such a key cannot be zeroed (A35).
func newScalar(b []byte) (*ecdh.PrivateKey, error) { return ecdh.X25519().NewPrivateKey(b) }

// agree computes X25519. An all-zero result, which every point of low order
// yields, is an error (A10).
func agree(shared *[32]byte, e *ecdh.PrivateKey, public *[32]byte) error {
	p, err := ecdh.X25519().NewPublicKey(public[:])
	if err != nil {
		return err
	}
	b, err := e.ECDH(p)
	if err != nil {
		return ErrLowOrder // ECDH returns no other error for keys of this curve
	}
	copy(shared[:], b)
	clear(b)
	return nil
}

// putPublic writes the public key of e.
func putPublic(public *[32]byte, e *ecdh.PrivateKey) { copy(public[:], e.PublicKey().Bytes()) }

// sealedStamp is the length of an encrypted stamp.
const sealedStamp = wire.TAI64NSize + wire.TagSize
