package etcd

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	client "go.etcd.io/etcd/client/v3"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

const (
	progressInterval = time.Second     // between two questions whether the member still answers
	silence          = 3 * time.Second // after which another member is asked
)

// Watch returns the changes after a revision as they happen. While etcd cannot be reached,
// it waits, and then goes on where it was.
func (c *Cluster) Watch(ctx context.Context, since store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		w := &watcher{Cluster: c, since: since, pending: map[string]bool{}, report: func(changes store.Changes) bool { return yield(changes, nil) }}
		for pause := time.Duration(0); ; pause = min(2*pause+20*time.Millisecond, time.Second) {
			before := w.since
			err := w.run(ctx)
			switch {
			case w.stopped || ctx.Err() != nil:
				return
			case err != nil && !transient(err):
				yield(store.Changes{}, c.explain(err))
				return
			case w.since != before:
				pause = 0
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// A watcher is a call of Watch.
type watcher struct {
	*Cluster
	since   store.Revision
	report  func(store.Changes) bool
	stopped bool // the caller wants no more

	pending map[string]bool // by the ID of an import: whether it is not complete
}

// errSilent means that a member does not answer any more.
var errSilent = rpctypes.Error(rpctypes.ErrGRPCTimeoutDueToConnectionLost)

// run watches until the connection is lost.
func (w *watcher) run(ctx context.Context) error {
	// A client of its own is connected to members that answer only. One that was connected
	// before takes ten seconds to notice that a member is silent.
	k, err := w.connect()
	if err != nil {
		return err
	}
	defer k.Close()
	if err := w.begin(ctx, k); err != nil || w.stopped {
		return err
	}
	ctx, cancel := context.WithCancel(client.WithRequireLeader(ctx))
	defer cancel()
	answers := k.Watch(ctx, w.prefix+peersKeys, client.WithRange(client.GetPrefixRangeEnd(w.prefix+pendingKeys)),
		client.WithRev(int64(w.since)+1), client.WithProgressNotify())
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for heard := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if time.Since(heard) > silence {
				return errSilent
			}
			go func() {
				ctx, cancel := context.WithTimeout(ctx, progressInterval)
				defer cancel()
				_ = k.RequestProgress(ctx) // no answer is noticed above
			}()
		case answer, open := <-answers:
			if !open {
				return errSilent
			}
			heard = time.Now()
			if err := w.take(ctx, k, answer, answers); err != nil || w.stopped {
				return err
			}
		}
	}
}

// begin finds out whether the revision is one of the past. A watch from a revision of the
// future would wait for it.
func (w *watcher) begin(ctx context.Context, k *client.Client) error {
	current, err := w.latest(ctx, k)
	if err == nil && current < w.since { // a backup was restored
		w.lose(current)
	}
	return err
}

// latest is Revision without patience.
func (w *watcher) latest(ctx context.Context, k *client.Client) (store.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	response, err := k.Get(ctx, w.prefix+"schema")
	if err != nil {
		return 0, err
	}
	return store.Revision(response.Header.Revision), nil
}

// lose reports that any peer may have changed, up to a revision.
func (w *watcher) lose(current store.Revision) {
	w.since = current
	w.stopped = !w.report(store.Changes{Revision: current, Lost: true})
}

// take reports the changes of an answer, together with those of the answers that follow at
// once.
func (w *watcher) take(ctx context.Context, k *client.Client, answer client.WatchResponse, more client.WatchChan) error {
	known := map[key.Public]bool{}
	changes := store.Changes{Revision: w.since}
	for {
		switch err := answer.Err(); {
		case answer.CompactRevision != 0:
			current, err := w.latest(ctx, k)
			if err == nil {
				w.lose(current)
			}
			return errors.Join(err, errSilent) // begin again there
		case err != nil:
			return err
		case store.Revision(answer.Header.Revision) < w.since: // a backup was restored
			return errSilent
		}
		for _, event := range answer.Events {
			if err := w.note(ctx, k, &changes, known, event); err != nil {
				return err
			}
		}
		// With events, the header has the revision of the store, of which more may follow.
		if answer.IsProgressNotify() {
			changes.Revision = max(changes.Revision, store.Revision(answer.Header.Revision))
		}
		var open bool
		select {
		case answer, open = <-more:
		default:
		}
		if !open {
			break
		}
	}
	w.since = changes.Revision
	if changes.Lost || len(changes.Keys) > 0 {
		w.stopped = !w.report(changes)
	}
	return nil
}

// note adds an event to the changes.
func (w *watcher) note(ctx context.Context, k *client.Client, changes *store.Changes, known map[key.Public]bool, event *client.Event) error {
	changes.Revision = max(changes.Revision, store.Revision(event.Kv.ModRevision))
	name, isPeer := strings.CutPrefix(string(event.Kv.Key), w.prefix+peersKeys)
	if !isPeer {
		// An import is complete: what it has written before is valid now.
		changes.Lost = changes.Lost || event.Type == client.EventTypeDelete
		delete(w.pending, last(string(event.Kv.Key)))
		return nil
	}
	public, ok := decodeKey(name)
	if !ok || known[public] {
		return nil
	}
	if r, err := decode[record](event.Kv.Value); event.Type == client.EventTypePut && err == nil && r.Import != "" {
		if pending, err := w.isPending(ctx, k, r.Import); pending || err != nil {
			return err // if it is, the end of the import reports that every peer may have changed
		}
	}
	known[public] = true
	changes.Keys = append(changes.Keys, public)
	return nil
}

// isPending reports whether an import is not complete. A peer keeps the ID of its import, also
// when others change it with etcdctl after the import is complete.
func (w *watcher) isPending(ctx context.Context, k *client.Client, id string) (bool, error) {
	if pending, known := w.pending[id]; known || w.isSettled(id) {
		return pending, nil
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	response, err := k.Get(ctx, w.prefix+pendingKeys+id, client.WithKeysOnly())
	if err != nil {
		return false, err
	}
	w.pending[id] = len(response.Kvs) > 0
	return w.pending[id], nil
}
