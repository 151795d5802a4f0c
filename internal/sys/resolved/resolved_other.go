//go:build !linux

package resolved

import "context"

// Answers returns ErrNoBus: systemd-resolved exists on Linux only.
func Answers(context.Context) error { return ErrNoBus }

// Set returns ErrNoBus.
func Set(context.Context, Link) error { return ErrNoBus }

// Revert returns ErrNoBus.
func Revert(context.Context, int) error { return ErrNoBus }

// HasServers returns ErrNoBus.
func HasServers(context.Context, int) (bool, error) { return false, ErrNoBus }

// Watch waits until ctx is done.
func Watch(ctx context.Context, _ func()) { <-ctx.Done() }
