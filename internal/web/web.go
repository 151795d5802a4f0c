// Package web serves a page with all interfaces and their peers, which follows them live.
// It is a client of the control sockets, through which it also adds, changes and removes
// peers. No secret of an interface gets further than to the function that reads the status.
package web

import (
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"wgd/conf"
	"wgd/internal/explain"
)

//go:embed page
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page/*.html"))

// maxStreams is how many browsers can follow at a time.
const maxStreams = 32

// A Handler serves the page.
type Handler struct {
	token, session string
	cookie         string
	mux            *http.ServeMux
	origin         *http.CrossOriginProtection
	source         source
	diagnose       func(*conf.Status) explain.Host
	addresses      Addresses
	streams        chan struct{} // has an element for each stream
}

// New returns a Handler for a server on the given port, and the token that a browser needs
// to be let in. diagnose asks the host what explain should know.
// addresses returns the addresses of an interface.
func New(port uint16, diagnose func(*conf.Status) explain.Host, addresses Addresses) (h *Handler, token string) {
	h = &Handler{
		token: rand.Text(), session: rand.Text(),
		cookie:   "wgd-web-" + strconv.Itoa(int(port)), // browsers send cookies to all ports of a host
		mux:      http.NewServeMux(),
		origin:   http.NewCrossOriginProtection(),
		diagnose: diagnose, addresses: addresses,
		streams: make(chan struct{}, maxStreams),
	}
	h.mux.HandleFunc("GET /enter", h.enter)
	h.mux.HandleFunc("GET /{$}", h.known(h.page))
	h.mux.HandleFunc("GET /stream", h.known(h.stream))
	h.mux.HandleFunc("GET /explain", h.known(h.explain))
	h.mux.HandleFunc("GET /client", h.known(h.client))
	h.mux.HandleFunc("POST /change", h.known(h.change))
	for name, kind := range map[string]string{"app.js": "text/javascript; charset=utf-8", "form.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8"} {
		h.mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			http.ServeFileFS(w, r, files, "page/"+name)
		})
	}
	return h, h.token
}

// ServeHTTP checks what a browser asks for before anything else looks at it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	switch {
	case !ownHost(r.Host):
		refuse(w, http.StatusMisdirectedRequest, "Another name", "This page is not served under the name in the address. Open it under the IP address that wgd web has printed, or as localhost.")
	case h.origin.Check(r) != nil:
		refuse(w, http.StatusForbidden, "Another site", "A page of another site has sent this. Only the page itself may.")
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
		refuse(w, http.StatusForbidden, "Another site", "A page of another site has asked for this. Only the page itself may.")
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// ownHost reports whether the host of a request is an IP address or localhost. A site whose
// name was made to lead to this computer (DNS rebinding) has a name of its own.
func ownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		name = host[1 : n-1]
	}
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost"
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// enter gives a browser that has the token a cookie in its place, so that the token does
// not stay in the address.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) {
	if !equal(r.URL.Query().Get("token"), h.token) {
		refuse(w, http.StatusForbidden, "Wrong token", "The address has another token than this wgd web. Each start makes a new one: open the address that was printed last.")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: h.cookie, Value: h.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// known serves only browsers that have the cookie.
func (h *Handler) known(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(h.cookie); err != nil || !equal(c.Value, h.session) {
			refuse(w, http.StatusUnauthorized, "Not let in yet", "Open the address with the token that wgd web has printed when it started.")
			return
		}
		serve(w, r)
	}
}

func (h *Handler) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	pages.ExecuteTemplate(w, "index.html", fields)
}

// refuse answers with a page that says what was wrong and what to do.
func refuse(w http.ResponseWriter, code int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	pages.ExecuteTemplate(w, "refused.html", struct{ Title, Text string }{title, text})
}

// answer answers with JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
