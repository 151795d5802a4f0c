// Package noise is the handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (§5.4,
// A9) as pure steps.
package noise

import (
	"wgd/internal/wire"
	"wgd/key"
)

// Static is our own identity.
type Static struct{}

func NewStatic(private key.Private) *Static { panic("contract") }
func (s *Static) Public() key.Public        { panic("contract") }
func (s *Static) Erase()                    { panic("contract") }

// Remote is a peer's identity towards one Static (a new private key needs new
// Remotes). Safe for concurrent use by jobs, Erase too.
type Remote struct{}

func NewRemote(public key.Public) *Remote { panic("contract") }
func (r *Remote) Public() key.Public      { panic("contract") }
func (r *Remote) Erase()                  { panic("contract") }

// Handshake is one under way. CreateResponse and ConsumeResponse only read it.
type Handshake struct{}

func CreateInitiation(s *Static, r *Remote, ephemeral *[32]byte, index uint32, stamp wire.TAI64N) (*wire.Initiation, *Handshake, error) {
	panic("contract")
}

// InitiationState is an initiation of which only the sender's key is known.
type InitiationState struct{}

func ConsumeInitiationStatic(s *Static, msg *wire.Initiation) (key.Public, *InitiationState, error) {
	panic("contract")
}

func (st *InitiationState) Finish(s *Static, r *Remote) (wire.TAI64N, *Handshake, error) {
	panic("contract")
}
func (st *InitiationState) Erase() { panic("contract") }

func (hs *Handshake) CreateResponse(ephemeral *[32]byte, psk *key.Preshared, index uint32) (msg *wire.Response, send, recv [32]byte, err error) {
	panic("contract")
}
func (hs *Handshake) ConsumeResponse(s *Static, psk *key.Preshared, msg *wire.Response) (send, recv [32]byte, err error) {
	panic("contract")
}
func (hs *Handshake) LocalIndex() uint32  { panic("contract") }
func (hs *Handshake) RemoteIndex() uint32 { panic("contract") }
func (hs *Handshake) Erase()              { panic("contract") }
