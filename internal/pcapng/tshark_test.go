package pcapng

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTsharkReads: tshark reads what was written, to the nanosecond and to the byte, and
// capinfos finds the statistics and nothing wrong.
func TestTsharkReads(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed: run make setup")
		}
		t.Skip("LEFT OUT: tshark reads the captures (it is not installed)")
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	raw, packets, statistics := random(rand.New(rand.NewPCG(seed, 0)), 100)
	file := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-n", "-r", file, "-T", "fields", "-E", "separator=|",
		"-e", "frame.interface_id", "-e", "frame.interface_name", "-e", "frame.time_epoch", "-e", "frame.len",
		"-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "ip.version").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("tshark reads %d packets of %d", len(lines), len(packets))
	}
	for i, p := range packets {
		want := fmt.Sprintf("%d|wg0 %s|%d.%09d|%d|0x%08x|%s|4", p.Interface, [...]string{"outer", "inner"}[p.Interface],
			p.Time/1e9, p.Time%1e9, len(p.Data), uint32(p.Direction), p.Comment)
		if lines[i] != want {
			t.Errorf("packet %d: tshark says\n%s, want\n%s", i, lines[i], want)
		}
	}
	out, err = exec.Command("tshark", "-n", "-r", file, "-T", "json", "-x", "-c", "1").Output()
	if err != nil || !strings.Contains(string(out), hex.EncodeToString(packets[0].Data)) {
		t.Errorf("the bytes of the first packet are not % x: %v", packets[0].Data, err)
	}
	out, err = exec.Command("capinfos", file).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pcapng", "nanoseconds", "a test", "peer ά", "Name = wg0 outer", "Name = wg0 inner", "Description = outside",
		fmt.Sprintf("Number of packets = %d", statistics[0].Received-statistics[0].Dropped),
		"Number of stat entries = 1"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("capinfos does not say %q:\n%s", want, out)
		}
	}
}
