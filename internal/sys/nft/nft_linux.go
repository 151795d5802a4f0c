package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Add adds the table with its rules, in one transaction. A table of this name is
// replaced: an earlier call that was killed left it.
func (g Guard) Add() error {
	conn, err := nftables.New()
	if err != nil {
		return g.failure("add", err)
	}
	table := g.table()
	conn.AddTable(table) // so that there is one to be deleted
	conn.DelTable(table)
	conn.AddTable(table)
	for _, c := range g.chains() {
		c.Table = table
		conn.AddChain(&c.Chain)
		for _, exprs := range c.rules {
			conn.AddRule(&nftables.Rule{Table: table, Chain: &c.Chain, Exprs: exprs})
		}
	}
	return g.failure("add", conn.Flush())
}

// Delete removes the table. It is no error if it is not there.
func (g Guard) Delete() error {
	conn, err := nftables.New()
	if err != nil {
		return g.failure("remove", err)
	}
	conn.DelTable(g.table())
	err = conn.Flush()
	if errors.Is(err, unix.ENOENT) || unsupported(err) {
		return nil
	}
	return g.failure("remove", err)
}

func (g Guard) table() *nftables.Table {
	family := nftables.TableFamilyIPv4
	if g.IPv6 {
		family = nftables.TableFamilyIPv6
	}
	return &nftables.Table{Name: g.Table(), Family: family}
}

// A chain is a chain of the table, with its rules.
type chain struct {
	nftables.Chain
	rules [][]expr.Any
}

func (g Guard) chains() []chain {
	in, out := g.keepMark()
	return []chain{g.dropForeign(), in, out}
}

// dropForeign drops what comes to an address of the tunnel from outside of it:
//
//	iifname != NAME ip daddr ADDRESS fib saddr type != local drop
func (g Guard) dropForeign() chain {
	c := chain{Chain: nftables.Chain{Name: preRaw, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw}}
	const destination4, destination6 = 16, 24 // offsets in the headers
	offset := uint32(destination4)
	if g.IPv6 {
		offset = destination6
	}
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, g.Interface)
	for _, a := range g.Addresses {
		address := a.AsSlice()
		c.rules = append(c.rules, []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: name},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(address))},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: address},
			&expr.Fib{Register: 1, FlagSADDR: true, ResultADDRTYPE: true},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
			&expr.Verdict{Kind: expr.VerdictDrop},
		})
	}
	return c
}

// keepMark gives the mark of a connection to what arrives in it, and before that the
// mark of the tunnel to the connection:
//
//	meta l4proto udp meta mark set ct mark
//	meta l4proto udp meta mark MARK ct mark set meta mark
func (g Guard) keepMark() (in, out chain) {
	in.Chain = nftables.Chain{Name: preMangle, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle}
	out.Chain = nftables.Chain{Name: postMangle, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityMangle}
	udp := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}},
	}
	in.rules = [][]expr.Any{append(udp[:len(udp):len(udp)],
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	)}
	out.rules = [][]expr.Any{append(udp[:len(udp):len(udp)],
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(g.Mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Ct{Key: expr.CtKeyMARK, SourceRegister: true, Register: 1},
	)}
	return in, out
}

// unsupported reports whether the kernel lacks nftables, or an expression or a type of
// chain in it.
func unsupported(err error) bool {
	for _, number := range []error{unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

func (g Guard) failure(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case unsupported(err), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s the firewall table %s: %w: %w", verb, g, ErrUnsupported, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s the firewall table %s: no permission: run it as root or with CAP_NET_ADMIN", verb, g)
	}
	return fmt.Errorf("%s the firewall table %s: %w", verb, g, err)
}
