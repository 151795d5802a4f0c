package uapi

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"time"

	"wgd/conf"
	"wgd/key"
)

// Reader reads the answers of a daemon, one after the other.
type Reader struct{ lines lines }

// NewReader reads answers from r.
func NewReader(r io.Reader) *Reader { return &Reader{lines{r: r}} }

// Result reads the answer to a set: nil or an *Error, or the error of the
// connection.
func (r *Reader) Result() error {
	return r.answer(func(name, value []byte) error { return nil })
}

// Status reads the answer to a get. Keys that it does not know belong to a
// newer daemon, or another, and are passed over.
func (r *Reader) Status() (conf.Status, error) {
	var s conf.Status
	err := r.answer(func(name, value []byte) error { return takeStatus(&s, string(name), value) })
	if err != nil {
		return conf.Status{}, err
	}
	if !s.PrivateKey.IsZero() {
		s.PublicKey = s.PrivateKey.Public()
	}
	return s, nil
}

// answer reads up to the empty line. It must have had errno=.
func (r *Reader) answer(take func(name, value []byte) error) error {
	defer r.lines.erase()
	result, concluded := &Error{}, false
	var malformed error
	for {
		line, err := r.lines.next()
		if err != nil && !errors.Is(err, errTooLong) {
			return cutOff(err)
		}
		if err == nil && len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		switch {
		case err != nil || !ok:
			malformed = errors.New("the daemon's answer is not in the language of the socket")
		case string(name) == "errno":
			n, err := strconv.Atoi(string(value))
			concluded = err == nil
			result.Errno = max(n, -n)
		case string(name) == "error":
			result.Sentence = sentence(string(value))
		default:
			if err := take(name, value); err != nil && malformed == nil {
				malformed = err
			}
		}
	}
	switch {
	case concluded && result.Errno != 0:
		return result
	case malformed != nil:
		return malformed
	case !concluded:
		return errors.New("the daemon's answer has no conclusion (errno=)")
	}
	return nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the daemon ended the connection before its answer was complete: it may just be ending")
	}
	return err
}

func takeStatus(s *conf.Status, name string, value []byte) error {
	if name == "public_key" {
		public, err := key.ParsePublicHex(string(value))
		s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: public})
		return err
	}
	if len(s.Peers) > 0 {
		return takePeer(&s.Peers[len(s.Peers)-1], name, value)
	}
	var err error
	switch name {
	case "private_key":
		s.PrivateKey, err = key.ParsePrivateHex(string(value))
		clear(value)
	case "listen_port":
		err = into(&s.ListenPort, name, value)
	case "fwmark":
		err = into(&s.FirewallMark, name, value)
	case "up":
		s.Up = string(value) == "1"
	case "mtu":
		var mtu uint32
		err = into(&mtu, name, value)
		s.MTU = int(mtu)
	case "fault":
		s.Fault = sentence(string(value))
	case "aead":
		s.AEAD = sentence(string(value))
	case "drop":
		var d conf.Drop
		d.Reason, d.Count, err = counted(name, value)
		s.Drops = append(s.Drops, d)
	case "counter":
		var c conf.Counter
		c.Name, c.Count, err = counted(name, value)
		s.Counters = append(s.Counters, c)
	default:
		if isTunable(name) {
			var c conf.TunablesChange
			if c.Set(name, string(value)) == nil {
				s.Tunables = c.ApplyTo(s.Tunables)
			}
		}
	}
	return err
}

// counted reads what and how often, in that order, with a colon between.
func counted(name string, value []byte) (what string, count uint64, err error) {
	i := bytes.LastIndexByte(value, ':')
	if i < 0 {
		return "", 0, conf.Invalidf("%s: %s: not NAME:COUNT", name, quote(value))
	}
	err = into(&count, name, value[i+1:])
	return sentence(string(value[:i])), count, err
}

func takePeer(p *conf.PeerStatus, name string, value []byte) error {
	var err error
	switch name {
	case "allowed_ip":
		var prefix netip.Prefix
		prefix, err = netip.ParsePrefix(string(value))
		p.AllowedIPs = append(p.AllowedIPs, prefix)
	case "name":
		p.Name = string(value)
		err = conf.ValidName(p.Name)
	case "preshared_key":
		p.PresharedKey, err = key.ParsePresharedHex(string(value))
		clear(value)
	case "endpoint":
		p.Endpoint, err = netip.ParseAddrPort(string(value))
	case "persistent_keepalive_interval":
		err = into(&p.PersistentKeepalive, name, value)
	case "rx_bytes":
		err = into(&p.RxBytes, name, value)
	case "tx_bytes":
		err = into(&p.TxBytes, name, value)
	case "last_handshake_time_sec":
		err = addTime(p, name, value, time.Second)
	case "last_handshake_time_nsec":
		err = addTime(p, name, value, time.Nanosecond)
	}
	return err
}

// addTime adds a part of the time of the last handshake, whose two lines may
// come in either order. Zero and zero is never.
func addTime(p *conf.PeerStatus, name string, value []byte, unit time.Duration) error {
	var n uint64
	if err := into(&n, name, value); err != nil || n == 0 {
		return err
	}
	if n > 1<<40 {
		return conf.Invalidf("%s: %s: no time of a handshake", name, quote(value))
	}
	at := p.LastHandshake
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	sec, nsec := at.Unix(), int64(at.Nanosecond())
	if unit == time.Second {
		sec += int64(n)
	} else {
		nsec += int64(n)
	}
	p.LastHandshake = time.Unix(sec, nsec)
	return nil
}

func into[T uint8 | uint16 | uint32 | uint64](dst *T, name string, value []byte) error {
	var n *T
	if err := number(name, value, &n); err != nil {
		return err
	}
	*dst = *n
	return nil
}
