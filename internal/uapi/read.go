package uapi

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// A Reader reads the answers of a daemon, one after the other.
type Reader struct{ lines lines }

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{lines{r: r}} }

// Result reads the answer to a set. It returns an *Error if the daemon refused
// the request, or another error if the connection failed.
func (r *Reader) Result() error {
	return r.answer(func(name, value []byte) error { return nil })
}

// Buffered returns what was received behind the last answer.
func (r *Reader) Buffered() []byte { return bytes.Clone(r.lines.buf[r.lines.start:r.lines.end]) }

// Status reads the answer to a get. It ignores keys that it does not know, which
// newer versions and other daemons may send.
func (r *Reader) Status() (conf.Status, error) {
	var s conf.Status
	err := r.answer(func(name, value []byte) error { return readStatusLine(&s, name, value) })
	if err != nil {
		return conf.Status{}, err
	}
	if !s.PrivateKey.IsZero() {
		s.PublicKey = s.PrivateKey.Public()
	}
	return s, nil
}

// EachPeer reads the answer to a get like Status, but calls f for each peer instead of
// keeping all of them in memory. f must not keep the peer, whose preshared key is erased
// afterwards.
func (r *Reader) EachPeer(f func(*conf.PeerStatus)) error {
	var s conf.Status
	pass := func() {
		for i := range s.Peers {
			f(&s.Peers[i])
		}
		s.Erase()
		clear(s.Peers)
		s.Peers = s.Peers[:0]
	}
	err := r.answer(func(name, value []byte) error {
		if string(name) == peerKeyName {
			pass()
		}
		return readStatusLine(&s, name, value)
	})
	if err == nil {
		pass()
	}
	s.Erase()
	return err
}

// answer reads an answer to its empty line, and calls handle for all lines except
// errno= and error=. It returns an error if there was no errno=.
func (r *Reader) answer(handle func(name, value []byte) error) error {
	defer r.lines.erase()
	result, concluded := &Error{}, false
	var malformed error
	for {
		line, err := r.lines.next()
		if err != nil && !errors.Is(err, errTooLong) {
			return connectionError(err)
		}
		if err == nil && len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte{'='})
		switch {
		case err != nil || !ok:
			malformed = errors.New("the daemon's answer has a line that is too long, or not of the form key=value")
		case string(name) == "errno":
			n, err := strconv.Atoi(string(value))
			concluded = err == nil
			result.Errno = max(n, -n)
		case string(name) == "error":
			result.Sentence = sentence(string(value))
		default:
			if err := handle(name, value); err != nil && malformed == nil {
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
		return errNoResult
	}
	return nil
}

// ErrClosed is the error of an answer that ended too early.
var ErrClosed = errors.New("the daemon closed the connection before its answer was complete; perhaps the daemon has ended")
var errNoResult = errors.New("the daemon's answer contains no result (errno=)")

func connectionError(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrClosed
	}
	return err
}

func readStatusLine(s *conf.Status, name, value []byte) error {
	if string(name) == peerKeyName {
		public, err := key.ParsePublicHex(string(value))
		s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: public})
		return err
	}
	if n := len(s.Peers); n > 0 {
		if r := peerKeys[string(name)]; r != nil && r.read != nil {
			return r.read(&s.Peers[n-1], r.name, value)
		}
		return nil
	}
	if r, known := interfaceKey(name); r != nil && r.read != nil {
		return r.read(s, known, value)
	}
	return nil
}

// parseCounted parses NAME:COUNT.
func parseCounted(name string, value []byte) (what string, count uint64, err error) {
	i := bytes.LastIndexByte(value, ':')
	if i < 0 {
		return "", 0, invalid.Errorf("%s: %s: not NAME:COUNT", name, quote.Text(string(value)))
	}
	err = parseInto(&count, name, value[i+1:])
	return sentence(string(value[:i])), count, err
}

// handshakeTime returns the time of the last handshake in seconds and
// nanoseconds, both 0 if there was none.
func handshakeTime(p *conf.PeerStatus) (sec, nsec uint64) {
	if at := p.LastHandshake; !at.IsZero() && at.Unix() > 0 {
		return uint64(at.Unix()), uint64(at.Nanosecond())
	}
	return 0, 0
}

// addTime adds the seconds or the nanoseconds to the time of the last handshake.
// Their lines may be in either order. If both are 0, there was none.
func addTime(p *conf.PeerStatus, name string, value []byte, unit time.Duration) error {
	var n uint64
	if err := parseInto(&n, name, value); err != nil || n == 0 {
		return err
	}
	if n > 1<<40 {
		return invalid.Errorf("%s: %s: too large for the time of a handshake", name, quote.Text(string(value)))
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

func parseInto[T uint8 | uint16 | uint32 | uint64](dst *T, name string, value []byte) error {
	var n *T
	if err := parseNumber(name, value, &n); err != nil {
		return err
	}
	*dst = *n
	return nil
}
