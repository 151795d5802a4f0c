package e2e

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// digits are what stands for the key of a tunnel in the log of its peer.
func digits(t *testing.T, tun *lab.Tunnel) string {
	t.Helper()
	public, err := base64.StdEncoding.DecodeString(tun.Public)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", public[:4])
}

// With LOG_LEVEL=verbose, the logs of both ends describe handshakes: with which peer,
// which attempt of how many, and why one was refused or given up. They contain no
// secrets. // B30
func TestLogTellsOfHandshakes(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	logged := func(h *lab.Host, limit time.Duration, want string) {
		t.Helper()
		lab.Until(t, limit, "in the log of host "+h.Name+": "+want, func() (bool, string) {
			log := h.Must("cat /run/wgd.log")
			return strings.Contains(log, want), log
		})
	}
	peer := func(name string, tun *lab.Tunnel) string {
		return "interface=wg0 peer=" + name + " key=" + digits(t, tun)
	}

	b.Ping(lab.InnerA4, 1)
	toA, toB := peer(a.Name, ta)+" endpoint=192.0.2.1:1234", peer(b.Name, tb)+" endpoint=192.0.2.2:1235"
	logged(b, 10*time.Second, `msg="handshake initiation sent" `+toA+` attempt="1 of 18" why="there is no session"`)
	logged(a, 10*time.Second, `msg="handshake initiation received" `+toB)
	logged(a, 10*time.Second, `msg="handshake response sent" `+toB)
	logged(b, 10*time.Second, `msg="a session begins" `+toA+` role=initiator`)
	logged(a, 10*time.Second, `msg="a session begins" `+toB+` role=responder`)

	// A does not answer.
	b.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=1 net.wg.rekey_attempt_time=3")
	a.Must("wg-ifconfig wg0 down")
	b.Must("wg-ifconfig wg0 down up")
	b.NoPing(lab.InnerA4)
	logged(b, 10*time.Second, `msg="handshake initiation sent" `+toA+` attempt="3 of 3" why="no answer"`)
	lab.Until(t, 10*time.Second, "in the log of host b: given up and why", func() (bool, string) {
		log := b.Must("grep 'handshake given up' /run/wgd.log || true")
		return strings.Contains(log, `msg="handshake given up" `+toA+` attempt="3 of 3" after=`) && strings.Contains(log, ` why="no answer"`), log
	})
	logged(b, 10*time.Second, `msg="packets that waited for a session are dropped" `+peer(a.Name, ta))

	// The preshared keys differ.
	b.Must("umask 077; wg-keygen --psk > /etc/wg/psk; wgconfig wg0 set peer %s --preshared-key=/etc/wg/psk", a.Name)
	a.Must("wg-ifconfig wg0 up")
	b.NoPing(lab.InnerA4)
	logged(b, 10*time.Second, `msg="handshake response refused" `+peer(a.Name, ta)+` from=192.0.2.1:1234 why="it does not authenticate`)

	for _, h := range []*lab.Host{a, b} {
		log := h.Must("cat /run/wgd.log")
		for _, secret := range []string{a.Must("cat /etc/wg/wg0"), b.Must("cat /etc/wg/wg0"), b.Must("cat /etc/wg/psk")} {
			if strings.Contains(log, strings.TrimSpace(secret)) {
				t.Errorf("the log of host %s contains a secret", h.Name)
			}
		}
	}
}
