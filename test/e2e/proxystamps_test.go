package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// writeStamp writes a file of timestamps with one record, an hour ahead of the clock. See
// internal/state.
func writeStamp(t *testing.T, h *lab.Host, path string, kind byte, public []byte) {
	t.Helper()
	record := make([]byte, 16, 52)
	record[0] = kind
	binary.BigEndian.PutUint64(record[4:], uint64(time.Now().Add(time.Hour).Unix()+1<<62+10))
	record = append(record, public...)
	record = binary.BigEndian.AppendUint32(record, crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)))
	h.Must("mkdir -p -m 700 %s", filepath.Dir(path))
	if err := os.WriteFile(h.Path(path), append([]byte("wgd stamps v001\n"), record...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A proxy whose clock was set back by an hour still has a handshake, because it stores its
// timestamps as the daemon does. // A20
func TestProxyAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	public, err := base64.StdEncoding.DecodeString(strings.TrimSpace(b.Must("sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf | wg-keygen --pub")))
	if err != nil {
		t.Fatal(err)
	}
	const ceiling, received = 1, 2
	writeStamp(t, a, "/var/lib/wgd/wg0.stamps", received, public)
	a.Must("wgd up wg0")
	writeStamp(t, b, "/var/lib/wgd/wg0.stamps", ceiling, make([]byte, 32))
	contains(t, b.Must("wgd proxy wg0 --ping 10.2.0.1"), "4 packets transmitted, 4 received")
}
