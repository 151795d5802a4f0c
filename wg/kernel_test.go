package wg

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"wgd/internal/sys/tun"
	"wgd/internal/sys/tun/tuntest"
)

// The log explains why small packets do not use all cores.
func TestOneQueueIsLogged(t *testing.T) {
	device := tuntest.New("wg1", 1420)
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if logOneQueue(log, device); logged.Len() > 0 {
		t.Errorf("only one queue was requested, but the log has: %s", &logged)
	}
	device.SetCaps(tun.Caps{OneQueue: errors.New("no room for so many")})
	logOneQueue(log, device)
	if line := logged.String(); !strings.Contains(line, "level=DEBUG") || !strings.Contains(line, "only one queue") || !strings.Contains(line, "no room for so many") {
		t.Errorf("the log has %q", line)
	}
}
