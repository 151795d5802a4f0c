package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"wgd/cmd/wgd-peers/serve"
	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/explain"
)

var optPeers = cli.Option{Long: "peers", Text: "List the peers of the store that the interfaces of this computer have, and where each is since when, instead of reading the store."}

var statusForm = cli.Form{
	Syntax:  "status",
	Example: "wgd-peers status",
	Summary: "count the peers, name those that cannot be used, and say what wgd-peers serve does",
	Options: []cli.Option{optPeers, optJSON},
	Text: []string{
		"A peer cannot be used if somebody has written what cannot be, such as an allowed IP in another form than the shortest, and the schema of the store could not refuse it. " +
			"It affects no other peer.",
		"Of each interface that wgd-peers serve serves on this computer, it says how many peers the interface has, how long look-ups take, and what was refused lately and why. That comes from the process, and is there when the store fails as well.",
		"The JSON object has the fields `store`, `revision` (that of the last change), `peers`, `revoked`, `seen` (how many were seen), `problems`: a list of objects with `peer`, `public_key` and `text`, and `interfaces`: " +
			"a list of objects with `interface`, `pid`, `started`, `connected` (since when the daemon works, or null), `peers` (of the store), `others`, `waiting`, `unrecorded`, `unrecorded_lost` (how often there was no room), `wants` and `refused` (counts by kind and by reason), `wants_missed`, `lent`, `removed`, `called`, " +
			"`answered` and `look_ups` (`count`, `median` and `p99`, in seconds), `look_ups_failed`, `store_failing`, `store_failure`, and `recent_refusals` (`at`, `about`, `peer`, `reason`). " +
			"With --peers, it is a list of objects with `interface`, `name`, `public_key`, `endpoint` and `since`. Times are seconds since 1970. Later versions may add fields.",
	},
	Run: runStatus,
}

// A summary is what status prints.
type summary struct {
	Store      string         `json:"store"`
	Revision   store.Revision `json:"revision"`
	Peers      int            `json:"peers"`
	Revoked    int            `json:"revoked"`
	Seen       int            `json:"seen"`
	Problems   []problem      `json:"problems"`
	Interfaces []serve.Report `json:"interfaces"`
}

type problem struct {
	Peer      string `json:"peer"`
	PublicKey string `json:"public_key"`
	Text      string `json:"text"`
}

func runStatus(c *cli.Call) error {
	if c.Has(optPeers.Long) {
		return runStatusPeers(c)
	}
	reports, failed := serve.Reports(context.Background())
	sum := summary{Store: location(c), Problems: []problem{}, Interfaces: append([]serve.Report{}, reports...)}
	err := withStore(c, false, func(ctx context.Context, s store.Store) error {
		done := c.Progress("reading the store")
		defer done()
		return sum.read(ctx, s)
	})
	switch {
	case c.Has(optJSON.Long):
		if err == nil {
			err = c.PrintJSON(sum)
		}
	default:
		var b strings.Builder
		if err == nil {
			sum.print(&b)
		}
		for i := range reports {
			printReport(&b, &reports[i], time.Now())
		}
		_, e := io.WriteString(c.Stdout, b.String())
		err = errors.Join(err, e)
	}
	return errors.Join(err, failed)
}

// read counts the peers of the store.
func (s *summary) read(ctx context.Context, from store.Store) (err error) {
	if s.Revision, err = from.Revision(ctx); err != nil {
		return err
	}
	for p, err := range from.All(ctx) {
		if err != nil {
			return err
		}
		s.add(p)
	}
	return nil
}

func (s *summary) add(p *store.Peer) {
	s.Peers++
	if !p.Revoked.IsZero() {
		s.Revoked++
	}
	if !p.Seen.At.IsZero() {
		s.Seen++
	}
	if p.Problem != "" {
		s.Problems = append(s.Problems, problem{p.Label(), p.PublicKey.Base64(), p.Problem})
	}
}

