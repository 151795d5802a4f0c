package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
)

// writeFile replaces a file, as programs that renew certificates do.
func writeFile(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// newCertificate makes a certificate with a serial number, and its key.
func newCertificate(t *testing.T, serial int64) (certificate, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial)}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	if private, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatal(err)
	}
	return certificate, private
}

// A renewed certificate is used as soon as both files are there. Until then, the old one is.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	if _, err := openCertificate(certFile, keyFile, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("files that do not exist are accepted")
	}
	certificate, private := newCertificate(t, 1)
	writeFile(t, certFile, "CERTIFICATE", certificate)
	writeFile(t, keyFile, "PRIVATE KEY", private)
	c, err := openCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := func(serial int64, when string) {
		t.Helper()
		pair, err := c.get(nil)
		if err != nil || pair.Leaf.SerialNumber.Int64() != serial {
			t.Errorf("%s: got number %v, %v, want %d", when, pair.Leaf.SerialNumber, err, serial)
		}
	}
	want(1, "at first")
	certificate, private = newCertificate(t, 2)
	writeFile(t, certFile, "CERTIFICATE", certificate)
	want(1, "with a new certificate and the old key")
	writeFile(t, keyFile, "PRIVATE KEY", private)
	want(2, "with both new")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	want(2, "without a key")
}
