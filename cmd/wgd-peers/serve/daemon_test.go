package serve

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// A daemon that does not answer does not hold up the end of the program.
func TestDaemonDoesNotAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wg0.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	d := Socket(path)
	for name, request := range map[string]func(context.Context) error{
		"Apply": func(ctx context.Context) error {
			return d.Apply(ctx, conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, Remove: true}}})
		},
		"Refuse":   func(ctx context.Context) error { return d.Refuse(ctx, refusal1(key.Public{1}, time.Second)) },
		"EachPeer": func(ctx context.Context) error { return d.EachPeer(ctx, func(*conf.PeerStatus) {}) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- request(ctx) }()
		conn := <-accepted
		cancel()
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s waits for an answer", name)
		}
		conn.Close()
	}
}
