// Package x25519 computes X25519 (RFC 7748) for several independent pairs of a
// scalar and a point at once.
//
// On processors with the instructions for it, a kernel computes one product in
// each lane of a vector, in little more time than crypto/ecdh takes for one or
// two. On other processors, and for single products, crypto/ecdh computes them.
package x25519

import (
	"crypto/ecdh"
	"errors"

	"wgd/internal/erase"
	"wgd/key"
)

// Size is the length of a scalar, a point and a product in bytes.
const Size = 32

// ErrLowOrder is the error of a product that is zero, which it is for every
// scalar if the point is of low order.
var ErrLowOrder = errors.New("x25519: the point is of low order: its owner must generate another key")

// basePoint is the coordinate of the base point.
var basePoint = [Size]byte{9}

// A Scalar is a private key: it multiplies points. Call Set before the first use
// and Erase after the last. Products may use it concurrently.
type Scalar struct {
	key.Hidden
	bytes [Size]byte
	kept  *ecdh.PrivateKey // nil: one is made for each use
}

// Set copies the scalar. The caller zeroes its own copy.
func (s *Scalar) Set(b *[Size]byte) { s.bytes, s.kept = *b, nil }

// Keep makes single products faster, for a scalar that is used often. It makes a
// copy of the scalar that cannot be zeroed: it stays in the heap until its memory
// is reused.
func (s *Scalar) Keep() error {
	kept, err := ecdh.X25519().NewPrivateKey(s.bytes[:])
	s.kept = kept
	return err
}

// Erase zeroes the scalar (A35).
func (s *Scalar) Erase() { *s = Scalar{} }

// A Product is a scalar multiplication. Multiply writes the coordinate of the
// multiple of the point to Product. If it is zero, it sets Err to ErrLowOrder
// and Product stays as it is.
type Product struct {
	Scalar  *Scalar
	Point   *[Size]byte // nil: the base point, so that the product is the public key
	Product *[Size]byte
	Err     error
}

// Lanes returns how many products are computed in the time of one, about: 1 if there
// is no kernel.
func Lanes() int {
	kern, _ := chosen()
	return max(1, kern.lanes)
}

// point returns the address of the coordinate of the point.
func (p *Product) point() *[Size]byte {
	if p.Point == nil {
		return &basePoint
	}
	return p.Point
}

// Multiply computes all products, which do not depend on each other: no product
// of the list is the point of another.
func Multiply(list []*Product) {
	defer erase.Stack()
	kern, _ := chosen()
	kern.multiply(list)
}

// multiply computes products in groups, as long as crypto/ecdh would take longer.
func (kern *kernel) multiply(list []*Product) {
	for kern.run != nil && len(list) > 0 {
		n := min(kern.lanes, len(list))
		if multiplications(list[:n]) < kern.minMultiplications {
			break
		}
		kern.multiplyGroup(list[:n])
		list = list[n:]
	}
	multiplyEach(list)
}

// multiplications returns how many multiplications multiplyEach does. To use a
// scalar that is not kept, it multiplies the base point, needed or not.
func multiplications(list []*Product) (count int) {
	for i, p := range list {
		if p.Scalar.kept == nil && (i == 0 || p.Scalar != list[i-1].Scalar) {
			count++
		}
		if p.Point != nil {
			count++
		}
	}
	return count
}

// multiplyEach computes the products one by one with crypto/ecdh.
func multiplyEach(list []*Product) {
	var private *ecdh.PrivateKey
	for i, p := range list {
		if i == 0 || p.Scalar != list[i-1].Scalar {
			if private = p.Scalar.kept; private == nil {
				private, p.Err = ecdh.X25519().NewPrivateKey(p.Scalar.bytes[:])
			}
		}
		p.multiply(private)
	}
}

// multiply computes one product. Making private has already multiplied the base
// point.
func (p *Product) multiply(private *ecdh.PrivateKey) {
	if private == nil {
		p.Err = errForbidden
		return
	}
	if p.Err = nil; p.Point == nil {
		*p.Product = [Size]byte(private.PublicKey().Bytes())
		return
	}
	public, err := ecdh.X25519().NewPublicKey(p.Point[:])
	if err != nil {
		p.Err = errForbidden
		return
	}
	product, err := private.ECDH(public)
	if err != nil {
		p.Err = ErrLowOrder // ECDH returns no other error for keys of this curve
		return
	}
	copy(p.Product[:], product)
	clear(product)
}

// errForbidden is the error of all products where Go forbids X25519.
var errForbidden = errors.New("x25519: Go forbids X25519 in the mode fips140=only: remove it from GODEBUG")
