package engine

import (
	"context"
	"iter"

	"wgd/conf"
)

// Wants returns what arrives from now on for peers that the interface does not have,
// until ctx is done or the engine has ended. The first is of kind conf.WantsBegin.
func (e *Engine) Wants(ctx context.Context) iter.Seq[conf.Want] {
	return func(yield func(conf.Want) bool) {
		s := e.unknown.Subscribe()
		defer e.unknown.Unsubscribe(s)
		for w, ok := (conf.Want{Kind: conf.WantsBegin}), true; ok && yield(w); {
			w, ok = s.Next(ctx)
		}
	}
}

// Refuse says that nobody adds the peer of a want.
func (e *Engine) Refuse(r conf.Refusal) { e.unknown.Refuse(e.world.Clock().Mono, r) }
