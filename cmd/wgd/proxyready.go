package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/proxyconf"
	"wgd/internal/uapi"
)

const (
	// freshHandshake is how old the last handshake of a peer that works may be.
	freshHandshake = 180 * time.Second
	// checkMargin is how much later than the interval an answer may be, as with wireproxy.
	checkMargin = 2 * time.Second
)

// health knows whether the tunnel works: by the handshakes of its peers, and by pings if
// the file has CheckAlive.
type health struct {
	status func() conf.Status
	ping   func(ctx context.Context, to netip.Addr) (time.Duration, error)
	check  proxyconf.CheckAlive
	now    func() time.Time

	mu       sync.Mutex
	answered map[netip.Addr]time.Time // the zero time: never
}

func newHealth(t *stackTunnel, check proxyconf.CheckAlive) *health {
	h := &health{status: t.tunnel.Status, ping: t.Ping, check: check, now: time.Now, answered: map[netip.Addr]time.Time{}}
	for _, a := range check.Addresses {
		h.answered[a] = time.Time{}
	}
	return h
}

// run pings the addresses of CheckAlive until ctx is done.
func (h *health) run(ctx context.Context) {
	var pings sync.WaitGroup
	defer pings.Wait()
	for len(h.check.Addresses) > 0 && ctx.Err() == nil {
		for _, a := range h.check.Addresses {
			pings.Go(func() { h.pingOnce(ctx, a) })
		}
		select {
		case <-ctx.Done():
		case <-time.After(h.check.Interval):
		}
	}
}

func (h *health) pingOnce(ctx context.Context, a netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, h.check.Interval)
	defer cancel()
	if _, err := h.ping(ctx, a); err == nil {
		h.mu.Lock()
		h.answered[a] = h.now()
		h.mu.Unlock()
	}
}

// serve serves the pages until stop is called, which returns when the socket is closed. A
// failure before that is sent to failed.
func (h *health) serve(text string) (failed <-chan error, stop func(), err error) {
	at, err := proxyconf.ParseListen(text)
	if err != nil {
		return nil, nil, err
	}
	l, err := listenAt(at)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", text, err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { ended <- server.Serve(l) })
	return ended, func() { server.Close(); serving.Wait() }, nil
}

// ServeHTTP serves the pages.
func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch path.Clean(r.URL.Path) {
	case "/":
		faults := append(h.stale(), h.silent()...)
		if len(faults) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		for _, fault := range faults {
			fmt.Fprintln(w, fault)
		}
		if len(faults) == 0 {
			fmt.Fprintln(w, "ready")
		}
	case "/readyz":
		if len(h.silent()) > 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		json.NewEncoder(w).Encode(h.times())
	case "/metrics":
		status := h.status()
		status.Erase() // keys that are zero are not written
		status.InProcess = true
		uapi.WriteStatus(bufio.NewWriter(w), &status)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, "the pages are /, /readyz and /metrics")
	}
}

// stale returns a line for each peer whose last handshake is too old.
func (h *health) stale() (faults []string) {
	status := h.status()
	defer status.Erase()
	for i, name := range show.Names(status.Peers) {
		switch last := status.Peers[i].LastHandshake; {
		case last.IsZero():
			faults = append(faults, fmt.Sprintf("peer %s: no handshake yet", name))
		case h.now().Sub(last) >= freshHandshake:
			faults = append(faults, fmt.Sprintf("peer %s: the last handshake was %v ago", name, h.now().Sub(last).Round(time.Second)))
		}
	}
	return faults
}

// silent returns a line for each address of CheckAlive that has not answered in time.
func (h *health) silent() (faults []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.check.Addresses {
		if h.now().Sub(h.answered[a]) > h.check.Interval+checkMargin {
			faults = append(faults, fmt.Sprintf("%v: no answer to a ping in time", a))
		}
	}
	return faults
}

// times returns when each address has last answered, in seconds since 1970; 0: never.
func (h *health) times() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	times := map[string]int64{}
	for a, at := range h.answered {
		times[a.String()] = 0
		if !at.IsZero() {
			times[a.String()] = at.Unix()
		}
	}
	return times
}
