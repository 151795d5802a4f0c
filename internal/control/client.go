package control

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/sys/errno"
	"wgd/internal/uapi"
)

// ErrNotRunning is matched (errors.Is) by the error of Dial if no daemon runs
// for the interface.
var ErrNotRunning = errors.New("not running")

// A notRunning error is ErrNotRunning as a sentence.
type notRunning struct{ name string }

func (e notRunning) Error() string {
	return fmt.Sprintf("%s: no such interface: create it with `wg-ifconfig %s create`", e.name, e.name)
}

func (e notRunning) Is(target error) bool { return target == ErrNotRunning }

// A Client is the client's end of a connection. Its methods must not be called
// at the same time.
type Client struct {
	name    string
	conn    *timedConn
	request *bufio.Writer
	answers *uapi.Reader
}

// Dial connects to the daemon of an interface, of which the name is given, or the path
// of the socket. Its errors are sentences.
func Dial(name string) (*Client, error) {
	path := SocketPath(name)
	name, err := nameOf(name)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("unix", path, pauseTimeout)
	switch {
	case errno.NobodyListens(err):
		return nil, notRunning{name}
	case err != nil:
		return nil, explain(name, path, err)
	}
	return newClient(name, conn), nil
}

func newClient(name string, conn net.Conn) *Client {
	timed := &timedConn{Conn: conn}
	return &Client{
		name:    name,
		conn:    timed,
		request: bufio.NewWriterSize(timed, answerBuffer),
		answers: uapi.NewReader(timed),
	}
}

// Status requests the state of the interface.
func (c *Client) Status() (conf.Status, error) {
	if err := uapi.WriteGet(c.request); err != nil {
		return conf.Status{}, c.explain(err)
	}
	status, err := c.answers.Status()
	if err != nil {
		return conf.Status{}, c.explain(err)
	}
	status.Name = c.name
	return status, nil
}

// EachPeer requests the state of the interface, and calls f for each peer. However many
// there are, none is kept in memory. f must not keep the peer, nor its keys.
func (c *Client) EachPeer(f func(*conf.PeerStatus)) error {
	err := uapi.WriteGet(c.request)
	if err == nil {
		err = c.answers.EachPeer(f)
	}
	return c.explain(err)
}

// Summary requests what the interface has done. A daemon of an older version refuses it.
func (c *Client) Summary() (conf.Summary, error) {
	if err := uapi.WriteSummaryRequest(c.request); err != nil {
		return conf.Summary{}, c.explain(err)
	}
	summary, err := c.answers.Summary()
	if err != nil {
		return conf.Summary{}, c.explain(err)
	}
	summary.Name = c.name
	return summary, nil
}

// Apply requests a Change. If the daemon refuses it, the error is the daemon's
// sentence.
func (c *Client) Apply(change conf.Change) error {
	if err := change.Validate(); err != nil {
		return err
	}
	err := uapi.WriteChange(c.request, &change)
	if err == nil {
		err = c.answers.Result()
	}
	return c.explain(err)
}

// explain adds the name of the interface to an error of the connection. It
// returns the daemon's own sentence unchanged.
func (c *Client) explain(err error) error {
	var refused *uapi.Error
	if errno.Broken(err) { // perhaps it has answered before it read the request
		if answer := c.answers.Result(); errors.As(answer, &refused) {
			return answer
		}
	}
	switch {
	case err == nil, errors.As(err, &refused):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s: the daemon does not answer: see its log", c.name)
	}
	return fmt.Errorf("%s: control socket: %w", c.name, err)
}

// Reload asks the daemon to read its file again. The error is the daemon's sentence.
func (c *Client) Reload() error {
	err := uapi.WriteReload(c.request)
	if err == nil {
		err = c.answers.Result()
	}
	return c.explain(err)
}

// Close closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Running reports whether a daemon listens on the interface's socket; it may be
// too busy to answer. Users who have no permission to connect also learn it.
func Running(name string) bool {
	if _, err := os.Lstat(SocketPath(name)); err != nil {
		return false
	}
	conn, err := net.DialTimeout("unix", SocketPath(name), pauseTimeout)
	if err == nil {
		conn.Close()
	}
	return !errno.NobodyListens(err)
}

// Names returns the names of the interfaces for which a daemon is running, in
// alphabetical order.
func Names() ([]string, error) {
	var paths []string
	for _, dir := range dirs() {
		here, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
		if err != nil {
			return nil, err
		}
		paths = append(paths, here...)
	}
	var names []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), suffix)
		if conf.ValidInterfaceName(name) == nil && Running(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
