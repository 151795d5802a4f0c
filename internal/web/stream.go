package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"wgd/internal/cli/show"
	"wgd/internal/explain"
	"wgd/internal/live"
)

const (
	// pageSize is how many peers a browser sees, and gets, at a time.
	pageSize = 100
	// writeTimeout is how long a browser may take to read an event.
	writeTimeout = 10 * time.Second
	maxSearch    = 200
)

// A view is what a browser looks at.
type view struct {
	live.Query
	page int
}

// sorts are the names of orders in addresses.
var sorts = map[string]live.Sort{
	"name": live.ByName, "state": live.ByState, "endpoint": live.ByEndpoint, "handshake": live.ByHandshake,
	"received": live.ByRx, "sent": live.ByTx, "rate": live.ByRate,
}

func viewOf(q url.Values) view {
	page, _ := strconv.Atoi(q.Get("page"))
	search := q.Get("search")
	return view{live.Query{
		Interface: q.Get("interface"), Text: search[:min(len(search), maxSearch)],
		Sort: sorts[q.Get("sort")], Reverse: q.Get("reverse") == "1",
	}, max(0, page)}
}

// The events are JSON. Fields that are empty are left out.
type (
	ifaceJSON struct {
		Name    string                `json:"name"`
		Text    string                `json:"text"`
		Works   bool                  `json:"works"`
		Error   string                `json:"error,omitempty"`
		Fixed   string                `json:"fixed,omitempty"` // why it cannot be changed here
		Peers   int                   `json:"peers"`
		Counts  map[explain.State]int `json:"counts,omitempty"`
		RxRate  float64               `json:"rxRate"`
		TxRate  float64               `json:"txRate"`
		Reasons []explain.Reason      `json:"reasons,omitempty"`
	}
	rowJSON struct {
		ID           string   `json:"id"`
		Interface    string   `json:"interface"`
		Key          string   `json:"key"`
		Name         string   `json:"name"`
		Endpoint     string   `json:"endpoint,omitempty"`
		EndpointName string   `json:"endpointName,omitempty"`
		Allowed      []string `json:"allowed,omitempty"`
		State        string   `json:"state"`
		Reason       string   `json:"reason,omitempty"` // the likeliest one
		Rx           uint64   `json:"rx"`
		Tx           uint64   `json:"tx"`
		RxRate       float64  `json:"rxRate"`
		TxRate       float64  `json:"txRate"`
		Keepalive    uint16   `json:"keepalive,omitempty"` // seconds
		Handshake    int64    `json:"handshake,omitempty"` // milliseconds since 1970

		// Of a row that was not on the page before. An age of -1: there was no handshake.
		Rates []float32 `json:"rates,omitempty"`
		Ages  []int64   `json:"ages,omitempty"`
	}
	eventJSON struct {
		Now        int64       `json:"now"` // milliseconds since 1970
		Error      string      `json:"error,omitempty"`
		Interfaces []ifaceJSON `json:"interfaces"`
		Shown      string      `json:"shown"` // the interface of the rows; "": all
		Found      int         `json:"found"` // how many peers the search has found
		Page       int         `json:"page"`
		Pages      int         `json:"pages"`
		Order      []string    `json:"order,omitempty"` // the IDs of the page, if they are others than before
		Empty      bool        `json:"empty,omitempty"` // there are none
		Rows       []rowJSON   `json:"rows,omitempty"`  // those that are new or have changed
	}
)

// A follower is one browser.
type follower struct {
	view    view
	reading uint64 // the version of the source in the last event
	sent    uint64 // that of its table
	rows    []live.ID
	extras  map[live.ID]extra // of the rows
}

// An extra is what is shown of a peer beside its row in the table.
type extra struct {
	reason    string // the likeliest one why it does not work; "": there is none
	keepalive uint16
}

// event makes the next event. It has what differs from the one before. It reports false
// if nothing was read since.
func (f *follower) event(s *source) (eventJSON, bool) {
	if f.reading == s.version {
		return eventJSON{}, false
	}
	f.reading = s.version
	out := eventJSON{Now: s.at.UnixMilli(), Interfaces: s.summaries(), Shown: f.view.Interface}
	if s.err != nil {
		out.Error = s.err.Error()
	}
	if out.Shown == "" && len(s.order) == 1 {
		out.Shown = s.order[0]
	}
	f.addRows(&out, s)
	f.sent = s.table.Version
	return out, true
}

