// Package explain turns what was seen of an interface into sentences: in which state
// the tunnel to each peer is, what is the likeliest cause if it does not work, and what
// to do about it.
package explain

import (
	"fmt"
	"net/netip"
	"time"

	"wgd/conf"
)

// Facts are everything that is known about an interface.
type Facts struct {
	Now    time.Time
	Status *conf.Status
	Names  []string // of the peers, in their order
	Host   Host
}

// A Reason is a likely cause of what does not work. Cause is a word for programs; Text
// says what was seen and what it means; Remedy says what to do.
type Reason struct {
	Cause  Cause  `json:"cause"`
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// A Peer is the explanation of one peer.
type Peer struct {
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Text    string   `json:"text"`    // a sentence about the state
	Reasons []Reason `json:"reasons"` // the likeliest one first
}

// An Interface is the explanation of an interface and its peers.
type Interface struct {
	Name    string   `json:"interface"`
	Works   bool     `json:"works"` // the interface itself: it is up and has a port
	Text    string   `json:"text"`
	Reasons []Reason `json:"reasons"`
	Peers   []Peer   `json:"peers"`
}

// State is the state of the tunnel to a peer.
type State string

// The states.
const (
	Works     State = "works"      // a handshake completed not long ago
	Idle      State = "idle"       // one completed, but long ago, and nothing failed since
	Trying    State = "trying"     // handshakes fail
	NeverUsed State = "never-used" // nothing was sent, and nothing arrived
	Down      State = "down"       // the interface does not work
)

// sessionTime is how long a session can be used (A36), and settleTime how long a
// handshake may take without meaning anything.
const (
	sessionTime = 180 * time.Second
	settleTime  = 3 * time.Second
)

// Explain explains an interface.
func Explain(f Facts) Interface {
	s := f.Status
	out := Interface{Name: s.Name, Works: f.Works(), Peers: make([]Peer, 0, len(s.Peers))}
	out.Text = f.Text()
	out.Reasons = f.Reasons()
	for i := range s.Peers {
		out.Peers = append(out.Peers, f.Peer(i))
	}
	return out
}

// Works reports whether the interface works.
func (f *Facts) Works() bool {
	s := f.Status
	return s.Up && s.Fault == "" && !s.PublicKey.IsZero()
}

// Text is a sentence about the interface.
func (f *Facts) Text() string {
	s := f.Status
	switch {
	case !s.Up:
		return "the interface is down: nothing is sent or received"
	case s.Fault != "":
		return "the interface is up but does not work"
	case s.PublicKey.IsZero():
		return "the interface has no private key: it can neither send nor receive"
	case len(s.Peers) == 0:
		return fmt.Sprintf("the interface is up, on UDP port %d, and has no peers", s.ListenPort)
	}
	return fmt.Sprintf("the interface is up, on UDP port %d", s.ListenPort)
}

// Reasons are those that concern the whole interface, or no peer that is known.
func (f *Facts) Reasons() []Reason {
	list := append([]Reason{}, interfaceReasons(f)...)
	return append(list, hostReasons(f)...)
}

// Shared are those of Reasons that concern peer number i: all but those about strangers
// with other addresses than the peer's, and about destinations of no peer.
func (f *Facts) Shared(i int) (list []Reason) {
	s, endpoint := f.Status, f.Status.Peers[i].Endpoint.Addr()
	list = append(list, stateReasons(s)...)
	for n := range s.Observations {
		o := &s.Observations[n]
		if r, ok := f.interfaceReason(o); ok && s.Up && o.Kind != conf.NoPeer && o.Address.Addr() == endpoint {
			list = append(list, r)
		}
	}
	return append(list, hostReasons(f)...)
}

// Peer explains peer number i.
func (f *Facts) Peer(i int) Peer {
	v := view{f, &f.Status.Peers[i]}
	state := v.state()
	p := Peer{Name: f.Names[i], State: state, Text: v.text(state), Reasons: []Reason{}}
	if state == Down {
		return p
	}
	if state == Trying {
		p.Reasons = append(p.Reasons, v.apply(handshakeRules...)...)
		// Silence is no reason if there is another one.
		if len(p.Reasons) == 0 {
			p.Reasons = append(p.Reasons, v.apply(silence)...)
		}
	}
	p.Reasons = append(p.Reasons, v.apply(otherRules...)...)
	return p
}

// State is the state of peer number i.
func (f *Facts) State(i int) State {
	v := view{f, &f.Status.Peers[i]}
	return v.state()
}

// apply returns what the rules recognize, in their order.
func (v *view) apply(rules ...rule) (list []Reason) {
	for _, r := range rules {
		if text, remedy, ok := r.reason(v); ok {
			list = append(list, Reason{r.cause, text, remedy})
		}
	}
	return list
}

// view is one peer among the facts.
type view struct {
	*Facts
	peer *conf.PeerStatus
}

func (v *view) state() State {
	s := v.Status
	age := v.Now.Sub(v.peer.LastHandshake)
	switch {
	case !s.Up || s.Fault != "" || s.PublicKey.IsZero():
		return Down
	case v.failing():
		return Trying
	case !v.peer.LastHandshake.IsZero() && age < sessionTime:
		return Works
	case !v.peer.LastHandshake.IsZero():
		return Idle
	}
	return NeverUsed
}

// failing reports whether a handshake has begun, and taken longer than it should.
func (v *view) failing() bool {
	for i := range v.peer.Observations {
		switch o := &v.peer.Observations[i]; o.Kind {
		case conf.NoAnswer, conf.NotConfirmed:
			if o.Count > 1 || v.Now.Sub(o.First) >= settleTime {
				return true
			}
		case conf.ResponseRefused, conf.TimestampReplayed, conf.SendFailed:
			return true
		}
	}
	return false
}

func (v *view) text(state State) string {
	switch state {
	case Down:
		return "not in use: the interface does not work"
	case Works:
		return "works: the last handshake was " + v.ago(v.peer.LastHandshake)
	case Idle:
		return "idle: the last handshake was " + v.ago(v.peer.LastHandshake) + ", and a new one begins with the next packet"
	case NeverUsed:
		return "never used: no handshake was tried, and none arrived"
	}
	text := "no handshake has completed yet"
	if !v.peer.LastHandshake.IsZero() {
		text = "handshakes fail; the last one completed " + v.ago(v.peer.LastHandshake)
	}
	if o := v.seen(conf.NoAnswer); o != nil {
		text += fmt.Sprintf(": %s without success since %s", count(o.Count, "initiation was sent", "initiations were sent"), v.clock(o.First))
	} else if o := v.seen(conf.NotConfirmed); o != nil {
		text += fmt.Sprintf(": %s in vain since %s", count(o.Count, "response was sent", "responses were sent"), v.clock(o.First))
	}
	return text
}

// seen returns the observation of a kind about the peer, or nil.
func (v *view) seen(kind conf.ObservationKind) *conf.Observation {
	return find(v.peer.Observations, kind)
}

func find(list []conf.Observation, kind conf.ObservationKind) *conf.Observation {
	for i := range list {
		if list[i].Kind == kind {
			return &list[i]
		}
	}
	return nil
}

// ago says how long before now t was.
func (f *Facts) ago(t time.Time) string { return Ago(f.Now.Sub(t)) }

// Ago says how long ago something was.
func Ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
	}
}

// clock is the time of day, with the date if that was not within a day.
func (f *Facts) clock(t time.Time) string {
	if f.Now.Sub(t) < 24*time.Hour {
		return t.In(f.Now.Location()).Format("15:04:05")
	}
	return t.In(f.Now.Location()).Format("2 Jan 15:04:05")
}

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// where is an address without the port 0 of addresses that have none.
func where(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// holder returns the number of the peer to which an inner address belongs, -1 if there
// is none.
func (f *Facts) holder(a netip.Addr) int {
	found, bits := -1, -1
	for i := range f.Status.Peers {
		for _, prefix := range f.Status.Peers[i].AllowedIPs {
			if prefix.Contains(a) && prefix.Bits() > bits {
				found, bits = i, prefix.Bits()
			}
		}
	}
	return found
}

// named returns the name of the first peer that matches, and whether there is one.
func (f *Facts) named(match func(*conf.PeerStatus) bool) (string, bool) {
	for i := range f.Status.Peers {
		if match(&f.Status.Peers[i]) {
			return f.Names[i], true
		}
	}
	return "", false
}
