package explain

import (
	"fmt"

	"wgd/conf"
)

// Cause is the name of a cause, for programs.
type Cause string

// The causes. Later versions may have more.
const (
	NoEndpoint       Cause = "no-endpoint"
	NameUnknown      Cause = "name-does-not-resolve"
	NoTraffic        Cause = "no-traffic"
	NoAnswer         Cause = "no-answer"
	Firewall         Cause = "firewall"
	NoOuterRoute     Cause = "no-route-to-endpoint"
	EndpointInside   Cause = "endpoint-routed-into-tunnel"
	SendError        Cause = "send-error"
	PresharedKey     Cause = "preshared-key"
	NotConfirmed     Cause = "not-confirmed"
	ClockBack        Cause = "clock-went-back"
	Unreachable      Cause = "unreachable"
	CookieLoop       Cause = "cookie-loop"
	SourceRefused    Cause = "source-refused"
	SourceOfAnother  Cause = "source-of-another-peer"
	AllowedIPsTaken  Cause = "allowed-ips-taken"
	NoAllowedIPs     Cause = "no-allowed-ips"
	UnknownKey       Cause = "unknown-key"
	WrongPublicKey   Cause = "wrong-public-key"
	NoPeerFor        Cause = "no-peer-for-destination"
	PortTaken        Cause = "port-taken"
	MTUTooLarge      Cause = "mtu-too-large"
	RulesGone        Cause = "policy-rules-gone"
	RoutesGone       Cause = "routes-gone"
	MarkOff          Cause = "mark-off"
	ReverseFilter    Cause = "reverse-path-filter"
	NotRouted        Cause = "not-routed"
	InterfaceDown    Cause = "interface-down"
	NoPrivateKey     Cause = "no-private-key"
	InterfaceFailure Cause = "interface-failure"
)

// A rule recognizes one cause. It returns false if there is no sign of it.
type rule struct {
	cause  Cause
	reason func(*view) (text, remedy string, ok bool)
}

// handshakeRules are about handshakes that fail, the likeliest cause first: what this
// host or the peer said comes before silence.
var handshakeRules = []rule{
	{EndpointInside, inside},
	{Firewall, firewall},
	{NoOuterRoute, noOuterRoute},
	{SendError, sendError},
	{PresharedKey, presharedKey},
	{ClockBack, clockBack},
	{CookieLoop, cookieLoop},
	{Unreachable, unreachable},
	{NotConfirmed, notConfirmed},
}

// silence is the rule if none of these applies.
var silence = rule{NoAnswer, noAnswer}

// otherRules are about everything but handshakes.
var otherRules = []rule{
	{EndpointInside, insideInUse},
	{NameUnknown, nameUnknown},
	{NoEndpoint, noEndpoint},
	{NoAllowedIPs, noAllowedIPs},
	{NotRouted, notRouted},
	{NoTraffic, noTraffic},
	{SourceOfAnother, sourceOfAnother},
	{SourceRefused, sourceRefused},
	{AllowedIPsTaken, allowedIPsTaken},
	{MTUTooLarge, mtuTooLarge},
}

// sendFailure returns the observation that sending failed with one of these errors.
func (v *view) sendFailure(names ...string) *conf.Observation {
	o := v.seen(conf.SendFailed)
	if o == nil {
		return nil
	}
	for _, name := range names {
		if o.Detail == name {
			return o
		}
	}
	return nil
}

func firewall(v *view) (text, remedy string, ok bool) {
	o := v.sendFailure(refused...)
	if o == nil {
		return "", "", false
	}
	if o.Detail == "EACCES" {
		return fmt.Sprintf("this host does not permit sending to %s (EACCES), %s, last %s: a route or a policy rule prohibits it, or the address is a broadcast address", where(o.Address), count(o.Count, "time", "times"), v.ago(o.Last)),
			fmt.Sprintf("ip route get %s%s says whether it is prohibited; ip rule and ip route show where", o.Address.Addr(), v.markOption()), true
	}
	return fmt.Sprintf("this host's own firewall refuses to send to %s (%s), %s, last %s", where(o.Address), o.Detail, count(o.Count, "time", "times"), v.ago(o.Last)),
		fmt.Sprintf("let UDP from port %d to %s pass in the output chains: see nft list ruleset", v.Status.ListenPort, where(o.Address)), true
}

// The errors of sending that have causes of their own.
var (
	refused = []string{"EPERM", "EACCES"}
	noWay   = []string{"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EAFNOSUPPORT"}
)

