package x25519

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"math/big"
	"slices"
	"testing"
)

// These tests prove that a kernel computes what RFC 7748 defines and crypto/ecdh
// computes, for any scalars and points, in every lane.

var (
	exhaustive = flag.Bool("exhaustive", false, "prove kernels with as many cases on the simulated processor")
	million    = flag.Bool("million", false, "iterate X25519 a million times as RFC 7748 does, with each kernel of this processor")
)

// A subject is what computes products: a kernel, on this processor or on a
// simulated one, or crypto/ecdh.
type subject struct {
	kernel
	simulated bool
}

// eachSubject runs a proof for every subject.
func eachSubject(t *testing.T, proof func(*testing.T, subject)) {
	t.Run("each", func(t *testing.T) { proof(t, subject{kernel{name: "each", lanes: 4}, false}) })
	for _, k := range kernels {
		if !k.supported() {
			t.Logf("%s: not supported by this processor, proved only on the simulated one", k.name)
			continue
		}
		k.minMultiplications = 1
		t.Run(k.name, func(t *testing.T) { proof(t, subject{k, false}) })
	}
	if raceEnabled {
		t.Log("the simulated processor is skipped under the race detector; make kernels uses it")
		return
	}
	for _, k := range simulatedKernels(t) {
		t.Run("simulated "+k.name, func(t *testing.T) { proof(t, subject{k, true}) })
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomWord() uint64 { return binary.LittleEndian.Uint64(random(8)) }

func randomPairs(n int) (scalars, points [][Size]byte) {
	for range n {
		scalars = append(scalars, [Size]byte(random(Size)))
		points = append(points, [Size]byte(random(Size)))
	}
	return scalars, points
}

// productsOf computes the products of the pairs, and returns zeros for the error.
func productsOf(t testing.TB, k *kernel, scalars, points [][Size]byte) (products [][Size]byte) {
	t.Helper()
	products = make([][Size]byte, len(points))
	var list []*Product
	for i := range points {
		s := new(Scalar)
		s.Set(&scalars[i])
		list = append(list, &Product{Scalar: s, Point: &points[i], Product: &products[i]})
	}
	k.multiply(list)
	for i, p := range list {
		if (p.Err != nil) != (products[i] == [Size]byte{}) || p.Err != nil && p.Err != ErrLowOrder {
			t.Fatalf("%x times %x: error %v, product %x", scalars[i], points[i], p.Err, products[i])
		}
	}
	return products
}

// reference computes a product with crypto/ecdh. It returns zeros for an error.
func reference(scalar, point *[Size]byte) (product [Size]byte) {
	private, err := ecdh.X25519().NewPrivateKey(scalar[:])
	if err != nil {
		panic(err)
	}
	public, err := ecdh.X25519().NewPublicKey(point[:])
	if err != nil {
		panic(err)
	}
	if b, err := private.ECDH(public); err == nil {
		product = [Size]byte(b)
	}
	return product
}

func compare(t testing.TB, k *kernel, scalars, points [][Size]byte) {
	t.Helper()
	for i, got := range productsOf(t, k, scalars, points) {
		if want := reference(&scalars[i], &points[i]); got != want {
			t.Fatalf("number %d: %x times %x: got %x, want %x", i, scalars[i], points[i], got, want)
		}
	}
}

func fromHex(t testing.TB, text string) [Size]byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != Size {
		t.Fatalf("%q is not a coordinate", text)
	}
	return [Size]byte(b)
}

// The vectors of RFC 7748, sections 5.2 and 6.1: scalar, point, product.
var vectors = [][3]string{
	{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
	{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"0900000000000000000000000000000000000000000000000000000000000000",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
	{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"0900000000000000000000000000000000000000000000000000000000000000",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
	{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
		"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	{"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
		"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
}

// The vectors of RFC 7748, each in every lane.
func TestProofByRFC(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for first := range s.lanes {
			var scalars, points, wanted [][Size]byte
			for i := range s.lanes {
				v := vectors[(first+i)%len(vectors)]
				scalars, points = append(scalars, fromHex(t, v[0])), append(points, fromHex(t, v[1]))
				wanted = append(wanted, fromHex(t, v[2]))
			}
			if got := productsOf(t, &s.kernel, scalars, points); !slices.Equal(got, wanted) {
				t.Fatalf("vectors from number %d: got %x, want %x", first, got, wanted)
			}
		}
	})
}

// The products of RFC 7748, section 5.2, after that many iterations.
var iterated = map[int]string{
	1:         "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
	1000:      "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
	1_000_000: "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424",
}

// iterate returns the product of crypto/ecdh after that many iterations.
func iterate(count int) [Size]byte {
	scalar, point := basePoint, basePoint
	for range count {
		scalar, point = reference(&scalar, &point), scalar
	}
	return scalar
}

// Each product is the next scalar, and the scalar the next point. With -million,
// that is done a million times, which takes a minute and more. A simulated processor
// makes some iterations in a second, so it makes 100 at most. RFC 7748 has the products
// after 1, 1,000 and a million; crypto/ecdh gives the others.
func TestProofByIteration(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		count := 1000
		switch {
		case *million && !s.simulated && s.run != nil:
			count = 1_000_000
		case s.simulated && *exhaustive:
			count = 100
		case raceEnabled || s.simulated:
			count = 10
		}
		nine := basePoint
		scalars, points := slices.Repeat([][Size]byte{nine}, s.lanes), slices.Repeat([][Size]byte{nine}, s.lanes)
		for i := 1; i <= count; i++ {
			products := productsOf(t, &s.kernel, scalars, points)
			scalars, points = products, scalars
			if text := iterated[i]; text != "" {
				if want := slices.Repeat([][Size]byte{fromHex(t, text)}, s.lanes); !slices.Equal(products, want) {
					t.Fatalf("after %d iterations: got %x, want %s in all lanes", i, products, text)
				}
			}
		}
		if iterated[count] != "" {
			return
		}
		if want := iterate(count); !slices.Equal(scalars, slices.Repeat([][Size]byte{want}, s.lanes)) {
			t.Errorf("after %d iterations: got %x, want %x in all lanes", count, scalars, want)
		}
	})
}

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// encoded returns the little-endian encoding of a number below 2^256.
func encoded(x *big.Int) (b [Size]byte) {
	x.FillBytes(b[:])
	slices.Reverse(b[:])
	return b
}

// lowOrder returns every encoding of a point of low order: of those on the curve
// and on its twist, also not reduced, with and without bit 255.
func lowOrder(t testing.TB) (all [][Size]byte) {
	for _, x := range []int64{0, 1, -1} {
		for _, multiple := range []int64{0, 1} {
			n := new(big.Int).Mul(prime, big.NewInt(multiple))
			if n.Add(n, big.NewInt(x)); n.Sign() >= 0 {
				all = append(all, encoded(n))
			}
		}
	}
	all = append(all, fromHex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
		fromHex(t, "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"))
	return withBit255(all)
}

func withBit255(points [][Size]byte) [][Size]byte {
	for _, p := range points {
		p[Size-1] |= 0x80
		points = append(points, p)
	}
	return points
}

// notReduced returns every encoding of a number from p to 2^255-1, and the two
// numbers before p.
func notReduced() (all [][Size]byte) {
	for d := int64(-2); d < 19; d++ {
		all = append(all, encoded(new(big.Int).Add(prime, big.NewInt(d))))
	}
	return withBit255(all)
}

// edges returns numbers near the powers of two, where limbs and words end, their
// complements, and numbers with every second limb full.
func edges() (all [][Size]byte) {
	end := new(big.Int).Lsh(big.NewInt(1), 255)
	add := func(x *big.Int) {
		if x.Sign() >= 0 && x.Cmp(end) < 0 {
			all = append(all, encoded(x), encoded(new(big.Int).Sub(new(big.Int).Sub(end, big.NewInt(1)), x)))
		}
	}
	for _, bit := range []uint{0, 3, 25, 26, 51, 52, 64, 77, 102, 104, 128, 153, 192, 204, 230, 253, 254} {
		for _, d := range []int64{-19, -2, -1, 0, 1, 18} {
			x := new(big.Int).Lsh(big.NewInt(1), bit)
			add(x.Add(x, big.NewInt(d)))
		}
	}
	for _, limb := range []int{25, 26, 51, 52, 64} {
		full := new(big.Int)
		for i := range 255 {
			full.SetBit(full, i, uint(i/limb%2))
		}
		add(full)
	}
	return all
}

// Points of low order, in every lane among others, give the error, and only these
// do. Points that are not reduced count as what they are modulo p.
func TestProofOfLowOrder(t *testing.T) {
	low := lowOrder(t)
	eachSubject(t, func(t *testing.T, s subject) {
		for i, point := range low {
			scalars, points := randomPairs(s.lanes)
			points[i%s.lanes] = point
			if got := productsOf(t, &s.kernel, scalars, points); got[i%s.lanes] != [Size]byte{} {
				t.Fatalf("%x times the point %x of low order: got %x, want the error", scalars[i%s.lanes], point, got[i%s.lanes])
			}
			compare(t, &s.kernel, scalars, points)
		}
		all := notReduced()
		scalars, _ := randomPairs(len(all))
		compare(t, &s.kernel, scalars, all)
	})
}

// Points and scalars at the edges of limbs and words, with each other in some
// order. About half of the points are on the twist of the curve.
func TestProofOfEdges(t *testing.T) {
	all := edges()
	eachSubject(t, func(t *testing.T, s subject) {
		rounds := 8
		if raceEnabled || s.simulated && !*exhaustive {
			rounds = 1
		}
		for round := range rounds {
			scalars := slices.Concat(all[7*round:], all[:7*round])
			compare(t, &s.kernel, scalars, all)
		}
	})
}

// Random scalars and points, in lists of every length from 0 to two groups and
// one more; and a list in which scalars are used for several products.
func TestProofOfLists(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for n := range 2*s.lanes + 2 {
			compare(t, &s.kernel, first(randomPairs(n)), second(randomPairs(n)))
		}
		var scalars, points, products [3][Size]byte
		for i := range scalars {
			scalars[i], points[i] = [Size]byte(random(Size)), [Size]byte(random(Size))
		}
		var kept, other Scalar
		kept.Set(&scalars[0])
		other.Set(&scalars[1])
		if err := kept.Keep(); err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]*Product{
			{{&kept, nil, &products[0], nil}, {&kept, &points[0], &products[1], nil}, {&other, &points[1], &products[2], nil}},
			{{&other, nil, &products[0], nil}, {&other, &points[0], &products[1], nil}, {&kept, nil, &products[2], nil}},
			{{&other, &points[2], &products[0], nil}},
		} {
			s.multiply(list)
			for i, p := range list {
				if want := reference(&p.Scalar.bytes, p.point()); p.Err != nil || *p.Product != want {
					t.Errorf("number %d: got %x, %v; want %x", i, *p.Product, p.Err, want)
				}
			}
		}
	})
}

