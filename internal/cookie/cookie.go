// Package cookie decides which handshake messages are worth the work (§5.3).
package cookie

import (
	"io"
	"net/netip"

	"wgd/internal/clock"
	"wgd/key"
)

// Verdict of a Gate.
type Verdict uint8

const (
	Admit         Verdict = iota + 1 // to the handshake queue
	Reply                            // send the cookie reply, to where the message came from
	DropMalformed                    // neither an initiation nor a response
	DropNoKey                        // we have no private key
	DropMAC1
	DropRate
	DropFull   // the handshake queue is full
	DropRandom // no random bytes for a cookie reply
)

func (v Verdict) String() string { panic("contract") }

// Gate joins what is decided before the handshake queue.
type Gate struct{}

func NewGate(public key.Public, random io.Reader) *Gate { panic("contract") }
func (g *Gate) SetKey(public key.Public)                { panic("contract") }
func (g *Gate) SetForce(force bool)                     { panic("contract") }
func (g *Gate) UnderLoad(now clock.Time) bool           { panic("contract") }
func (g *Gate) Erase()                                  { panic("contract") }
func (g *Gate) Admit(now clock.Time, from netip.AddrPort, msg []byte, queued, capacity int) (Verdict, []byte) {
	panic("contract")
}

// Maker is what a sender keeps for one peer.
type Maker struct{}

func NewMaker(peer key.Public) Maker { panic("contract") }

// AddMACs fills mac1 and mac2 of an encoded initiation or response, in place.
func (m *Maker) AddMACs(now clock.Time, msg []byte) { panic("contract") }

// Consume takes an encoded cookie reply; false when it is none for the last mac1 (A26).
func (m *Maker) Consume(now clock.Time, msg []byte) bool { panic("contract") }
func (m *Maker) Erase()                                  { panic("contract") }
