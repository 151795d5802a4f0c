package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wgd/internal/sys/errno"
	"wgd/internal/sys/process"
	"wgd/internal/sys/unixsocket"
)

// dir is the folder of the sockets through which a Server says what it does.
var dir = "/run/wgd-peers" // changed in tests

const (
	socketSuffix  = ".sock"
	answerTimeout = 10 * time.Second
)

// socketPath returns the path of the socket about an interface.
func socketPath(name string) string {
	return filepath.Join(process.RuntimeDir(dir), name+socketSuffix)
}

// Listen makes the sockets of the interfaces, and answers there until end is called. It returns
// an error if another program serves one of them.
func (s *Server) Listen() (end func(), err error) {
	var servers []*http.Server
	var paths []string
	end = func() {
		for i, server := range servers {
			os.Remove(paths[i])
			server.Close()
		}
	}
	for _, i := range s.interfaces {
		path := socketPath(i.name)
		listener, err := listen(i.name, path)
		if err != nil {
			end()
			return nil, err
		}
		server := &http.Server{Handler: s.Page(i.name), ReadHeaderTimeout: answerTimeout, WriteTimeout: answerTimeout}
		servers, paths = append(servers, server), append(paths, path)
		go server.Serve(listener)
	}
	return end, nil
}

// listen makes the socket of an interface, which nobody else may serve.
func listen(name, path string) (net.Listener, error) {
	conn, err := net.DialTimeout("unix", path, answerTimeout)
	if err == nil {
		conn.Close()
	}
	if !errno.NobodyListens(err) {
		return nil, fmt.Errorf("%s: another wgd-peers serves this interface: end it first", name)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("%w: use sudo, or correct the permissions of the folder", err)
	}
	listener, err := unixsocket.Make(path, nil)
	if err != nil {
		return nil, fmt.Errorf("the socket of wgd-peers status: %w", err)
	}
	return listener, nil
}

// Reports returns the reports of all interfaces that programs on this computer serve. What
// cannot be read is an error among them.
func Reports(ctx context.Context) (list []Report, err error) {
	paths, _ := filepath.Glob(socketPath("*"))
	for _, path := range paths {
		var r Report
		switch e := ask(ctx, path, reportPath, &r); {
		case e == nil:
			list = append(list, r)
		case !errno.NobodyListens(e):
			err = errors.Join(err, fmt.Errorf("%s: wgd-peers serve does not answer: %w", strings.TrimSuffix(filepath.Base(path), socketSuffix), e))
		}
	}
	return list, err
}

// Peers returns the peers of an interface that a program manages.
func Peers(ctx context.Context, name string) (list []HeldPeer, err error) {
	return list, ask(ctx, socketPath(name), peersPath, &list)
}

// ask requests JSON on a socket.
func ask(ctx context.Context, socket, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wgd-peers"+path, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(v)
}
