package netstack

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"wgd/internal/asynctest"
	"wgd/internal/packet"
)

// A lockedBuffer is a buffer that one goroutine writes and another reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// segment returns a frame with a TCP segment to 10.2.0.42 from a sender of this
// number.
func segment(number uint32, port uint16, flags header.TCPFlags) [][]byte {
	const size = header.IPv4MinimumSize + header.TCPMinimumSize
	frame := make([]byte, packet.VirtioHeaderSize+size)
	from := tcpip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 11<<24|number>>4)))
	to := tcpip.AddrFrom4([4]byte{10, 2, 0, 42})
	ip := header.IPv4(frame[packet.VirtioHeaderSize:])
	ip.Encode(&header.IPv4Fields{TotalLength: size, TTL: 64, Protocol: uint8(header.TCPProtocolNumber), SrcAddr: from, DstAddr: to})
	ip.SetChecksum(^ip.CalculateChecksum())
	tcp := header.TCP(ip.Payload())
	tcp.Encode(&header.TCPFields{SrcPort: 1024 + uint16(number&15), DstPort: port, SeqNum: number, DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: 65535})
	pseudo := header.PseudoHeaderChecksum(header.TCPProtocolNumber, from, to, header.TCPMinimumSize)
	tcp.SetChecksum(^tcp.CalculateChecksum(checksum.Checksum(nil, pseudo)))
	return [][]byte{frame}
}

// causeMessages does what a peer can do to make gVisor log: the resets for its
// segments find the queue full. It ends when done returns true.
func causeMessages(t *testing.T, done func() bool) {
	_, b := pair(t)
	defer b.Close()
	listen(t, b)
	asynctest.Eventually(t, "gVisor logs", func() bool {
		for i := range uint32(2 * queueLength) {
			b.Write(segment(i, 80, header.TCPFlagSyn|header.TCPFlagAck))
		}
		return done()
	})
}

// What gVisor logs because of a peer goes to the logger that the program has set.
func TestGVisorLogsToSlog(t *testing.T) {
	var out lockedBuffer
	SetLog(slog.New(slog.NewTextHandler(&out, nil)))
	defer SetLog(nil)
	causeMessages(t, func() bool { return out.String() != "" })
	if got := out.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "gVisor: ") {
		t.Errorf("logged %q", got)
	}
}

// Without a logger, messages are discarded and not printed to standard error. The
// test runs itself in a process of its own, whose standard error it reads.
func TestGVisorPrintsNothing(t *testing.T) {
	const inside = "WGD_TEST_GVISOR_LOG"
	if os.Getenv(inside) != "" {
		log.Warningf("a message of gVisor")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestGVisorPrintsNothing$")
	cmd.Env = append(os.Environ(), inside+"=1")
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "a message of gVisor") {
		t.Errorf("gVisor printed %q", out.String())
	}
}

// At most one message is logged each second, and the next one has the number of
// those between.
func TestGVisorLogIsLimited(t *testing.T) {
	var out bytes.Buffer
	var e emitter
	start := time.Unix(1_800_000_000, 0)
	e.Emit(0, log.Warning, start, "discarded")
	e.set(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for i, at := range []time.Duration{0, 0, 999 * time.Millisecond, time.Second, 1100 * time.Millisecond, 5 * time.Second, -time.Hour} {
		level := []log.Level{log.Warning, log.Info, log.Debug}[i%3]
		e.Emit(0, level, start.Add(at), "message %d", i)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, " ") // the time
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`level=WARN msg="gVisor: message 0"`,
		`level=WARN msg="gVisor: message 3" dropped=2`,
		`level=DEBUG msg="gVisor: message 5" dropped=1`,
		`level=WARN msg="gVisor: message 6"`, // the clock was set back
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
