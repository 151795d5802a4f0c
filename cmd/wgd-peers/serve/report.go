package serve

import (
	"encoding/json"
	"net/http"
	"os"
	"time"

	"wgd/cmd/wgd-peers/store"
)

// A Report is what a Server has done for one interface.
type Report struct {
	Interface string `json:"interface"`
	PID       int    `json:"pid"`
	Started   int64  `json:"started"`   // this and the others: seconds since 1970
	Connected *int64 `json:"connected"` // since when the daemon works; nil: it does not
	// Peers are those of the interface that the Server manages, and Others those that were
	// configured in another way.
	Peers  int `json:"peers"`
	Others int `json:"others"`
	// Waiting is how many look-ups are not done, and Unrecorded of how many peers it is not
	// written where they were seen.
	Waiting    int `json:"waiting"`
	Unrecorded int `json:"unrecorded"`
	// Lost is how often there was no room for what was seen of a peer.
	Lost uint64 `json:"unrecorded_lost"`
	// Wants and Refused are counts by kind and by reason.
	Wants   map[string]uint64 `json:"wants"`
	Missed  uint64            `json:"wants_missed"`
	Refused map[string]uint64 `json:"refused"`
	Lent    uint64            `json:"lent"`
	Removed uint64            `json:"removed"`
	Called  uint64            `json:"called"`
	// Answered are the times from a want until the daemon has the peer; LookUps are those of
	// the store, for all interfaces.
	Answered Times  `json:"answered"`
	LookUps  Times  `json:"look_ups"`
	Failed   uint64 `json:"look_ups_failed"`
	// Failing is since when the store fails, and why; nil: it works.
	Failing *int64 `json:"store_failing"`
	Failure string `json:"store_failure"`
	// Behind is how far the clock of this computer is behind that of another gateway, in
	// seconds; 0 means less than one.
	Behind float64   `json:"clock_behind"`
	Recent []Refused `json:"recent_refusals"` // oldest first
}

// Times are durations in seconds: none of half of them reached Median, and so on. The bounds
// are powers of two, in microseconds.
type Times struct {
	Count  uint64  `json:"count"`
	Median float64 `json:"median"`
	P99    float64 `json:"p99"`
}

// Refused is a want that was refused.
type Refused struct {
	At     int64  `json:"at"`
	About  string `json:"about"` // the beginning of a public key, an endpoint, or an address
	Peer   string `json:"peer"`  // of the store; "": there is none
	Reason string `json:"reason"`
}

// A HeldPeer is one of the interface that the Server manages.
type HeldPeer struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
	Endpoint  string `json:"endpoint"` // "": not known
	Since     int64  `json:"since"`
}

func (t *times) report() Times {
	return Times{t.count(), t.under(0.5).Seconds(), t.under(0.99).Seconds()}
}

func unixTime(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	seconds := t.Unix()
	return &seconds
}

// reports returns the reports of all interfaces.
func (s *Server) reports() (list []Report) {
	s.records.mu.Lock()
	unrecorded, lost := len(s.records.pending), s.records.lost
	s.records.mu.Unlock()
	for _, i := range s.interfaces {
		r := i.report()
		r.PID, r.Started, r.Unrecorded, r.Lost = os.Getpid(), s.started.Unix(), unrecorded, lost
		s.mu.Lock()
		r.LookUps, r.Failed, r.Failing, r.Failure = s.lookups.report(), s.failed, unixTime(s.failing), s.failure
		if s.behind > toleratedLag {
			r.Behind = s.behind.Seconds()
		}
		s.mu.Unlock()
		list = append(list, r)
	}
	return list
}

func (s *served) report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{
		Interface: s.name, Connected: unixTime(s.connected), Peers: len(s.held), Others: len(s.byHand), Waiting: len(s.tasks.all) + len(s.tasks.idle),
		Wants: map[string]uint64{}, Missed: s.figures.missed, Refused: map[string]uint64{}, Lent: s.figures.lent, Removed: s.figures.removed, Called: s.figures.called,
		Answered: s.figures.answered.report(), Recent: []Refused{},
	}
	for kind, n := range s.figures.wants {
		r.Wants[string(kind)] = n
	}
	for reason, n := range s.figures.refused {
		r.Refused[string(reason)] = n
	}
	for _, f := range s.refused.shown {
		r.Recent = append(r.Recent, Refused{f.at.Unix(), f.about.text(), f.peer, string(f.reason)})
	}
	return r
}

// heldPeers returns the peers of the interface that the Server manages, in no order.
func (s *served) heldPeers() []HeldPeer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]HeldPeer, 0, len(s.held))
	for k, h := range s.held {
		p := HeldPeer{Name: h.name, PublicKey: k.Base64(), Since: h.since.Unix()}
		if h.endpoint.IsValid() {
			p.Endpoint = h.endpoint.String()
		}
		list = append(list, p)
	}
	return list
}

// The paths of a page.
const (
	reportPath = "/report"
	peersPath  = "/peers"
)

// Page returns what answers requests about one interface, with JSON.
func (s *Server) Page(name string) http.Handler {
	mux := http.NewServeMux()
	for n, i := range s.interfaces {
		if i.name == name {
			mux.HandleFunc("GET "+reportPath, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.reports()[n]) })
			mux.HandleFunc("GET "+peersPath, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, i.heldPeers()) })
		}
	}
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}

// label returns the name of a peer of the store; "" if there is none.
func label(p *store.Peer) string {
	if p == nil {
		return ""
	}
	return p.Label()
}
