package main

import (
	"os"
	"path/filepath"
	"testing"

	"wgd/cmd/wgd-peers/etcd"
)

// What is wrong with the options of etcd is said before anything is sent.
func TestEtcdOptions(t *testing.T) {
	s := newShell(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s.fails(1, "--etcd-ca is for a store in etcd", "list", "--etcd-ca=x")
	s.path = "etcd://127.0.0.1:9/test"
	s.fails(1, "none: no such file or directory", "list", "--etcd-credentials="+filepath.Join(dir, "none"))
	s.fails(1, "write USER:PASSWORD in one line", "list", "--etcd-credentials="+write("credentials", "topsecret\n"))
	s.fails(1, "--etcd-ca: open "+filepath.Join(dir, "none"), "list", "--etcd-ca="+filepath.Join(dir, "none"))
	s.fails(1, "give both", "list", "--etcd-key="+write("key", "x"))
	t.Setenv(etcd.CredentialsVariable, "topsecret")
	s.fails(1, "the variable WGD_ETCD_CREDENTIALS: write USER:PASSWORD", "list")
	t.Setenv(etcd.CredentialsVariable, "")
	s.path = "etcd:/127.0.0.1"
	s.fails(1, "write etcd://HOST:PORT,HOST:PORT/PREFIX", "list")
	s.path = "etcds://127.0.0.1:9"
	s.fails(1, "etcd at 127.0.0.1:9: there was no answer within 6s: start it, or correct the addresses in --store: dial tcp 127.0.0.1:9: connect: connection refused", "list")
}
