package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// The numbers of SOCKS5 (RFC 1928 and 1929).
const (
	socksVersion = 5
	authVersion  = 1

	noAuth           = 0
	passwordAuth     = 2
	noMethodAccepted = 0xff

	cmdConnect   = 1
	cmdBind      = 2
	cmdAssociate = 3

	typeIPv4 = 1
	typeName = 3
	typeIPv6 = 4
)

// A reply is what a server answers to a request.
type reply byte

const (
	succeeded               reply = 0
	generalFailure          reply = 1
	replyNetworkUnreachable reply = 3
	replyHostUnreachable    reply = 4
	connectionRefused       reply = 5
	ttlExpired              reply = 6 // also for a timeout
	commandNotSupported     reply = 7
	addressTypeNotSupported reply = 8
)

// replyFor returns the reply that tells a client why dial failed.
func replyFor(err error) reply {
	switch failureOf(err) {
	case refused:
		return connectionRefused
	case hostUnreachable:
		return replyHostUnreachable
	case networkUnreachable:
		return replyNetworkUnreachable
	case timedOut:
		return ttlExpired
	}
	return generalFailure
}

// An errVersion is the first byte of a client that does not speak SOCKS5.
type errVersion byte

func (v errVersion) Error() string {
	switch {
	case v == 4:
		return "the client speaks SOCKS4: set it to SOCKS5"
	case v >= 'A' && v <= 'Z':
		return "the client speaks HTTP: set it to SOCKS5, or to the port of the HTTP proxy"
	case v == 0x16:
		return "the client speaks TLS: set it to SOCKS5"
	}
	return fmt.Sprintf("the client does not speak SOCKS5: its first byte is %#x", byte(v))
}

// readGreeting reads the methods of authentication that a client offers.
func readGreeting(r io.Reader) (methods []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return nil, err
	}
	if head[0] != socksVersion {
		return nil, errVersion(head[0])
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return nil, unexpectedEOF(err)
	}
	methods = make([]byte, head[1])
	_, err = io.ReadFull(r, methods)
	return methods, unexpectedEOF(err)
}

// readCredentials reads a user name and a password (RFC 1929).
func readCredentials(r io.Reader) (username, password []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, nil, unexpectedEOF(err)
	}
	if head[0] != authVersion {
		return nil, nil, fmt.Errorf("authentication has version %d, not %d", head[0], authVersion)
	}
	rest := make([]byte, int(head[1])+1)
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, nil, unexpectedEOF(err)
	}
	username = rest[:head[1]]
	password = make([]byte, rest[head[1]])
	_, err = io.ReadFull(r, password)
	return username, password, unexpectedEOF(err)
}

// A request is what a client wants. For cmdAssociate, its target is where the
// client sends from, or has a zero port.
type request struct {
	command byte
	target  target
}

var (
	errAddressType = errors.New("the type of the address is not known")
	errShort       = errors.New("the message is cut off")
)

// readRequest reads a request. Only what belongs to it is read, because data may
// follow at once.
func readRequest(r io.Reader) (request, error) {
	var buf [4 + 1 + 255 + 2]byte
	if _, err := io.ReadFull(r, buf[:5]); err != nil {
		return request{}, unexpectedEOF(err)
	}
	if buf[0] != socksVersion {
		return request{}, errVersion(buf[0])
	}
	req := request{command: buf[1]}
	size, err := addressSize(buf[3:5])
	if err != nil {
		return req, err
	}
	if _, err := io.ReadFull(r, buf[5:3+size]); err != nil {
		return req, unexpectedEOF(err)
	}
	if req.command == cmdAssociate && buf[3] == typeName {
		// The sender's address, which decides nothing, need not be valid.
		req.target.port = binary.BigEndian.Uint16(buf[3+size-2:])
		return req, nil
	}
	req.target, _, err = parseAddress(buf[3 : 3+size])
	return req, err
}

// addressSize returns how long an address is, of which the first two bytes are
// given: type, address or name, and port.
func addressSize(head []byte) (int, error) {
	switch head[0] {
	case typeIPv4:
		return 1 + 4 + 2, nil
	case typeIPv6:
		return 1 + 16 + 2, nil
	case typeName:
		return 2 + int(head[1]) + 2, nil
	}
	return 0, errAddressType
}

// parseAddress parses the address that b begins with, and returns its length.
func parseAddress(b []byte) (target, int, error) {
	if len(b) < 2 {
		return target{}, 0, errShort
	}
	size, err := addressSize(b)
	if err != nil {
		return target{}, 0, err
	}
	if len(b) < size {
		return target{}, 0, errShort
	}
	port := binary.BigEndian.Uint16(b[size-2 : size])
	var to target
	if b[0] == typeName {
		to, err = newTarget(string(b[2:size-2]), port)
	} else {
		addr, _ := netip.AddrFromSlice(b[1 : size-2])
		to, err = addressTarget(addr, port)
	}
	return to, size, err
}

// appendAddress appends an address as messages contain it. An invalid one
// becomes 0.0.0.0:0.
func appendAddress(b []byte, a netip.AddrPort) []byte {
	addr := a.Addr().Unmap()
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
	}
	kind := byte(typeIPv6)
	if addr.Is4() {
		kind = typeIPv4
	}
	b = append(append(b, kind), addr.AsSlice()...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}

// appendReply appends the reply to a request.
func appendReply(b []byte, code reply, bound netip.AddrPort) []byte {
	return appendAddress(append(b, socksVersion, byte(code), 0), bound)
}

// parseDatagram parses the header of a datagram that a client sends.
func parseDatagram(b []byte) (to target, data []byte, err error) {
	if len(b) < 4 {
		return target{}, nil, errShort
	}
	if b[2] != 0 {
		return target{}, nil, errors.New("fragments are not supported")
	}
	to, size, err := parseAddress(b[3:])
	if err != nil {
		return target{}, nil, err
	}
	return to, b[3+size:], nil
}

// unexpectedEOF replaces io.EOF, which readGreeting returns only for a client
// that sent nothing.
func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