func (s *summary) print(w io.Writer) {
	fmt.Fprintf(w, "store: %s\nrevision: %d\npeers: %d\nrevoked: %d\nseen: %d\n", s.Store, s.Revision, s.Peers, s.Revoked, s.Seen)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "cannot be used: peer %s: %s\n", p.Peer, p.Text)
	}
}

// printReport prints what a process does for an interface.
func printReport(w io.Writer, r *serve.Report, now time.Time) {
	ago := func(at int64) string { return explain.Ago(now.Sub(time.Unix(at, 0))) }
	fmt.Fprintf(w, "interface: %s\n\tserved: by process %d, which was started %s\n", r.Interface, r.PID, ago(r.Started))
	if r.Connected != nil {
		fmt.Fprintf(w, "\tdaemon: works; read first %s\n\tpeers: %d of the store, %d others\n", ago(*r.Connected), r.Peers, r.Others)
	} else {
		fmt.Fprintf(w, "\tdaemon: does not answer: see wgd status %s\n", r.Interface)
	}
	if r.Failing != nil {
		fmt.Fprintf(w, "\tstore: fails, first %s: %s\n", ago(*r.Failing), r.Failure)
	}
	if r.Behind > 0 {
		fmt.Fprintf(w, "\tclock: %v behind that of another gateway: set the clocks of all gateways, by NTP for example\n", time.Duration(r.Behind*float64(time.Second)).Round(100*time.Millisecond))
	}
	fmt.Fprintf(w, "\tlook-ups: %s; %d failed, %d waiting\n", timesText(r.LookUps), r.Failed, r.Waiting)
	fmt.Fprintf(w, "\tadded: %d, of which %s; %d removed\n", r.Lent, timesText(r.Answered), r.Removed)
	if r.Unrecorded > 1 {
		fmt.Fprintf(w, "\tnot written yet: what was seen of %d peers\n", r.Unrecorded)
	}
	if r.Lost > 0 {
		fmt.Fprintf(w, "\tnever written: what was seen %d times, because too much waited\n", r.Lost)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Refused)) {
		fmt.Fprintf(w, "\trefused: %d, %s\n", r.Refused[reason], reason)
	}
	for _, f := range r.Recent {
		about := f.About
		if f.Peer != "" {
			about += " of peer " + f.Peer
		}
		fmt.Fprintf(w, "\trefused %s: %s, %s\n", ago(f.At), about, f.Reason)
	}
}

func timesText(t serve.Times) string {
	if t.Count == 0 {
		return "none yet"
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return fmt.Sprintf("%d, half of them in less than %v, 99 %% in less than %v", t.Count, seconds(t.Median), seconds(t.P99))
}

// A place says where a peer is since when.
type place struct {
	Interface string `json:"interface"`
	serve.HeldPeer
}

func runStatusPeers(c *cli.Call) error {
	ctx := context.Background()
	reports, err := serve.Reports(ctx)
	places := []place{}
	for i := range reports {
		held, e := serve.Peers(ctx, reports[i].Interface)
		err = errors.Join(err, e)
		for _, p := range held {
			places = append(places, place{reports[i].Interface, p})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return strings.Compare(a.Interface+" "+a.Name+" "+a.PublicKey, b.Interface+" "+b.Name+" "+b.PublicKey)
	})
	if c.Has(optJSON.Long) {
		return errors.Join(c.PrintJSON(places), err)
	}
	var b strings.Builder
	for _, p := range places {
		name, at := p.Name, p.Endpoint
		if name == "" {
			name = "(none)"
		}
		if at == "" {
			at = "(not heard yet)"
		}
		fmt.Fprintf(&b, "%-20s %s %s: %s, added %s\n", name, p.PublicKey, p.Interface, at, explain.Ago(time.Since(time.Unix(p.Since, 0))))
	}
	_, e := io.WriteString(c.Stdout, b.String())
	return errors.Join(e, err)
}
