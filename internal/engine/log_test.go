package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/driver"
	"wgd/internal/sys/udp/udptest"
	"wgd/internal/wire"
	"wgd/key"
)

// debugLog makes an engine write to log at the level Debug.
func debugLog(log *lines) func(*World) {
	return func(w *World) {
		w.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// loggedPair is pair with the logs of both sites, and a name for b.
func loggedPair(t *testing.T) (a, b *site, logA, logB *lines) {
	logA, logB = &lines{}, &lines{}
	net := udptest.NewNet()
	a, b = newSite(t, net, 1, debugLog(logA)), newSite(t, net, 2, debugLog(logB))
	b.apply(peers(a.asPeer()))
	a.up()
	b.up()
	named := b.asPeer()
	name := "B"
	named.Name = &name
	a.apply(peers(named))
	return a, b, logA, logB
}

var volatile = regexp.MustCompile(`^time=\S+ level=DEBUG |after=\S+ ?`)

// handshakeLines returns the lines about handshakes, without the parts that vary.
func (l *lines) handshakeLines() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "handshake") || strings.Contains(line, "session") || strings.Contains(line, "cookie") {
			list = append(list, strings.TrimSpace(volatile.ReplaceAllString(strings.TrimSpace(line), "")))
		}
	}
	return list
}

func (l *lines) expect(t *testing.T, want ...string) {
	t.Helper()
	for i := range want {
		want[i] = "msg=" + want[i]
	}
	eventually(t, "as many lines as expected", func() bool { return len(l.handshakeLines()) >= len(want) })
	if got := l.handshakeLines(); !slices.Equal(got, want) {
		t.Errorf("logged:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// digits returns the digits of the key of s in the log.
func (s *site) digits() string { return hex.EncodeToString(s.public[:4]) }

// Both ends log the course of a handshake and identify the peer by its name or the
// first digits of its key, never by its address alone. The log contains no secret.
func TestLogOfAHandshake(t *testing.T) {
	a, b, logA, logB := loggedPair(t)
	secret := key.NewPreshared(&[32]byte{1, 2, 3, 4, 5})
	a.apply(peers(conf.PeerChange{PublicKey: b.public, PresharedKey: &secret}))
	b.apply(peers(conf.PeerChange{PublicKey: a.public, PresharedKey: &secret}))
	a.deliver(b, "hello")
	ofB := fmt.Sprintf("peer=B key=%s endpoint=%v", b.digits(), b.addr())
	ofA := fmt.Sprintf("peer=%s key=%s endpoint=%v", a.digits(), a.digits(), a.addr())
	logA.expect(t,
		`"handshake initiation sent" `+ofB+` attempt="1 of 18" why="there is no session"`,
		`"a session begins" `+ofB+` role=initiator`)
	logB.expect(t,
		`"handshake initiation received" `+ofA,
		`"handshake response sent" `+ofA,
		`"a session begins" `+ofA+` role=responder`)

	for _, log := range []*lines{logA, logB} {
		for _, secret := range [][]byte{a.private.Bytes(), b.private.Bytes(), {1, 2, 3, 4, 5}} {
			for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)[:4]} {
				if log.count(form) != 0 {
					t.Errorf("%q is in the log", form)
				}
			}
		}
	}
}

// B30: each retry is logged with its number and the maximum that the tunables allow.
// The last line has the reason and the number of packets lost.
func TestLogOfRetries(t *testing.T) {
	a, b, logA, _ := loggedPair(t)
	timeout, total := 2*time.Second, 5*time.Second
	a.apply(conf.Change{Tunables: conf.TunablesChange{RekeyTimeout: &timeout, RekeyAttemptTime: &total}})
	b.Down()
	a.inject(b, "hello")
	ofB := fmt.Sprintf("peer=B key=%s", b.digits())
	end := fmt.Sprintf(" endpoint=%v", netip.AddrPortFrom(b.outer, b.Status().ListenPort))
	want := []string{`"handshake initiation sent" ` + ofB + end + ` attempt="1 of 3" why="there is no session"`}
	for i := 2; i <= 3; i++ {
		logA.expect(t, slices.Clone(want)...)
		a.sleep(timeout + 400*time.Millisecond)
		want = append(want, fmt.Sprintf(`"handshake initiation sent" %s attempt="%d of 3" why="no answer"`, ofB+end, i))
	}
	logA.expect(t, slices.Clone(want)...)
	a.sleep(timeout + 400*time.Millisecond)
	logA.expect(t, append(want,
		`"handshake given up" `+ofB+end+` attempt="3 of 3" why="no answer"`,
		`"packets that waited for a session are dropped" `+ofB+` packets=1`)...)
}

// A27: under load, both the cookie reply and its receipt are logged.
func TestLogOfACookie(t *testing.T) {
	a, b, logA, logB := loggedPair(t)
	on := true
	b.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &on}})
	a.inject(b, "hello")
	logB.expect(t, fmt.Sprintf(`"handshake initiation answered by a cookie reply, because of the load" from=%v`, a.addr()))
	logA.expect(t,
		fmt.Sprintf(`"handshake initiation sent" peer=B key=%s endpoint=%v attempt="1 of 18" why="there is no session"`, b.digits(), b.addr()),
		fmt.Sprintf(`"cookie received: the next handshake message carries it" peer=B key=%s`, b.digits()))
}