func noOuterRoute(v *view) (text, remedy string, ok bool) {
	o := v.sendFailure(noWay...)
	if o == nil {
		return "", "", false
	}
	return fmt.Sprintf("this host has no way to the endpoint %s (%s), last tried %s", where(o.Address), o.Detail, v.ago(o.Last)),
		fmt.Sprintf("check whether the network is connected: ip route get %s%s shows the route", o.Address.Addr(), v.markOption()), true
}

// markOption is the option of ip-route(8) for the mark of the interface.
func (v *view) markOption() string {
	if v.Status.FirewallMark == 0 {
		return ""
	}
	return fmt.Sprintf(" mark %#x", v.Status.FirewallMark)
}

func sendError(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.SendFailed)
	if o == nil || v.sendFailure(refused...) != nil || v.sendFailure(noWay...) != nil {
		return "", "", false
	}
	remedy = "the log at level verbose has the error"
	if o.Detail == "EINVAL" { // as the kernel answers where a route is a blackhole
		remedy = fmt.Sprintf("look whether ip route show to match %s has a blackhole route; if not, %s", o.Address.Addr(), remedy)
	}
	return fmt.Sprintf("the system refuses to send to %s (%s), %s, last %s", where(o.Address), orUnknown(o.Detail), count(o.Count, "time", "times"), v.ago(o.Last)),
		remedy, true
}

func orUnknown(detail string) string {
	if detail == "" {
		return "unknown error"
	}
	return detail
}

func presharedKey(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.ResponseRefused)
	if o == nil {
		return "", "", false
	}
	return fmt.Sprintf("the peer answers from %s, but its answers do not authenticate (%s, last %s): the preshared keys of the two ends differ, or one end has none",
			where(o.Address), count(o.Count, "time", "times"), v.ago(o.Last)),
		"set the same preshared key at both ends; the peer sees only that its answers are not confirmed", true
}

func clockBack(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.TimestampReplayed)
	if o == nil {
		return "", "", false
	}
	return fmt.Sprintf("%s from %s had a timestamp that is not newer than one accepted before, last %s: the clock of the peer went back, or somebody repeats old messages",
			count(o.Count, "initiation", "initiations"), where(o.Address), v.ago(o.Last)),
		"set the clock of the peer; if its clock is right and was ahead before, remove the peer here and add it again. The peer itself sees only silence", true
}

// enough is how often something has to happen that is normal if it happens once.
const enough = 3

func cookieLoop(v *view) (text, remedy string, ok bool) {
	o, silent := v.seen(conf.CookieReceived), v.seen(conf.NoAnswer)
	if o == nil || silent == nil || o.Count < enough {
		return "", "", false
	}
	return fmt.Sprintf("the peer is under load and asks for a cookie each time (%s, last %s), but accepts no message that carries one: a NAT on the path changes our address or port from message to message, or the load is more than the peer can serve",
			count(o.Count, "time", "times"), v.ago(o.Last)),
		"look at the load of the peer, and at the NATs on the path", true
}

func notConfirmed(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.NotConfirmed)
	if o == nil || o.Count < enough && v.Now.Sub(o.First) < settleTime {
		return "", "", false
	}
	return fmt.Sprintf("initiations of the peer arrive from %s, and %s sent there, last %s, but the peer uses none: it does not receive them, or the preshared keys differ",
			where(o.Address), count(o.Count, "response was", "responses were"), v.ago(o.Last)),
		"look at the peer: it sees which of the two it is. If it sees silence, a firewall or NAT on the path drops our datagrams", true
}

// noAnswer is the reason if nothing else is known: only the responder can tell why it
// does not answer.
func noAnswer(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.NoAnswer)
	if o == nil {
		return "", "", false
	}
	for i := range v.Status.Observations {
		if x := &v.Status.Observations[i]; x.Kind == conf.BadMAC1 && x.Address.Addr() == o.Address.Addr() && v.recent(x) {
			return fmt.Sprintf("nothing comes back from %s, but handshakes for another public key than ours arrive from there: that host has a wrong public key for us, so ours for it may be wrong as well", where(o.Address)),
				"compare the public keys at both ends: ours is " + v.Status.PublicKey.Base64(), true
		}
	}
	return fmt.Sprintf("nothing comes back from %s (%s since %s). It is not the peer's address and port, the peer is down, a firewall drops the datagrams, or one end has a wrong public key of the other, which WireGuard never says",
			where(o.Address), count(o.Count, "initiation", "initiations"), v.clock(o.First)),
		"run wgd explain at the peer: only there can be seen whether our initiations arrive, and for which key they are. Compare the keys: ours is " + v.Status.PublicKey.Base64() + ", and the peer's here is " + v.peer.PublicKey.Base64(), true
}