// summaries describes the interfaces.
func (s *source) summaries() []ifaceJSON {
	sums := make(map[string]*live.Interface)
	for _, i := range s.table.Sums() {
		sums[i.Name] = i
	}
	list := make([]ifaceJSON, 0, len(s.order))
	for _, name := range s.order {
		e, out := s.entries[name], ifaceJSON{Name: name, Fixed: s.entries[name].fixed}
		if e.err != nil {
			out.Error = e.err.Error()
		}
		if i := sums[name]; i != nil {
			out.Text, out.Works, out.Peers, out.Counts = i.Text, e.facts.Works(), i.Peers, i.States
			out.RxRate, out.TxRate, out.Reasons = i.RxRate, i.TxRate, e.reasons
		}
		list = append(list, out)
	}
	return list
}

// addRows puts those of the page into the event that the browser does not have.
func (f *follower) addRows(out *eventJSON, s *source) {
	found := s.table.Select(f.view.Query)
	out.Found, out.Pages = len(found), max(1, (len(found)+pageSize-1)/pageSize)
	out.Page = min(f.view.page, out.Pages-1)
	found = found[out.Page*pageSize : min(len(found), (out.Page+1)*pageSize)]
	rows, extras := make([]live.ID, len(found)), make(map[live.ID]extra, len(found))
	for i, r := range found {
		x := s.extra(r)
		rows[i], extras[r.ID] = r.ID, x
		was, had := f.extras[r.ID]
		if !had || r.Changed > f.sent || x != was {
			out.Rows = append(out.Rows, rowOf(r, x, !had))
		}
	}
	if !slices.Equal(rows, f.rows) {
		for _, id := range rows {
			out.Order = append(out.Order, idText(id))
		}
	}
	out.Empty, f.rows, f.extras = len(rows) == 0, rows, extras
}

func (s *source) extra(r *live.Row) extra {
	e := s.entries[r.Interface]
	i := e.number(r.Key)
	x := extra{keepalive: e.facts.Status.Peers[i].PersistentKeepalive}
	p := e.facts.Peer(i)
	if faults := show.Faults(&p); len(faults) > 0 {
		x.reason = faults[0].Text
	}
	return x
}

func idText(id live.ID) string { return id.Interface + " " + id.Key.Base64() }

func rowOf(r *live.Row, x extra, samples bool) rowJSON {
	out := rowJSON{ID: idText(r.ID), Interface: r.Interface, Key: r.Key.Base64(), Name: r.Name, State: string(r.State), Reason: x.reason, Keepalive: x.keepalive,
		Rx: r.Rx, Tx: r.Tx, RxRate: r.RxRate, TxRate: r.TxRate}
	if r.Endpoint.IsValid() {
		out.Endpoint = r.Endpoint.String()
	}
	out.EndpointName = r.EndpointName
	for _, p := range r.AllowedIPs {
		out.Allowed = append(out.Allowed, p.String())
	}
	if !r.Handshake.IsZero() {
		out.Handshake = r.Handshake.UnixMilli()
	}
	if samples {
		for _, s := range r.Samples(live.History) {
			age := int64(s.Age)
			if s.Age == live.Never {
				age = -1
			}
			out.Rates, out.Ages = append(out.Rates, s.RxRate+s.TxRate), append(out.Ages, age)
		}
	}
	return out
}

// stream sends an event each time that the daemons were read, until the browser leaves or
// does not read. There is never more than one event in memory for it.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		refuse(w, http.StatusServiceUnavailable, "Too many pages are open", "Close some of the pages that follow wgd web.")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	response := http.NewResponseController(w)
	f := follower{view: viewOf(r.URL.Query())}
	for {
		text := []byte(":\n\n") // a comment: whoever has left is noticed
		var event eventJSON
		var due time.Time
		fresh := false
		h.source.with(func(s *source) {
			event, fresh = f.event(s)
			due = s.at.Add(s.pause)
		})
		if fresh {
			data, err := json.Marshal(event)
			if err != nil {
				return
			}
			text = slices.Concat([]byte("data: "), data, []byte("\n\n"))
		}
		if response.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return
		}
		if _, err := w.Write(text); err != nil || response.Flush() != nil {
			return
		}
		select {
		case <-time.After(min(live.Interval, time.Until(due))): // then it is read, and not just before
		case <-r.Context().Done():
			return
		}
	}
}