// Strangers cannot fill the log: a few of the lines that they cause are logged, with
// the number of those omitted. They do not displace lines about peers, such as a
// different preshared key.
func TestLogOfRefusalsIsBounded(t *testing.T) {
	a, b, logA, logB := loggedPair(t)
	secret := key.NewPreshared(&[32]byte{9})
	a.apply(peers(conf.PeerChange{PublicKey: b.public, PresharedKey: &secret}))
	private, stranger := newKey(t)
	reply := (&wire.CookieReply{Receiver: 5}).AppendTo(nil)
	foreign := initiation(t, private, a.public) // with a wrong mac1 for b
	admitterB := b.newAdmitter()
	for range 1000 {
		admitterB.receive(from(1), foreign)
		admitterB.receive(from(2), reply)
	}
	if n := logB.count("dropped"); n < logBurst || n > logBurst+5 {
		t.Errorf("%d lines about 2000 messages, want %d to %d", n, logBurst, logBurst+5)
	}
	for _, want := range []string{
		`msg="handshake initiation dropped" from=10.0.0.1:51820 why=mac1`,
		`msg="cookie reply dropped" from=10.0.0.2:51820 why=handshake`,
	} {
		if logB.count(want) == 0 {
			t.Errorf("not logged: %s", want)
		}
	}
	b.sleep(2 * time.Second)
	admitterB.receive(from(3), initiation(t, private, b.public))
	admitterB.check(1)
	want := fmt.Sprintf(`msg="handshake initiation refused" key=%x from=10.0.0.3:51820 why="no peer has this public key" omitted=`, stranger[:4])
	eventually(t, "that lines were omitted", func() bool { return logB.count(want) == 1 })

	foreign = initiation(t, private, b.public)
	admitterA := a.newAdmitter()
	for range 100 {
		admitterA.receive(from(1), foreign)
	}
	a.inject(b, "hello")
	want = fmt.Sprintf(`msg="handshake response refused" peer=B key=%s from=%v why=%q`+"\n", b.digits(), b.addr(), core.NotAuthentic)
	eventually(t, "another preshared key", func() bool { return logA.count("response refused") > 0 })
	if logA.count(want) == 0 {
		t.Errorf("not logged, or with lines omitted: %s", want)
	}
}

// A send that a socket refuses is logged with the reason; a message that left from
// another source counts as sent (A52).
func TestLogOfSending(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, `"handshake response sent" peer=B key=01000000 endpoint=10.0.0.1:51820`},
		{batch.ErrSourceGone, `"handshake response sent" peer=B key=01000000 endpoint=10.0.0.1:51820 err="the source`},
		{errors.New("no route"), `"handshake response not sent" peer=B key=01000000 endpoint=10.0.0.1:51820 err="no route"`},
	} {
		var out bytes.Buffer
		l := &handshakeLog{log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		msg := (&wire.Response{}).AppendTo(nil)
		l.output(1, &core.Output{Kind: core.Send, Name: "B", PublicKey: key.Public{1}, Endpoint: from(1), Message: msg}, driver.Outcome{Err: c.err})
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: %s", c.err, out.String())
		}
	}
}

// Without the level Debug, no line is composed.
func TestQuietLogCostsNothing(t *testing.T) {
	l := &handshakeLog{log: slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))}
	msg := (&wire.Response{}).AppendTo(nil)
	outs := []core.Output{{Kind: core.Send, Endpoint: from(1), Message: msg}, {Kind: core.Log, Event: core.InitiationRefused}}
	if n := testing.AllocsPerRun(100, func() {
		for i := range outs {
			l.output(1, &outs[i], driver.Outcome{})
		}
		l.dropped(1, from(1), msg, 0)
		l.answered(1, from(1), msg, nil)
	}); n != 0 && !underRace {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Lines are logged no more often than the limit allows, and the number of omitted
// lines is reported once.
func TestLogLimit(t *testing.T) {
	var l logLimit
	now := clock.Time(time.Hour)
	logged := 0
	for range logBurst + 7 {
		if omitted, ok := l.take(now); ok && omitted == 0 {
			logged++
		}
	}
	if logged != logBurst {
		t.Errorf("%d lines at once, want %d", logged, logBurst)
	}
	for i, want := range []int{7, 0} {
		now = now.Add(logInterval)
		if omitted, ok := l.take(now); !ok || omitted != want {
			t.Errorf("line %d: %v, %d omitted, want %d", i, ok, omitted, want)
		}
	}
}
