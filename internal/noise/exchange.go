package noise

import (
	"errors"

	"wgd/internal/x25519"
	"wgd/key"
)

// ErrUnfinished is returned by a step that needs the products of its Exchange. It
// has changed nothing else.
var ErrUnfinished = errors.New("handshake: the Diffie-Hellman products of the step are not computed yet")

// An Exchange holds the Diffie-Hellman products of one step, which do not wait for
// each other, so that the caller can compute them together with those of other
// handshakes. A step that gets a new Exchange asks for its products and returns
// ErrUnfinished. The caller computes Products and calls the step again, with the
// same arguments; then the step completes and the Exchange is as new. A step that
// gets nil instead computes its products itself.
type Exchange struct {
	key.Hidden
	asked     step // the one that has asked for the products
	ephemeral x25519.Scalar
	count     int
	products  [3]x25519.Product
	list      [3]*x25519.Product
	results   [3][32]byte
}

// A step is one of the functions that ask for products.
type step uint8

const (
	noStep step = iota
	creatingInitiation
	consumingInitiation
	finishing
	creatingResponse
	consumingResponse
)

// Products returns what the step has asked for. x must stay where it is until they
// are computed.
func (x *Exchange) Products() []*x25519.Product { return x.list[:x.count:x.count] }

// Erase zeroes x.
func (x *Exchange) Erase() { *x = Exchange{} }

// begin calls ask if x has no products yet, and then returns ErrUnfinished if the
// caller computes them. own is used if x is nil. If x has products that another step
// has asked for, begin leaves them for it and returns ErrWrongStep.
func begin(x, own *Exchange, by step, ask func(x *Exchange)) (*Exchange, error) {
	if x != nil && x.asked != noStep {
		if x.asked != by {
			return nil, ErrWrongStep
		}
		for _, p := range x.Products() {
			if p.Err == ErrUnfinished {
				return nil, ErrUnfinished // its result is not a product yet
			}
		}
		return x, nil
	}
	computes := x == nil
	if computes {
		x = own
	}
	x.asked = by
	ask(x)
	if !computes && x.count > 0 {
		return nil, ErrUnfinished
	}
	x25519.Multiply(x.Products())
	return x, nil
}

// ask adds a product. point is nil for the base point.
func (x *Exchange) ask(scalar *x25519.Scalar, point *[32]byte) {
	p := &x.products[x.count]
	*p = x25519.Product{Scalar: scalar, Point: point, Product: &x.results[x.count], Err: ErrUnfinished}
	x.list[x.count] = p
	x.count++
}

// askForResponse asks for the products of a response to an initiation with that
// ephemeral key, by the peer with that static key.
func (x *Exchange) askForResponse(ephemeral, peerEphemeral, peer *[32]byte) {
	x.ephemeral.Set(ephemeral)
	x.ask(&x.ephemeral, nil)
	x.ask(&x.ephemeral, peerEphemeral) // ee
	x.ask(&x.ephemeral, peer)          // se
}

// result returns the product with that number. An all-zero one, which every point
// of low order yields, is an error (A10).
func (x *Exchange) result(i int) (*[32]byte, error) {
	if i >= x.count {
		return nil, ErrWrongStep // nobody has asked for it: our identity is erased
	}
	switch err := x.products[i].Err; err {
	case nil:
		return &x.results[i], nil
	case x25519.ErrLowOrder:
		return nil, ErrLowOrder
	default:
		return nil, err
	}
}
