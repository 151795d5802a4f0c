package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Present reports whether there is a table of this name. It does not compare its rules.
// It returns ErrUnsupported if the kernel has no nftables.
func (g Guard) Present() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("list the firewall tables: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(g.table().Family)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil && unsupported(err):
		return false, fmt.Errorf("list the firewall tables: %w: %w", ErrUnsupported, err)
	case err != nil:
		return false, fmt.Errorf("list the firewall tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == g.Table() {
			return true, nil
		}
	}
	return false, nil
}
