package x25519

import (
	"crypto/fips140"
	"sync"
)

// A kernel computes a group of products at once. It reads and writes only the
// group.
type kernel struct {
	name string // for users
	// supported reports whether the processor and the operating system support
	// the instructions of the kernel.
	supported func() bool
	lanes     int // products in a group
	// minMultiplications is how many multiplications by crypto/ecdh take longer
	// than a group.
	minMultiplications int
	widths             []uint // of the limbs, in bits
	run                func(work *group)
}

// chosen returns the best kernel for this processor, and its name. If its run is
// nil, there is none, and crypto/ecdh computes every product. The kernel is chosen
// when it is needed, because the self-test takes milliseconds.
var chosen = sync.OnceValues(func() (*kernel, string) {
	best, name := choose(kernels)
	return &best, name
})

// Kernel returns the name of the kernel in use, or "crypto/ecdh" if there is
// none. The name also lists kernels that failed their self-test.
func Kernel() string {
	_, name := chosen()
	return name
}

// choose returns the first kernel that is supported and passes its self-test.
// The name includes those that failed, because they explain low speed.
func choose(kernels []kernel) (best kernel, name string) {
	wrong := ""
	for _, k := range kernels {
		if !k.supported() {
			continue
		}
		// The self-test uses public scalars. Where Go forbids X25519, nothing
		// else uses it.
		passed := false
		fips140.WithoutEnforcement(func() { passed = k.selfTest() })
		if passed {
			return k, k.name + wrong
		}
		wrong += "; " + k.name + " failed its self-test"
	}
	return kernel{}, "crypto/ecdh" + wrong
}

// groups is a pool because a group is too large for the stack. What is secret in
// a group is erased before it is put back.
var groups = sync.Pool{New: func() any { return new(group) }}

// multiplyGroup computes up to as many products as the kernel has lanes. The
// others multiply something else.
func (kern *kernel) multiplyGroup(list []*Product) {
	work := groups.Get().(*group)
	for lane, p := range list {
		work.setScalar(lane, &p.Scalar.bytes)
		work.setPoint(lane, kern.widths, p.point())
	}
	kern.run(work)
	for lane, p := range list {
		p.Err = work.takeProduct(lane, kern.widths, p.Product)
	}
	work.erase() // A35
	groups.Put(work)
}

// erase zeroes all but the points, which are public.
func (g *group) erase() {
	clear(g.swap[:])
	clear(g.product[:])
	clear(g.scratch[:])
}

// selfTest reports whether the kernel computes what crypto/ecdh does, in every
// lane, for points on the curve and on its twist, of low order, and not reduced.
func (kern *kernel) selfTest() bool {
	var scalars [maxLanes]Scalar
	var points, products, wanted [maxLanes][Size]byte
	var list, other []*Product
	for lane := range kern.lanes {
		var b [Size]byte
		for i := range b {
			b[i] = byte(37*lane + 151*i + i*i>>2)
			points[lane][i] = byte(101*lane + 59*i + i*i>>1)
		}
		scalars[lane].Set(&b)
		list = append(list, &Product{Scalar: &scalars[lane], Point: &points[lane], Product: &products[lane]})
		other = append(other, &Product{Scalar: &scalars[lane], Point: &points[lane], Product: &wanted[lane]})
	}
	for round := range 4 {
		special := round % kern.lanes
		points[special] = [Size]byte{}
		switch round {
		case 0:
			points[special][0] = 1
		case 1:
			for i := range points[special] {
				points[special][i] = 0xff
			}
		case 2:
			points[special][0] = 9
		default:
			points[special] = products[(special+1)%kern.lanes]
		}
		kern.multiplyGroup(list)
		multiplyEach(other)
		for lane := range list {
			if list[lane].Err != other[lane].Err || products[lane] != wanted[lane] {
				return false
			}
		}
		for lane := range list {
			points[lane], scalars[lane].bytes = products[lane], points[lane]
		}
	}
	return true
}
