package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"wgd/internal/quote"
)

// CredentialsVariable is the environment variable with USER:PASSWORD.
const CredentialsVariable = "WGD_ETCD_CREDENTIALS"

// Options say where a store is and how to connect.
type Options struct {
	Endpoints []string // HOST:PORT each
	Prefix    string   // of all keys, without a / at its end
	TLS       bool
	CA        string // the file of the certificate that signed the servers'; "": those of the system
	Cert, Key string // the files of the client's certificate and its key; "": none

	user     string
	password []byte
}

const (
	defaultPort   = "2379"
	defaultPrefix = "/wgd"
)

// ParseAddress parses what follows etcd: in the URL of a store: //HOST:PORT,HOST:PORT/PREFIX.
func ParseAddress(text string) (*Options, error) {
	rest, ok := strings.CutPrefix(text, "//")
	hosts, prefix, _ := strings.Cut(rest, "/")
	if !ok || hosts == "" {
		return nil, errors.New("store: write etcd://HOST:PORT,HOST:PORT/PREFIX, with one address of each member of the cluster")
	}
	o := &Options{Prefix: defaultPrefix}
	for item := range strings.SplitSeq(hosts, ",") {
		endpoint, err := parseEndpoint(item)
		if err != nil {
			return nil, err
		}
		o.Endpoints = append(o.Endpoints, endpoint)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		o.Prefix = "/" + prefix
	}
	if i := strings.IndexFunc(prefix, func(r rune) bool { return !validInPrefix(r) }); i >= 0 {
		return nil, fmt.Errorf("store: prefix %s: use letters, digits and ._-/ only", quote.Name(prefix))
	}
	return o, nil
}

func validInPrefix(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-/", r)
}

// parseEndpoint parses HOST:PORT or HOST.
func parseEndpoint(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), defaultPort
	}
	n, numeric := strconv.ParseUint(port, 10, 16)
	switch {
	case strings.Contains(host, "@"):
		return "", errors.New("store: write no user and password in the URL: give them with --etcd-credentials or in the variable " + CredentialsVariable)
	case host == "" || strings.ContainsAny(host, "[]/?# \t") || strings.Contains(host, ":") && net.ParseIP(host) == nil:
		return "", fmt.Errorf("store: member %s: write HOST:PORT", quote.Name(text))
	case numeric != nil || n == 0:
		return "", fmt.Errorf("store: member %s: give a port from 1 to 65535", quote.Name(text))
	}
	return net.JoinHostPort(host, port), nil
}

// SetCredentials parses USER:PASSWORD. It makes a copy.
func (o *Options) SetCredentials(text []byte) error {
	user, password, found := strings.Cut(strings.TrimRight(string(text), "\r\n"), ":")
	if !found || user == "" || password == "" || strings.ContainsAny(password, "\r\n") {
		return errors.New("write USER:PASSWORD in one line")
	}
	o.user, o.password = user, []byte(password)
	return nil
}

// tls returns how to encrypt the connections, or nil.
func (o *Options) tls() (*tls.Config, error) {
	if !o.TLS {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("--etcd-ca: %w: correct the path, or its permissions", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--etcd-ca: %s: it has no certificate: give a file in PEM", quote.Path(o.CA))
		}
	}
	switch {
	case o.Cert == "" && o.Key == "":
		return t, nil
	case o.Cert == "" || o.Key == "":
		return nil, errors.New("--etcd-cert and --etcd-key: give both: a certificate and its key")
	}
	// Read anew for each connection, so that a renewed certificate needs no new start.
	t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		return &pair, err
	}
	if _, err := t.GetClientCertificate(nil); err != nil {
		return nil, fmt.Errorf("--etcd-cert and --etcd-key: %w: give a certificate and its key, in PEM", err)
	}
	return t, nil
}
