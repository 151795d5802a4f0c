package dataplane

import "slices"

// A Direction is the direction of packets through the tunnel.
type Direction bool

const (
	Outbound Direction = false // from the interface to the socket
	Inbound  Direction = true  // from the socket to the interface
)

// A Row describes a Drop or a Counter for the administrator of a tunnel.
type Row struct {
	Direction Direction
	Name      string // as Status shows it
	Meaning   string
	Remedy    string // what to do about it
}

// DropTable returns a row for every Drop.
func DropTable() []Row { return slices.Clone(dropTable[:]) }

// CounterTable returns a row for every Counter.
func CounterTable() []Row { return slices.Clone(counterTable[:]) }
