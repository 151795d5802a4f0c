// Package live keeps what views that change all the time show of interfaces and their
// peers: totals, rates, states, and short histories. The caller polls the status of each
// interface and passes it in with its time. It sorts, filters and shows the rows.
package live

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/explain"
	"wgd/key"
)

const (
	// History is how many samples of a peer are kept.
	History = 60

	// maxSamples is how many samples are kept of all peers, 12 bytes each. With more than
	// a few peers, each has fewer than History, but never fewer than minHistory.
	maxSamples = 2 << 20
	minHistory = 8
)

const (
	// Interval is the time between two polls, at least.
	Interval = time.Second
	// share is which part of the time, at most, the daemons spend on polls.
	share = 5
)

// Pause returns the time until the next poll if the last one took so long.
func Pause(took time.Duration) time.Duration { return max(Interval, (share-1)*took) }

// An ID identifies a row.
type ID struct {
	Interface string
	Key       key.Public
}

// A Row is one peer.
type Row struct {
	ID
	Name         string
	State        explain.State
	Endpoint     netip.AddrPort // invalid: it is not known
	EndpointName string
	AllowedIPs   []netip.Prefix
	At           time.Time // when the daemon said this
	Handshake    time.Time // the last one; the zero time: never
	Rx, Tx       uint64    // bytes, as the daemon counts them
	RxRate       float64   // bytes in a second, since the sample before
	TxRate       float64

	// Changed is the Version of the Table when anything of the above but At last changed.
	Changed uint64

	samples ring
	update  uint64 // the Version of the Table when it was last among the peers
}

// An Interface is an interface and the sums of its peers.
type Interface struct {
	Name           string
	Text           string // a sentence about its state
	Fault          string // why it does not work; "": it works
	At             time.Time
	Peers          int
	States         map[explain.State]int // how many peers are in each
	Rx, Tx         uint64
	RxRate, TxRate float64

	rows    map[key.Public]*Row
	samples ring
}

// A Table has the rows of all interfaces. The zero Table is empty. It is not safe for
// concurrent use.
type Table struct {
	// Version counts the updates.
	Version uint64

	interfaces map[string]*Interface
	rows       int
}

// Update takes the status of an interface at a moment. It keeps no secret of it. A status
// that is not later than the one before is ignored.
func (t *Table) Update(now time.Time, status *conf.Status) {
	i := t.interfaces[status.Name]
	if i == nil {
		i = &Interface{Name: status.Name, rows: make(map[key.Public]*Row, len(status.Peers))}
		if t.interfaces == nil {
			t.interfaces = map[string]*Interface{}
		}
		t.interfaces[i.Name] = i
	}
	first, elapsed := i.At.IsZero(), now.Sub(i.At)
	if !first && elapsed <= 0 {
		return
	}
	t.Version++
	facts := explain.Facts{Now: now, Status: status, Names: show.Names(status.Peers)}
	i.At, i.Text, i.Fault, i.Peers = now, facts.Text(), status.Fault, len(status.Peers)
	i.States = map[explain.State]int{}
	i.Rx, i.Tx, i.RxRate, i.TxRate = 0, 0, 0, 0
	history := t.history(len(status.Peers) - len(i.rows))
	for n := range status.Peers {
		i.updateRow(&facts, n, elapsed, history, t.Version)
	}
	if len(i.rows) > len(status.Peers) {
		for public, r := range i.rows {
			if r.update != t.Version {
				delete(i.rows, public)
			}
		}
	}
	if !first {
		i.samples.add(Sample{RxRate: float32(i.RxRate), TxRate: float32(i.TxRate), Age: Never}, History)
	}
	t.count()
}

// history returns how many samples a new row keeps, if so many rows are added.
func (t *Table) history(added int) int {
	return min(History, max(minHistory, maxSamples/max(1, t.rows+added)))
}

// updateRow takes the status of peer number n.
func (i *Interface) updateRow(f *explain.Facts, n int, elapsed time.Duration, history int, version uint64) {
	p := &f.Status.Peers[n]
	r := i.rows[p.PublicKey]
	known := r != nil
	if !known {
		r = &Row{ID: ID{i.Name, p.PublicKey}}
		i.rows[p.PublicKey] = r
	}
	was := *r
	if known {
		r.RxRate, r.TxRate = rates(r, p, elapsed)
	}
	r.Name, r.State = f.Names[n], f.State(n)
	r.Endpoint, r.EndpointName, r.AllowedIPs = p.Endpoint, p.EndpointName, p.AllowedIPs
	r.At, r.Handshake, r.Rx, r.Tx = f.Now, p.LastHandshake, p.RxBytes, p.TxBytes
	r.update = version
	if !known || r.differs(&was) {
		r.Changed = version
	}
	i.States[r.State]++
	i.Rx, i.Tx, i.RxRate, i.TxRate = i.Rx+r.Rx, i.Tx+r.Tx, i.RxRate+r.RxRate, i.TxRate+r.TxRate
	// Most of many peers do nothing: they get no memory for samples before they do.
	if known && (r.samples.filled() || r.Rx != 0 || r.Tx != 0 || !r.Handshake.IsZero()) {
		r.samples.add(Sample{RxRate: float32(r.RxRate), TxRate: float32(r.TxRate), Age: r.age()}, history)
	}
}

// differs reports whether what is shown of a row has changed.
func (r *Row) differs(was *Row) bool {
	return r.Rx != was.Rx || r.Tx != was.Tx || r.RxRate != was.RxRate || r.TxRate != was.TxRate || r.State != was.State || r.Name != was.Name ||
		r.Endpoint != was.Endpoint || r.EndpointName != was.EndpointName || !r.Handshake.Equal(was.Handshake) || !slices.Equal(r.AllowedIPs, was.AllowedIPs)
}

// rates returns what was received and sent in a second since the last sample. If one
// counter went back, both began again, and what they count is what happened since.
func rates(r *Row, p *conf.PeerStatus, elapsed time.Duration) (rx, tx float64) {
	wasRx, wasTx := r.Rx, r.Tx
	if p.RxBytes < wasRx || p.TxBytes < wasTx {
		wasRx, wasTx = 0, 0
	}
	seconds := elapsed.Seconds()
	return float64(p.RxBytes-wasRx) / seconds, float64(p.TxBytes-wasTx) / seconds
}

// age is the age of the last handshake, in seconds.
func (r *Row) age() uint32 {
	if r.Handshake.IsZero() {
		return Never
	}
	return uint32(min(max(0, r.At.Sub(r.Handshake)/time.Second), Never-1))
}

// Keep forgets the interfaces that are not among the names.
func (t *Table) Keep(names []string) {
	for name := range t.interfaces {
		if !slices.Contains(names, name) {
			delete(t.interfaces, name)
		}
	}
	t.count()
}

func (t *Table) count() {
	t.rows = 0
	for _, i := range t.interfaces {
		t.rows += len(i.rows)
	}
}

// Sums returns the interfaces, sorted by name, with the sums of their peers.
func (t *Table) Sums() []*Interface {
	list := make([]*Interface, 0, len(t.interfaces))
	for _, i := range t.interfaces {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b *Interface) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Row returns the row with an ID, or nil.
func (t *Table) Row(id ID) *Row {
	if i := t.interfaces[id.Interface]; i != nil {
		return i.rows[id.Key]
	}
	return nil
}

// Samples returns the last samples of the peer, at most n, the oldest one first.
func (r *Row) Samples(n int) []Sample { return r.samples.last(n) }

// Samples returns the last samples of the sums, at most n, the oldest one first. Their
// age is Never.
func (i *Interface) Samples(n int) []Sample { return i.samples.last(n) }
