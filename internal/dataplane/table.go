package dataplane

import "slices"

// Way is a direction of packets through the tunnel.
type Way bool

const (
	WayOut Way = false // from the interface to the socket
	WayIn  Way = true  // from the socket to the interface
)

// Row says what a Drop or a Counter means to those who run a tunnel.
type Row struct {
	Way     Way
	Name    string // as Status shows it
	Meaning string
	Remedy  string // what to do about it
}

// DropTable is what there is to say about every Drop.
func DropTable() []Row { return slices.Clone(dropTable[:]) }

// CounterTable is what there is to say about every Counter.
func CounterTable() []Row { return slices.Clone(counterTable[:]) }
