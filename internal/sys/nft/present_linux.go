package nft

import (
	"bytes"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Present reports whether the table is as Add makes it: with these chains and rules, and
// no others. It returns ErrUnsupported if the kernel has no nftables.
func (g Guard) Present() (bool, error) {
	table := g.table()
	got, err := readTable(table)
	switch {
	case err != nil && unsupported(err):
		return false, fmt.Errorf("list the firewall table %s: %w: %w", g, ErrUnsupported, err)
	case err != nil:
		return false, fmt.Errorf("list the firewall table %s: %w", g, err)
	}
	wanted := g.chains()
	if len(got.chains) != len(wanted) {
		return false, nil
	}
	for _, c := range wanted {
		if there := got.chains[c.Name]; there == nil || !c.sameHook(there) || !c.sameRules(table, got.rules[c.Name]) {
			return false, nil
		}
	}
	return true, nil
}

// sameHook reports whether a chain of the kernel is called as c is, and accepts what no
// rule drops.
func (c *chain) sameHook(got *nftables.Chain) bool {
	return got.Type == c.Type && got.Hooknum != nil && *got.Hooknum == *c.Hooknum &&
		got.Priority != nil && *got.Priority == *c.Priority &&
		(got.Policy == nil || *got.Policy == nftables.ChainPolicyAccept)
}

// sameRules reports whether the rules of a chain of the kernel are those of c.
func (c *chain) sameRules(table *nftables.Table, got []*nftables.Rule) bool {
	if len(got) != len(c.rules) {
		return false
	}
	for i, exprs := range c.rules {
		if len(got[i].Exprs) != len(exprs) {
			return false
		}
		for j, e := range exprs {
			want, err := expr.Marshal(byte(table.Family), readable(e))
			is, failed := expr.Marshal(byte(table.Family), readable(got[i].Exprs[j]))
			if err != nil || failed != nil || !bytes.Equal(want, is) {
				return false
			}
		}
	}
	return true
}

// readable leaves out what the library writes but does not read: the register of which
// ct sets a value.
func readable(e expr.Any) expr.Any {
	if ct, ok := e.(*expr.Ct); ok && ct.SourceRegister {
		return &expr.Ct{Key: ct.Key}
	}
	return e
}
