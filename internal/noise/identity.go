package noise

import (
	"encoding/binary"
	"errors"
	"sync/atomic"

	"wgd/internal/erase"
	"wgd/internal/wire"
	"wgd/internal/x25519"
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
// Its scalar is kept (x25519.Scalar.Keep), because it is used in every handshake.
// That leaves one copy in the heap, which cannot be zeroed. (For an ephemeral
// scalar, such copies exist for one step only, if at all.)
type Static struct {
	key.Hidden
	live   bool // false: no private key, or erased
	scalar x25519.Scalar
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
	s.scalar.Set((*[32]byte)(b))
	if err := s.scalar.Keep(); err != nil {
		panic("noise: 32 bytes refused as a scalar: " + err.Error())
	}
	s.live = true
	return s
}

// Public returns our public key.
func (s *Static) Public() key.Public { return s.public }

// Erase zeroes the private key; later steps with s fail.
func (s *Static) Erase() {
	s.live = false
	s.scalar.Erase()
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

// Known reports whether the Diffie-Hellman of the two static keys need not be computed
// any more.
func (r *Remote) Known() bool { return r.state.Load() != stateUnknown }

// ask adds the Diffie-Hellman of the two static keys to x, if it is not known.
func (r *Remote) ask(x *Exchange, s *Static) {
	if s.live && r.state.Load() == stateUnknown {
		x.ask(&s.scalar, (*[32]byte)(&r.public))
	}
}

// agreeStatic returns the Diffie-Hellman of the two static keys in shared: product
// i of x, if ask has added it.
func (r *Remote) agreeStatic(shared *[32]byte, x *Exchange, i int) error {
	switch r.state.Load() {
	case stateUnknown:
		product, err := x.result(i)
		if err != nil {
			return err
		}
		*shared = *product
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

// sealedStamp is the length of an encrypted stamp.
const sealedStamp = wire.TAI64NSize + wire.TagSize
