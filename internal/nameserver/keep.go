package nameserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"wgd/internal/sys/inotify"
)

// Keep sets the name servers of a tunnel again when systemd-resolved, which holds them, is
// started again. It is for the daemon of the tunnel, and returns when ctx is done. The
// tunnel need not have name servers yet. Without a folder of records, which Recover makes,
// there is nothing to do, and Keep returns at once. It reports what it has done, or why it
// could not.
func (s *Settings) Keep(ctx context.Context, name string, report func(done string, err error)) {
	folder, err := inotify.Watch(s.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			report("", fmt.Errorf("DNS: a restart of systemd-resolved will not be noticed: %w", err))
		}
		return
	}
	defer context.AfterFunc(ctx, func() { folder.Close() })()
	stop := func() {}
	defer func() { stop() }()
	for watching := false; ; {
		if held := s.inResolved(name); held != watching {
			watching = held
			stop()
			stop = func() {}
			if held {
				stop = s.watch(ctx, name, report)
			}
		}
		if err := folder.Next(); err != nil {
			return
		}
	}
}

func (s *Settings) inResolved(name string) bool {
	r, err := s.load(name)
	return err == nil && r != nil && r.By == byResolved
}

// watch sets the name servers again in a goroutine, until stop is called.
func (s *Settings) watch(ctx context.Context, name string, report func(string, error)) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go s.resolved.Watch(ctx, func() {
		switch set, err := s.again(name); {
		case err != nil:
			report("", fmt.Errorf("DNS is not set, because systemd-resolved was started again: %w", err))
		case set:
			report("systemd-resolved was started again, and has got the name servers again", nil)
		}
	})
	return stop
}

// again gives the name servers to systemd-resolved again, if it is to have them and has
// none. Usually it has saved them, and a hook may have changed them since.
func (s *Settings) again(name string) (set bool, err error) {
	unlock, err := s.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	r, err := s.load(name)
	if err != nil || r == nil || r.By != byResolved {
		return false, err
	}
	if has, err := s.resolved.HasServers(context.Background(), r.Index); has || err != nil {
		return false, err
	}
	return true, s.setLink(r)
}
