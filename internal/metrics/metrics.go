// Package metrics serves the figures of all interfaces of this computer to Prometheus. It
// is a client of the control sockets, and keeps nothing but the last answers.
//
// Without a query, the answer has the figures of each interface, whose number does not
// depend on that of the peers. With ?peer=NAME or ?top=N it has those of some peers.
package metrics

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wgd/conf"
)

// Path is where the metrics are.
const Path = "/metrics"

const (
	// maxInFlight requests are answered at the same time, whatever they ask for. All of
	// them share what is read from the daemons.
	maxInFlight = 32
	// answerTimeout is less than the 10 seconds for which Prometheus waits.
	answerTimeout = 9 * time.Second
)

// A Handler answers the requests of Prometheus.
type Handler struct {
	interfaces *source
	version    string
	whole      http.Handler
	limited    http.Handler  // answer, within answerTimeout
	inFlight   chan struct{} // has a value for each request that is answered
	log        *log.Logger
}

// NewHandler returns a Handler that names the version of this program. It reports which
// interfaces cannot be read, whenever that changes, as sentences for the user.
func NewHandler(version string, report func(sentence string)) *Handler {
	h := &Handler{interfaces: newSource(report), version: version, inFlight: make(chan struct{}, maxInFlight), log: log.New(reporter(report), "", 0)}
	h.limited = http.TimeoutHandler(http.HandlerFunc(h.answer), answerTimeout, fmt.Sprintf("There was no answer within %v.\n", answerTimeout))
	h.whole = h.serve(&collector{h.interfaces.summaries, version})
	return h
}

// reporter is a writer whose lines are reported.
type reporter func(string)

func (r reporter) Write(line []byte) (int, error) {
	r(string(line))
	return len(line), nil
}

// Check reads all interfaces once, so that errors are reported at the start.
func (h *Handler) Check() { h.interfaces.summaries() }

// serve returns a handler for what one collector collects.
func (h *Handler) serve(c prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: h.log, EnableOpenMetrics: true,
	})
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.URL.Path == "/":
		fmt.Fprintf(w, "The metrics of wgd are at %s.\n", Path)
		return
	case r.URL.Path != Path:
		http.Error(w, fmt.Sprintf("There is nothing here: the metrics are at %s.", Path), http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET is possible here.", http.StatusMethodNotAllowed)
		return
	}
	h.limited.ServeHTTP(w, r)
}

// answer answers a request for metrics, unless too many are being answered.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	select {
	case h.inFlight <- struct{}{}:
		defer func() { <-h.inFlight }()
	default:
		http.Error(w, fmt.Sprintf("%d requests are being answered: try again later.", maxInFlight), http.StatusServiceUnavailable)
		return
	}
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch {
	case !q.aboutPeers() && q.name == "":
		h.whole.ServeHTTP(w, r)
	case !q.aboutPeers():
		h.serveInterface(w, r, q)
	default:
		h.servePeers(w, r, q)
	}
}

func (h *Handler) serveInterface(w http.ResponseWriter, r *http.Request, q query) {
	found, err := named(h.interfaces.summaries(), q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	h.serve(&collector{func() []reading[conf.Summary] { return found }, h.version}).ServeHTTP(w, r)
}

func (h *Handler) servePeers(w http.ResponseWriter, r *http.Request, q query) {
	found, from, err := h.interfaces.peers(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	h.serve(peerCollector{found, from}).ServeHTTP(w, r)
}
