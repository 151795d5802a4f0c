package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/driver"
	"wgd/internal/wire"
	"wgd/key"
)

// keyDigits is how many hexadecimal digits of its public key stand for a peer.
const keyDigits = 8

// LogPeer returns the attributes that identify a peer in every log line: peer=NAME
// key=DIGITS. The digits replace a missing name, as in the output of wgconfig.
func LogPeer(name string, public key.Public) slog.Attr {
	return slog.Group("", slog.String("peer", PeerName(name, public)), slog.String("key", public.Hex()[:keyDigits])) // inline
}

// PeerName returns the name of a peer, or the first digits of its key if it has none.
func PeerName(name string, public key.Public) string {
	if name == "" {
		return public.Hex()[:keyDigits]
	}
	return name
}

// handshakeLog logs each handshake at the level Debug. It logs nothing per packet,
// and limits the lines about refusals, which anybody can cause.
type handshakeLog struct {
	log *slog.Logger

	mu sync.Mutex
	// Lines that strangers cause must not displace lines about peers, for
	// example that their preshared keys differ.
	strangers, peers logLimit
}

func (l *handshakeLog) enabled() bool {
	return l.log.Enabled(context.Background(), slog.LevelDebug)
}

func (l *handshakeLog) write(what string, attrs ...slog.Attr) {
	l.log.LogAttrs(context.Background(), slog.LevelDebug, what, attrs...)
}

// output logs an output and its result.
func (l *handshakeLog) output(now clock.Time, out *core.Output, result driver.Outcome) {
	if !l.enabled() {
		return
	}
	switch out.Kind {
	case core.Send:
		l.sent(out, result.Err)
	case core.Purge:
		if result.Purged > 0 {
			l.write("packets that waited for a session are dropped", LogPeer(out.Name, out.PublicKey), slog.Int("packets", result.Purged))
		}
	case core.Log:
		l.event(now, out)
	}
}

func (l *handshakeLog) sent(out *core.Output, err error) {
	kind, _ := wire.TypeOf(out.Message)
	what := kind.String() + " sent"
	if !batch.Sent(err) {
		what = kind.String() + " not sent"
	}
	attrs := []slog.Attr{LogPeer(out.Name, out.PublicKey), slog.Any("endpoint", out.Endpoint.Remote)}
	if out.Attempt > 0 {
		attrs = append(attrs, attempt(out), slog.String("why", out.Cause.String()))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	l.write(what, attrs...)
}

func attempt(out *core.Output) slog.Attr {
	return slog.String("attempt", fmt.Sprintf("%d of %d", out.Attempt, out.Attempts))
}

func (l *handshakeLog) event(now clock.Time, out *core.Output) {
	switch out.Event {
	case core.InitiationRefused, core.ResponseRefused:
		l.machineRefused(now, out)
		return
	}
	var attrs []slog.Attr
	if out.Peer != nil {
		attrs = append(attrs, LogPeer(out.Name, out.PublicKey))
	}
	if out.Endpoint.IsValid() {
		attrs = append(attrs, slog.Any("endpoint", out.Endpoint.Remote))
	}
	switch out.Event {
	case core.SessionBegun:
		role := "responder"
		if out.Initiator {
			role = "initiator"
		}
		attrs = append(attrs, slog.String("role", role), slog.Duration("after", out.After))
	case core.SessionLost:
		attrs = append(attrs, slog.String("why", out.Cause.String()))
	case core.PeerBack:
		attrs = append(attrs, slog.Duration("after", out.After))
	case core.NameNotFound:
		attrs = append(attrs, slog.String("why", out.Why))
	case core.GivenUp:
		attrs = append(attrs, attempt(out), slog.Duration("after", out.After), slog.String("why", out.Cause.String()))
	}
	l.write(out.Event.String(), attrs...)
}

// machineRefused logs a message that the machine refused.
func (l *handshakeLog) machineRefused(now clock.Time, out *core.Output) {
	limit := &l.strangers
	if out.Peer != nil {
		limit = &l.peers
	}
	omitted, ok := l.allow(limit, now)
	if !ok {
		return
	}
	var attrs []slog.Attr
	if out.Peer != nil {
		attrs = append(attrs, LogPeer(out.Name, out.PublicKey))
	} else if !out.PublicKey.IsZero() { // claimed by the message, not proven
		attrs = append(attrs, slog.String("key", out.PublicKey.Hex()[:keyDigits]))
	}
	attrs = append(attrs, slog.Any("from", out.Endpoint.Remote), slog.String("why", out.Cause.String()))
	l.writeLimited(omitted, out.Event.String(), attrs...)
}

// dropped logs a message that was dropped before the queues; why is the reason
// under which the drop is counted.
func (l *handshakeLog) dropped(now clock.Time, from wire.Endpoint, msg []byte, why dataplane.Drop) {
	omitted, ok := l.allow(&l.strangers, now)
	if !ok {
		return
	}
	kind, _ := wire.TypeOf(msg)
	l.writeLimited(omitted, kind.String()+" dropped", slog.Any("from", from.Remote), slog.String("why", why.String()))
}

// answered logs a message that was answered by a cookie reply; err is the error
// of sending the reply.
func (l *handshakeLog) answered(now clock.Time, from wire.Endpoint, msg []byte, err error) {
	omitted, ok := l.allow(&l.strangers, now)
	if !ok {
		return
	}
	kind, _ := wire.TypeOf(msg)
	attrs := []slog.Attr{slog.Any("from", from.Remote)}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	l.writeLimited(omitted, kind.String()+" answered by a cookie reply, because of the load", attrs...)
}

// allow reports whether the limit allows a line, and how many lines were omitted
// before it. Call it before composing the line: a flood calls it very often.
func (l *handshakeLog) allow(limit *logLimit, now clock.Time) (omitted int, ok bool) {
	if !l.enabled() {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return limit.take(now)
}

// writeLimited writes a line that allow has allowed.
func (l *handshakeLog) writeLimited(omitted int, what string, attrs ...slog.Attr) {
	if omitted > 0 {
		attrs = append(attrs, slog.Int("omitted", omitted))
	}
	l.write(what, attrs...)
}

const (
	// logBurst lines are allowed at once, then one per logInterval.
	logBurst    = 10
	logInterval = time.Second
)

// logLimit limits the rate of log lines.
type logLimit struct {
	bucket  clock.Bucket
	omitted int
}

// take reports whether a line is allowed now, and how many were omitted since the
// last one.
func (l *logLimit) take(now clock.Time) (omitted int, ok bool) {
	if !l.bucket.Take(now, logBurst, logInterval) {
		l.omitted++
		return 0, false
	}
	omitted, l.omitted = l.omitted, 0
	return omitted, true
}
