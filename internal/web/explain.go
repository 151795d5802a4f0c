package web

import (
	"net/http"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
	"wgd/key"
)

// explain answers with the explanation of one peer, for which the host is asked as well.
func (h *Handler) explain(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("interface")
	wanted, err := key.ParsePublic(r.URL.Query().Get("peer"))
	if err != nil || conf.ValidInterfaceName(name) != nil {
		refuse(w, http.StatusBadRequest, "No such peer", "The address names no peer.")
		return
	}
	status := statusOf(w, name)
	if status == nil {
		return
	}
	for i := range status.Peers {
		if status.Peers[i].PublicKey == wanted {
			one := *status // of the host, only what concerns this peer is asked
			one.Peers = status.Peers[i : i+1]
			facts := explain.Facts{Now: time.Now(), Status: status, Names: show.Names(status.Peers), Host: h.diagnose(&one)}
			p := facts.Peer(i)
			p.Reasons = append(facts.Shared(i), p.Reasons...)
			answer(w, p)
			return
		}
	}
	refuse(w, http.StatusNotFound, "No such peer", "The peer has been removed.")
}

// statusOf returns the status of an interface without secrets. It answers, and returns nil,
// if there is none.
func statusOf(w http.ResponseWriter, name string) *conf.Status {
	status, err := control.StatusOf(name)
	if err != nil {
		refuse(w, http.StatusNotFound, "No such interface", err.Error())
		return nil
	}
	status.Erase()
	return &status
}
