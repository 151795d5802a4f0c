package dataplane

import "slices"

// A Direction is the direction of packets through the tunnel.
type Direction bool

const (
	Outbound Direction = false // from the interface to the socket
	Inbound  Direction = true  // from the socket to the interface
)

// Row says what a Drop or a Counter means to those who run a tunnel.
type Row struct {
	Direction Direction
	Name      string // as Status shows it
	Meaning   string
	Remedy    string // what to do about it
}

// DropTable is what there is to say about every Drop.
func DropTable() []Row { return slices.Clone(dropTable[:]) }

// CounterTable is what there is to say about every Counter.
func CounterTable() []Row { return slices.Clone(counterTable[:]) }
