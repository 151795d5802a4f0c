package wg

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"wgd/internal/sys/tun"
	"wgd/internal/sys/tun/tuntest"
)

// Who wants to know why small packets do not use all cores is told.
func TestOneQueueIsTold(t *testing.T) {
	device := tuntest.New("wg1", 1420)
	var told strings.Builder
	log := slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if tellQueues(log, device); told.Len() > 0 {
		t.Errorf("nobody asked for more: %s", &told)
	}
	device.SetCaps(tun.Caps{OneQueue: errors.New("no room for so many")})
	tellQueues(log, device)
	if line := told.String(); !strings.Contains(line, "level=DEBUG") || !strings.Contains(line, "one queue only") || !strings.Contains(line, "no room for so many") {
		t.Errorf("told %q", line)
	}
}
