package live

import (
	"cmp"
	"slices"
	"strings"

	"wgd/internal/cli/show"
	"wgd/internal/explain"
)

// A Sort is an order of rows.
type Sort int

// The orders, each with what comes first.
const (
	ByName      Sort = iota // peer2 before peer10
	ByState                 // those that do not work
	ByRxRate                // the highest rate
	ByTxRate                // the highest rate
	ByRate                  // the highest sum of both
	ByTotal                 // the most bytes, received and sent
	ByRx                    // the most bytes
	ByTx                    // the most bytes
	ByHandshake             // the latest; never is last
	ByEndpoint              // the lowest address; none is last
)

// A Query says which rows are wanted, and in which order.
type Query struct {
	// Interface is the interface of all rows; "": they may be of any.
	Interface string
	// Text is in the name, the interface, the state, the key, the endpoint or an allowed
	// IP of each row, in upper or lower case; of several words, each is. "" is in all.
	Text    string
	Sort    Sort
	Reverse bool
}

// Select returns the rows that match. Rows that the order does not distinguish are
// sorted by name, interface and key.
func (t *Table) Select(q Query) []*Row {
	words := strings.Fields(strings.ToLower(q.Text))
	rows := make([]*Row, 0, t.rows)
	for _, i := range t.interfaces {
		if q.Interface != "" && q.Interface != i.Name {
			continue
		}
		for _, r := range i.rows {
			if r.matches(words) {
				rows = append(rows, r)
			}
		}
	}
	slices.SortFunc(rows, func(a, b *Row) int {
		c := compare(a, b, q.Sort)
		if q.Reverse {
			c = -c
		}
		if c != 0 {
			return c
		}
		return cmp.Or(show.CompareNames(a.Name, b.Name), strings.Compare(a.Interface, b.Interface), slices.Compare(a.Key[:], b.Key[:]))
	})
	return rows
}

// matches reports whether each word is in one of the texts of the row. Words are in lower
// case.
func (r *Row) matches(words []string) bool {
	if len(words) == 0 {
		return true
	}
	texts := []string{r.Name, r.Interface, string(r.State), r.Key.Base64(), r.EndpointName}
	if r.Endpoint.IsValid() {
		texts = append(texts, r.Endpoint.String())
	}
	for _, prefix := range r.AllowedIPs {
		texts = append(texts, prefix.String())
	}
	all := strings.ToLower(strings.Join(texts, "\n"))
	for _, word := range words {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

// states is the order of states.
var states = map[explain.State]int{explain.Trying: 0, explain.Works: 1, explain.Idle: 2, explain.NeverUsed: 3, explain.Down: 4}

func compare(a, b *Row, order Sort) int {
	switch order {
	case ByName:
		return show.CompareNames(a.Name, b.Name)
	case ByState:
		return cmp.Compare(states[a.State], states[b.State])
	case ByRxRate:
		return cmp.Compare(b.RxRate, a.RxRate)
	case ByTxRate:
		return cmp.Compare(b.TxRate, a.TxRate)
	case ByRate:
		return cmp.Compare(b.RxRate+b.TxRate, a.RxRate+a.TxRate)
	case ByTotal:
		return cmp.Compare(b.Rx+b.Tx, a.Rx+a.Tx)
	case ByRx:
		return cmp.Compare(b.Rx, a.Rx)
	case ByTx:
		return cmp.Compare(b.Tx, a.Tx)
	case ByHandshake:
		return b.Handshake.Compare(a.Handshake)
	case ByEndpoint:
		if a.Endpoint.IsValid() != b.Endpoint.IsValid() {
			if a.Endpoint.IsValid() {
				return -1
			}
			return 1
		}
		return a.Endpoint.Compare(b.Endpoint)
	}
	return 0
}
