package show

import (
	"fmt"
	"time"

	"wgd/conf"
)

// JSONEvent is a line of what `wgd watch --json` prints, as documented in the manual:
// later versions may add fields and kinds, but change none.
type JSONEvent struct {
	Interface string  `json:"interface"`
	Run       string  `json:"run"`
	Seq       uint64  `json:"seq"`
	Time      string  `json:"time"`
	SinceBoot float64 `json:"since_boot"` // in seconds
	Kind      string  `json:"kind"`
	Text      string  `json:"text"`

	PublicKey string  `json:"public_key,omitempty"`
	Name      string  `json:"name,omitempty"`
	Endpoint  string  `json:"endpoint,omitempty"`
	Initiator bool    `json:"initiator,omitempty"`
	Renewed   bool    `json:"renewed,omitempty"`
	After     float64 `json:"after,omitempty"` // in seconds
	Stamp     string  `json:"stamp,omitempty"`
	RxBytes   uint64  `json:"rx_bytes,omitempty"`
	TxBytes   uint64  `json:"tx_bytes,omitempty"`
	Count     uint64  `json:"count,omitempty"`
	Cause     string  `json:"cause,omitempty"`
	Reason    string  `json:"reason,omitempty"`
	Missed    uint64  `json:"missed,omitempty"`
	PID       int     `json:"pid,omitempty"`
	UID       *uint32 `json:"uid,omitempty"`
	Command   string  `json:"command,omitempty"`
}

// EventJSON returns an event of an interface, and of a run of its daemon.
func EventJSON(name, run string, e *conf.Event) JSONEvent {
	out := JSONEvent{
		Interface: name, Run: run, Seq: e.Seq, Time: e.Time.Format(time.RFC3339Nano), SinceBoot: e.SinceBoot.Seconds(),
		Kind: string(e.Kind), Text: EventText(e), Name: e.Name, Initiator: e.Initiator, Renewed: e.Renewed,
		After: e.After.Seconds(), RxBytes: e.RxBytes, TxBytes: e.TxBytes, Count: e.Count, Cause: e.Cause, Reason: e.Reason, Missed: e.Missed, PID: e.By.PID, Command: e.By.Command,
	}
	if !e.Peer.IsZero() {
		out.PublicKey = e.Peer.String()
	}
	if e.Endpoint.IsValid() {
		out.Endpoint = e.Endpoint.String()
	}
	if !e.Stamp.IsZero() {
		out.Stamp = e.Stamp.String()
	}
	if e.By.PID != 0 {
		out.UID = &e.By.UID
	}
	return out
}

// EventLine returns an event as a line for a person: the time, the interface, the peer
// if there is one, and a sentence.
func EventLine(name string, e *conf.Event) string {
	line := e.Time.Local().Format("2006-01-02 15:04:05.000") + " " + name
	if !e.Peer.IsZero() {
		peer := e.Name
		if peer == "" {
			peer = e.Peer.Hex()[:minDigits]
		}
		line += " peer " + peer
	}
	return line + ": " + EventText(e)
}

// EventText says in a sentence what happened, without its subject.
func EventText(e *conf.Event) string {
	because := ""
	if e.Reason != "" {
		because = ": " + e.Reason
	}
	at := ""
	if e.Endpoint.IsValid() {
		at = " at " + e.Endpoint.String()
	}
	switch e.Kind {
	case conf.EventsBegin:
		return fmt.Sprintf("the events after number %d follow", e.Seq)
	case conf.EventsEnd:
		return "the daemon has ended"
	case conf.WatchStarted:
		return "wgd watch was started"
	case conf.EventsMissed:
		return fmt.Sprintf("%d events were missed here: the daemon does not keep them any more", e.Missed)
	case conf.WentUp:
		return "the interface is up"
	case conf.WentDown:
		return "the interface is down, and all sessions have ended"
	case conf.Faulted:
		return "the interface is up but does not work" + because
	case conf.HandshakeDone:
		return sessionText(e, at)
	case conf.HandshakeFailed:
		return "no session" + at + because
	case conf.EndpointMoved:
		return "the endpoint is now " + e.Endpoint.String()
	case conf.PeerQuiet:
		return "nothing comes back" + at + ": a handshake begins"
	case conf.PeerBack:
		return fmt.Sprintf("it is heard again%s, after %v", at, e.After.Round(100*time.Millisecond))
	case conf.SessionEnded:
		if e.Peer.IsZero() {
			return "all sessions have ended" + because
		}
		return "the session has ended" + because
	case conf.PeerReturned:
		return fmt.Sprintf("the peer was lent, and is removed%s, after %d bytes received and %d sent", because, e.RxBytes, e.TxBytes)
	case conf.PacketsDropped:
		return dropText(e) + because
	case conf.NameFailed:
		return "the name of the endpoint cannot be looked up" + because
	case conf.NameFound:
		return "the name of the endpoint can be looked up again"
	case conf.ConfigurationChanged:
		return "the configuration was changed" + byText(e.By) + because
	}
	return string(e.Kind) + because
}

func sessionText(e *conf.Event, at string) string {
	what, who := "a new session", "the peer"
	if e.Renewed {
		what = "the session was renewed"
	}
	if e.Initiator {
		who = "this side"
	}
	return fmt.Sprintf("%s%s: %s began the handshake, which took %v", what, at, who, e.After.Round(10*time.Microsecond))
}

func dropText(e *conf.Event) string {
	what := fmt.Sprintf("%d packets were dropped (%s)", e.Count, e.Cause)
	if e.Count == 1 {
		what = fmt.Sprintf("a packet was dropped (%s)", e.Cause)
	}
	switch {
	case !e.Endpoint.IsValid():
		return what
	case e.Count == 1:
		return what + ", from " + e.Endpoint.String()
	}
	return what + ", the last from " + e.Endpoint.String()
}

func byText(by conf.Caller) string {
	if by.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" by %s (process %d of user %d)", by.Command, by.PID, by.UID)
}
