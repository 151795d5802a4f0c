package controltest

import (
	"time"

	"wgd/conf"
)

// Summary returns what the status and SetSummary say.
func (t *Target) Summary() conf.Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.summary
	if s.Started.IsZero() {
		s.Started = time.Unix(1_795_937_401, 0)
	}
	s.Up, s.Fault, s.ListenPort, s.FirewallMark, s.MTU = t.status.Up, t.status.Fault, t.status.ListenPort, t.status.FirewallMark, t.status.MTU
	s.Peers, s.Drops, s.Counters = len(t.status.Peers), t.status.Drops, t.status.Counters
	for i := range t.status.Peers {
		s.RxBytes += t.status.Peers[i].RxBytes
		s.TxBytes += t.status.Peers[i].TxBytes
	}
	t.summaries++
	return s
}

// SetSummary sets what a summary has beyond the status.
func (t *Target) SetSummary(s conf.Summary) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.summary = s
}

// Summaries returns how many summaries were made.
func (t *Target) Summaries() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.summaries
}
