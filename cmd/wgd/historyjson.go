package main

import (
	"time"

	"wgd/internal/history"
)

// jsonHistory is what --json prints.
type jsonHistory struct {
	Interface string           `json:"interface"`
	Since     time.Time        `json:"since"`
	Until     time.Time        `json:"until"`
	Peers     []jsonPeerRecord `json:"peers"`
}

type jsonPeerRecord struct {
	Name        string     `json:"name"`
	Named       bool       `json:"named"`
	PublicKey   string     `json:"public_key"`
	Connected   float64    `json:"connected"` // in seconds
	Unknown     float64    `json:"unknown"`   // in seconds
	Connections int        `json:"connections"`
	State       string     `json:"state"`
	LastSeen    *time.Time `json:"last_seen,omitempty"`
	Spans       []jsonSpan `json:"spans"`
}

type jsonSpan struct {
	State     string     `json:"state"`
	Since     *time.Time `json:"since,omitempty"`
	Begin     time.Time  `json:"begin"`
	End       time.Time  `json:"end"`
	Seconds   float64    `json:"seconds"`
	Reason    string     `json:"reason"`
	Sessions  int        `json:"sessions,omitempty"`
	Endpoints []string   `json:"endpoints,omitempty"`
}

// stateWords are the states of --json.
var stateWords = map[history.State]string{0: "not-connected", history.Connected: "connected", history.Unknown: "unknown"}

func historyJSON(name string, r historyRange, list []*history.Record) jsonHistory {
	out := jsonHistory{Interface: name, Since: r.since, Until: r.until, Peers: []jsonPeerRecord{}}
	for _, p := range list {
		j := jsonPeerRecord{
			Name: p.Name, Named: p.Named, PublicKey: p.Key.String(), Connected: p.Connected.Seconds(), Unknown: p.Unknown.Seconds(),
			Connections: p.Connections, State: stateWords[p.AtEnd], Spans: []jsonSpan{},
		}
		if !p.LastSeen.IsZero() {
			j.LastSeen = &p.LastSeen
		}
		for i := range p.Spans {
			j.Spans = append(j.Spans, spanJSON(&p.Spans[i]))
		}
		out.Peers = append(out.Peers, j)
	}
	return out
}

func spanJSON(s *history.Span) jsonSpan {
	j := jsonSpan{
		State: stateWords[s.State], Begin: s.From, End: s.To, Seconds: s.Duration().Seconds(),
		Reason: string(s.End), Sessions: s.Sessions,
	}
	if s.State == history.Connected && !s.Since.IsZero() {
		j.Since = &s.Since
	}
	for _, a := range s.Endpoints {
		j.Endpoints = append(j.Endpoints, a.String())
	}
	return j
}
