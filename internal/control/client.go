package control

import (
	"errors"

	"wgd/conf"
)

// ErrNotRunning is (errors.Is) every Dial's error when no daemon has that name.
var ErrNotRunning = errors.New("not running")

// Client is the other end of a socket.
type Client struct{}

// Dial connects to the daemon of the interface. Its errors are sentences.
func Dial(name string) (*Client, error) { return nil, errors.New("contract") }

// Status asks for the state of the interface.
func (c *Client) Status() (conf.Status, error) { return conf.Status{}, errors.New("contract") }

// Apply asks for a Change; the error is the daemon's sentence.
func (c *Client) Apply(change conf.Change) error { return errors.New("contract") }

// Close ends the connection.
func (c *Client) Close() error { return nil }

// Names are the interfaces whose daemons answer, sorted.
func Names() ([]string, error) { return nil, errors.New("contract") }
