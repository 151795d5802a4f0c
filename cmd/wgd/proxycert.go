package main

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"

	"wgd/internal/proxyconf"
)

// A certificate is read again when its files have changed, so that a renewed one is used
// without a new start.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu   sync.Mutex
	pair *tls.Certificate
	seen [2]fs.FileInfo // of the files, when they were last read
}

// openCertificate reads a certificate and its key.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	c.changed()
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("CertFile and KeyFile: %w: correct the paths; relative ones start at the folder in which wgd runs", err)
	}
	return c, nil
}

// get is a GetCertificate of a tls.Config. While new files cannot be used, because only one
// of the two has been replaced yet for example, the certificate stays as it was.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed() {
		if err := c.read(); err != nil {
			c.log.Warn("the certificate stays the old one", "err", err)
		} else {
			c.log.Info("the certificate was read again")
		}
	}
	return c.pair, nil
}

func (c *certificate) read() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		c.pair = &pair
	}
	return err
}

// changed reports whether a file is another one than at the last call.
func (c *certificate) changed() (changed bool) {
	for i, path := range []string{c.certFile, c.keyFile} {
		now, err := os.Stat(path)
		if err != nil {
			continue // it is being replaced
		}
		before := c.seen[i]
		if before == nil || !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) || before.Size() != now.Size() {
			c.seen[i], changed = now, true
		}
	}
	return changed
}

// listenTLS listens like listenOutside, and speaks TLS if the service has a certificate.
func listenTLS(s *proxyconf.Service, log *slog.Logger) (net.Listener, error) {
	if s.CertFile == "" {
		return listenOutside(s)
	}
	c, err := openCertificate(s.CertFile, s.KeyFile, log)
	if err != nil {
		return nil, err
	}
	l, err := listenOutside(s)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{GetCertificate: c.get}), nil
}
