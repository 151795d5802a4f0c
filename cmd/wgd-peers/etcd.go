package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/sys/file"
)

var (
	optEtcdCA          = cli.Option{Long: "etcd-ca", Value: "FILENAME", Text: "Use TLS, and accept members of etcd whose certificates are signed by one in this file (PEM), instead of by those that the system trusts."}
	optEtcdCert        = cli.Option{Long: "etcd-cert", Value: "FILENAME", Text: "Use TLS, and show etcd the certificate in this file (PEM)."}
	optEtcdKey         = cli.Option{Long: "etcd-key", Value: "FILENAME", Text: "The private key of that certificate (PEM)."}
	optEtcdCredentials = cli.Option{Long: "etcd-credentials", Value: "FILENAME", Text: "A file with USER:PASSWORD for etcd, in one line. Without it: the variable " + etcd.CredentialsVariable + ", if it is set."}
)

// openEtcd returns an opener of stores in etcd.
func openEtcd(withTLS bool) opener {
	return func(ctx context.Context, c *cli.Call, address string, create bool) (store.Store, error) {
		o, err := etcd.ParseAddress(address)
		if err != nil {
			return nil, err
		}
		o.CA, o.Cert, o.Key = valueOf(c, optEtcdCA), valueOf(c, optEtcdCert), valueOf(c, optEtcdKey)
		o.TLS = withTLS || o.CA != "" || o.Cert != "" || o.Key != ""
		warnIfReadable(c, o.Key, "this key")
		if err := credentials(c, o); err != nil {
			return nil, err
		}
		return etcd.Open(ctx, o, create)
	}
}

// credentials sets user and password, if they are given.
func credentials(c *cli.Call, o *etcd.Options) error {
	path, given := c.Value(optEtcdCredentials.Long)
	if !given {
		text := os.Getenv(etcd.CredentialsVariable)
		if text == "" {
			return nil
		}
		if err := o.SetCredentials([]byte(text)); err != nil {
			return fmt.Errorf("the variable %s: %w", etcd.CredentialsVariable, err)
		}
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w: correct the path, or its permissions", quote.Path(path), withoutPath(err))
	}
	defer clear(text)
	warnIfReadable(c, path, "this password")
	if err := o.SetCredentials(text); err != nil {
		return fmt.Errorf("%s: %w", quote.Path(path), err)
	}
	return nil
}

// warnIfReadable prints a warning if others may read a file with a secret.
func warnIfReadable(c *cli.Call, path, what string) {
	if info, err := os.Stat(path); err == nil && file.ReadableByOthers(info) {
		c.Warnf("%s: others may read %s: make it private with chmod 600", quote.Path(path), what)
	}
}

// noEtcd returns an error if options for etcd are given for another store.
func noEtcd(c *cli.Call) error {
	for _, o := range []cli.Option{optEtcdCA, optEtcdCert, optEtcdKey, optEtcdCredentials} {
		if c.Has(o.Long) {
			return errors.New("--" + o.Long + " is for a store in etcd: name it with --store=etcd://HOST:PORT,HOST:PORT/PREFIX")
		}
	}
	return nil
}
