package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/peerform"
	"wgd/key"
)

// maxForm is how long the body of a request may be.
const maxForm = 64 << 10

// What a form does to a peer.
const (
	addPeer    = "add"
	changePeer = "set"
	removePeer = "delete"
)

type (
	// A formJSON is what a user has entered about a peer. A field that is nil was not
	// touched.
	formJSON struct {
		Interface string  `json:"interface"`
		Action    string  `json:"action"`
		Key       string  `json:"key"` // of the peer; when it is added, as entered
		Name      *string `json:"name"`
		Allowed   *string `json:"allowed"`
		Endpoint  *string `json:"endpoint"`
		Keepalive *string `json:"keepalive"`
		// Apply is false while the user is still typing: only the errors and the command
		// are wanted.
		Apply bool `json:"apply"`
		// Client is what the file for a new peer gets; nil: it has a key already.
		Client *clientJSON `json:"client"`
	}
	answerJSON struct {
		Command string            `json:"command,omitempty"` // that does the same
		Errors  map[string]string `json:"errors,omitempty"`  // by field
		Error   string            `json:"error,omitempty"`   // the daemon's, or one of no field
		Done    bool              `json:"done,omitempty"`
		File    *fileJSON         `json:"file,omitempty"` // for a new peer
	}
)

// A form is a formJSON while it is being answered.
type form struct {
	formJSON
	status *conf.Status
	answer answerJSON
	change conf.PeerChange
	words  []string // of the command, as the shell reads them
}

// change answers a form: with errors, with the command that does the same, and if it is to
// be applied, with what the daemon says.
func (h *Handler) change(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "Not a form of this page", "Only the page itself can send forms.")
		return
	}
	var f form
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&f.formJSON); err != nil || conf.ValidInterfaceName(f.Interface) != nil {
		refuse(w, http.StatusBadRequest, "Not a form of this page", "The form cannot be read: open the page again.")
		return
	}
	f.answer.Errors = map[string]string{}
	if err := f.run(h.addresses); err != nil {
		f.answer.Error = err.Error()
	}
	answer(w, f.answer)
}

// run checks the form, and applies it. The errors of fields are in the answer.
func (f *form) run(addresses Addresses) error {
	client, err := control.Dial(f.Interface)
	if err != nil {
		return err
	}
	defer client.Close()
	status, err := client.Status()
	if err != nil {
		return err
	}
	status.Erase()
	f.status = &status
	f.words = []string{"wgconfig", quoted(f.Interface), f.Action, "peer"}
	switch f.Action {
	case addPeer:
		f.add(addresses)
	case changePeer, removePeer:
		f.find()
	default:
		return errors.New("the page has sent a form that wgd web does not know: open it again")
	}
	if f.Action != removePeer {
		f.settings()
	}
	if len(f.answer.Errors) > 0 {
		return nil
	}
	if f.Action == changePeer && f.change.Name == nil && f.Allowed == nil && f.Endpoint == nil && f.Keepalive == nil {
		return errors.New("there is nothing to change")
	}
	f.answer.Command = strings.Join(f.words, " ")
	if !f.Apply {
		return nil
	}
	return f.apply(client)
}

// find finds the peer of the form.
func (f *form) find() {
	peer, name, err := show.Find(f.status, f.Key)
	if err != nil {
		f.answer.Errors["key"] = err.Error()
		return
	}
	f.words = append(f.words, quoted(cmp.Or(peer.Name, peer.PublicKey.Base64())))
	f.change = conf.PeerChange{PublicKey: peer.PublicKey, Remove: f.Action == removePeer, UpdateOnly: f.Action == changePeer}
	if f.Name == nil || f.Action == removePeer || *f.Name == name {
		return
	}
	f.words = append(f.words, quoted("--rename="+*f.Name))
	f.change.Name = f.Name
	f.check("name", cmp.Or(conf.ValidName(*f.Name), peerform.CheckRename(f.status, peer, *f.Name)))
}

// add checks the name and the key of a new peer, or makes a key.
func (f *form) add(addresses Addresses) {
	if f.Name == nil {
		f.Name = new(string)
	}
	f.change.Name = f.Name
	f.check("name", conf.ValidName(*f.Name))
	if f.Client != nil {
		f.checkClient(addresses)
		file := quoted(*f.Name + ".key")
		f.words = append([]string{"(umask 077; wg-keygen >" + file + ") &&"}, append(f.words, quoted(*f.Name), `"$(wg-keygen --pub <`+file+`)"`)...)
		if f.answer.Errors["name"] == "" {
			f.check("name", peerform.CheckAdd(f.status, *f.Name, key.Public{}))
		}
		return
	}
	public, err := key.ParsePublic(strings.TrimSpace(f.Key))
	f.check("key", err)
	f.change.PublicKey = public
	f.words = append(f.words, quoted(*f.Name), public.Base64())
	if len(f.answer.Errors) == 0 {
		field := "key"
		err := peerform.CheckAdd(f.status, *f.Name, public)
		if peerform.CheckAdd(f.status, *f.Name, key.Public{}) != nil {
			field = "name"
		}
		f.check(field, err)
	}
}

// settings adds those that the user has touched.
func (f *form) settings() {
	option := func(name string, value *string) bool {
		if value == nil || f.Action == addPeer && *value == "" {
			return false
		}
		f.words = append(f.words, quoted("--"+name+"="+*value))
		return true
	}
	if option("allowed-ips", f.Allowed) {
		var err error
		f.change.AllowedIPs, err = peerform.AllowedIPs(*f.Allowed)
		f.change.ReplaceAllowedIPs = f.Action == changePeer
		f.check("allowed", err)
	}
	if option("endpoint", f.Endpoint) {
		if *f.Endpoint == "" {
			f.check("endpoint", errors.New("an endpoint cannot be removed: give another one, or remove the peer and add it again"))
		} else {
			f.check("endpoint", peerform.SetEndpoint(&f.change, *f.Endpoint))
		}
	}
	if option("persistent-keepalive", f.Keepalive) {
		seconds, err := peerform.Keepalive(*f.Keepalive)
		f.change.PersistentKeepalive = &seconds
		f.check("keepalive", err)
	}
}

// check keeps the error of a field.
func (f *form) check(field string, err error) {
	if err != nil {
		f.answer.Errors[field] = err.Error()
	}
}

// apply requests the change.
func (f *form) apply(client *control.Client) error {
	if f.Client == nil {
		err := client.Apply(conf.Change{Peers: []conf.PeerChange{f.change}})
		f.answer.Done = err == nil
		return err
	}
	return f.applyClient(client)
}

// quoted quotes a word for the shell where that is necessary.
func quoted(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=./,:@+%", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !safe(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
