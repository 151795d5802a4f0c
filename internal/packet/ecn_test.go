package packet

import "testing"

// A56: RFC 6040, figure 4, for a tunnel in normal mode, except that a packet
// that is dropped there is delivered unmarked here.
func TestCombineECN(t *testing.T) {
	table := [4][4]byte{ // [inner][outer]
		NotECT: {NotECT: NotECT, ECT0: NotECT, ECT1: NotECT, CE: NotECT},
		ECT0:   {NotECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
		ECT1:   {NotECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
		CE:     {NotECT: CE, ECT0: CE, ECT1: CE, CE: CE},
	}
	for inner := range byte(4) {
		for outer := range byte(4) {
			got, lost := CombineECN(inner, outer)
			if want := table[inner][outer]; got != want || lost != (inner == NotECT && outer == CE) {
				t.Errorf("CombineECN(%d, %d) = %d, mark lost: %v; want %d", inner, outer, got, lost, want)
			}
			if Unmarked(outer) && (got != inner || lost) {
				t.Errorf("Unmarked(%d), but CombineECN(%d, %d) = %d, mark lost: %v", outer, inner, outer, got, lost)
			}
		}
	}
}

// A valid IPv4 checksum stays valid, and a damaged one stays damaged.
func TestSetECN(t *testing.T) {
	for _, f := range flows {
		for from := range byte(4) {
			for to := range byte(4) {
				f.ecn = from
				for id := uint16(0); id < 2000; id += 13 {
					f.id = id
					p := f.packet(0, nil)
					SetECN(p, to)
					if ECN(p) != to {
						t.Fatalf("%v: ECN = %d after SetECN, want %d", f, ECN(p), to)
					}
					if s := fault(p); s != "" {
						t.Fatalf("%v, %d to %d: %s", f, from, to, s)
					}
				}
				p := flow{ecn: from}.packet(0, nil)
				p[10] ^= 0x10
				SetECN(p, to)
				if fault(p) == "" {
					t.Fatal("a damaged header became valid")
				}
			}
		}
	}
}
