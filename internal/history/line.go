package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/key"
)

// A Line is a line of the log: an event, of which interface it is, and of which run of
// its daemon.
type Line struct {
	Interface string
	Run       string
	Event     conf.Event
}

// The times that a line may have: those of which differences do not overflow.
var (
	earliest = time.Unix(0, 0)
	latest   = earliest.Add(200 * 365 * 24 * time.Hour)
)

// maxSinceBoot is longer than any computer runs.
const maxSinceBoot = 100 * 365 * 24 * time.Hour

// Parse reads a line. It ignores fields that it does not know, and accepts kinds that it
// does not know.
func Parse(line []byte) (Line, error) {
	var j show.JSONEvent
	if err := json.Unmarshal(line, &j); err != nil {
		return Line{}, errors.New("not a line of wgd watch --log")
	}
	if err := conf.ValidInterfaceName(j.Interface); err != nil {
		return Line{}, fmt.Errorf("interface: %w", err)
	}
	if err := conf.ValidName(j.Name); j.Name != "" && err != nil {
		return Line{}, fmt.Errorf("name: %w", err)
	}
	if j.Kind == "" {
		return Line{}, errors.New("it has no kind")
	}
	l := Line{Interface: j.Interface, Run: j.Run, Event: conf.Event{
		Seq: j.Seq, Kind: conf.EventKind(j.Kind), Name: j.Name, Initiator: j.Initiator, Renewed: j.Renewed,
		Cause: j.Cause, Reason: j.Reason, Missed: j.Missed,
	}}
	e := &l.Event
	var err error
	if e.Time, err = time.Parse(time.RFC3339Nano, j.Time); err != nil || e.Time.Before(earliest) || e.Time.After(latest) {
		return Line{}, errors.New("it has no time, or an impossible one")
	}
	var fits [2]bool
	e.SinceBoot, fits[0] = seconds(j.SinceBoot)
	e.After, fits[1] = seconds(j.After)
	if fits != [2]bool{true, true} {
		return Line{}, errors.New("it has an impossible duration")
	}
	if j.PublicKey != "" {
		if e.Peer, err = key.ParsePublic(j.PublicKey); err != nil {
			return Line{}, errors.New("public_key: not a key")
		}
	}
	if j.Endpoint != "" {
		if e.Endpoint, err = netip.ParseAddrPort(j.Endpoint); err != nil {
			return Line{}, errors.New("endpoint: not an address and port")
		}
	}
	return l, nil
}

// seconds returns a number of seconds as a duration. ok is false if it is negative or
// impossible.
func seconds(s float64) (d time.Duration, ok bool) {
	ok = s >= 0 && s <= maxSinceBoot.Seconds() // also false if it is not a number
	if ok {
		d = time.Duration(s * float64(time.Second))
	}
	return d, ok
}