func first(a, _ [][Size]byte) [][Size]byte  { return a }
func second(_, b [][Size]byte) [][Size]byte { return b }

// FuzzMultiply compares all kernels of this processor with crypto/ecdh.
func FuzzMultiply(f *testing.F) {
	f.Add([]byte{}, []byte{}, uint8(0))
	f.Add(bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0xff}, 32), uint8(7))
	for _, v := range vectors {
		scalar, point := fromHex(f, v[0]), fromHex(f, v[1])
		f.Add(scalar[:], point[:], uint8(3))
	}
	for i, point := range lowOrder(f) {
		f.Add([]byte{byte(i)}, point[:], uint8(i))
	}
	f.Fuzz(func(t *testing.T, scalar, point []byte, rotate uint8) {
		for _, k := range kernels {
			if !k.supported() {
				continue
			}
			k.minMultiplications = 1
			scalars, points := make([][Size]byte, k.lanes), make([][Size]byte, k.lanes)
			for lane := range k.lanes {
				for i := range Size {
					if len(scalar) > 0 {
						scalars[lane][i] = scalar[(i+lane*int(rotate))%len(scalar)]
					}
					if len(point) > 0 {
						points[lane][i] = point[(i+lane*int(rotate>>4))%len(point)]
					}
				}
			}
			compare(t, &k, scalars, points)
		}
	})
}
