// Package etcd is a store of peers in etcd, which many gateways share. Its keys and values are
// documented in docs/fleet.md: anybody may write there at the same time, with etcdctl.
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	client "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
)

const (
	schemaVersion = 1

	// A request that gets no answer within attempt is sent again, to another member, and then
	// waits twice as long, so that members with much to do get no more of it; what only
	// reads, also sooner. After patience it has failed. A client without a deadline waits for
	// ever.
	attempt     = 2 * time.Second
	readAttempt = 500 * time.Millisecond // the first one
	patience    = 6 * time.Second

	// maxOps is how many operations etcd takes in one transaction (--max-txn-ops).
	maxOps = 128
)

// A Cluster is a store in etcd.
type Cluster struct {
	client    *client.Client
	options   *Options
	prefix    string      // of all keys; it ends with /
	endpoints string      // for messages
	secure    *tls.Config // or nil

	mutex   sync.Mutex
	settled map[string]bool // the imports that are known to be complete
}

// Open opens the store in the cluster that the options name. If create is true, it makes a
// store there, if there is none.
func Open(ctx context.Context, o *Options, create bool) (store.Store, error) {
	secure, err := o.tls()
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, prefix: o.Prefix + "/", endpoints: strings.Join(o.Endpoints, ", "), secure: secure, settled: map[string]bool{}}
	if c.client, err = c.connect(); err != nil {
		return nil, c.explain(err)
	}
	if err := c.initialize(ctx, create); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// connect makes a client. It does not wait for a connection.
func (c *Cluster) connect() (*client.Client, error) {
	return client.New(client.Config{
		Endpoints:            c.options.Endpoints,
		TLS:                  c.secure,
		Username:             c.options.user,
		Password:             string(c.options.password),
		DialTimeout:          patience,
		DialKeepAliveTime:    10 * time.Second, // gRPC allows no less
		DialKeepAliveTimeout: 3 * time.Second,
		Logger:               zap.NewNop(), // its own prints to standard error
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{ // by default, up to two minutes pass between two attempts
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: attempt,
		})},
	})
}

// initialize makes a new store, and refuses one of another version.
func (c *Cluster) initialize(ctx context.Context, create bool) error {
	where := c.prefix + "schema"
	for {
		found, _, err := c.get(ctx, []string{where}, 0)
		if err != nil {
			return err
		}
		kv := found[where]
		switch {
		case kv != nil:
			return c.checkSchema(string(kv.Value))
		case !create:
			return fmt.Errorf("etcd at %s: there is no store below %s: wgd-peers add and wgd-peers import make one; or name another with --store", c.endpoints, c.prefix)
		}
		t := &transaction{proof: where, proves: strconv.Itoa(schemaVersion)}
		t.expect(where, 0)
		t.put(where, t.proves)
		if ok, err := c.write(ctx, t); ok || err != nil {
			return err
		}
	}
}

func (c *Cluster) checkSchema(text string) error {
	version, err := strconv.Atoi(text)
	switch {
	case err != nil || version < 1:
		return fmt.Errorf("etcd at %s: the key %sschema has the value %s, which is no version of a store: correct it, or name another store with --store", c.endpoints, c.prefix, quote.Text(text))
	case version > schemaVersion:
		return fmt.Errorf("etcd at %s: the store below %s has schema %d, and this program knows schema %d at most: use a newer wgd-peers", c.endpoints, c.prefix, version, schemaVersion)
	}
	return nil
}

// Close ends all connections.
func (c *Cluster) Close() error {
	if err := c.client.Close(); err != nil && !errors.Is(err, context.Canceled) { // which is what it returns
		return err
	}
	return nil
}

// read sends a request that changes nothing, until it is answered or patience is over.
func (c *Cluster) read(ctx context.Context, request func(ctx context.Context) error) error {
	return c.do(ctx, readAttempt, request)
}

// do sends a request, until it is answered or patience is over. Its error is explained.
func (c *Cluster) do(ctx context.Context, first time.Duration, request func(ctx context.Context) error) error {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var reason error // of the last failure that says more than that there was no answer
	limit := first
	for pause := 20 * time.Millisecond; ; pause, limit = min(2*pause, 500*time.Millisecond), min(2*limit, 2*attempt) {
		once, cancel := context.WithTimeout(patient, limit)
		err := request(once)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !transient(err):
			return c.explain(err)
		case !errors.Is(err, context.DeadlineExceeded) || reason == nil:
			reason = err
		}
		select {
		case <-patient.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return c.explain(reason)
		case <-time.After(pause):
		}
	}
}

// code returns the code of an error of etcd or gRPC.
func code(err error) codes.Code {
	var e rpctypes.EtcdError
	switch {
	case errors.As(err, &e):
		return e.Code()
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return status.Code(err)
}

// transient reports whether a request may be answered if it is sent again.
func transient(err error) bool {
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unauthenticated: // Unauthenticated: the token has expired
		return true
	}
	// Two have a code that says nothing: a watch that is refused by a member that does not know
	// a new token yet, and any request that a member did not finish before it stopped.
	if text := err.Error(); strings.HasSuffix(text, rpctypes.ErrInvalidAuthToken.Error()) || strings.HasSuffix(text, stopped) {
		return true
	}
	return errors.Is(err, rpctypes.ErrTooManyRequests) || errors.Is(err, rpctypes.ErrAuthOldRevision) || errors.Is(err, errAgain)
}

// stopped is what a member says while it stops (go.etcd.io/raft, ErrStopped).
const stopped = "raft: stopped"

// errAgain makes do send a request again.
var errAgain = errors.New("what was read is gone: read it again")

// explain says what to do about an error of etcd.
func (c *Cluster) explain(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return store.Refusef("the peer has more allowed IPs than etcd takes in one transaction: start etcd with a greater --max-txn-ops, or give the peer fewer")
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("etcd at %s: its database is full: compact and defragment it, or start it with a greater --quota-backend-bytes, and then run etcdctl alarm disarm", c.endpoints)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("etcd at %s: it does not accept the user and the password: correct the file of --etcd-credentials, or the variable %s", c.endpoints, CredentialsVariable)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("etcd at %s: it requires a user and a password: give --etcd-credentials, or set the variable %s", c.endpoints, CredentialsVariable)
	}
	switch code(err) {
	case codes.PermissionDenied:
		return denied(fmt.Sprintf("etcd at %s: the user may not use the keys below %s: allow it with etcdctl role grant-permission --prefix ROLE readwrite %s", c.endpoints, c.prefix, c.prefix))
	case codes.DeadlineExceeded:
		return fmt.Errorf("etcd at %s: there was no answer within %v: start it, or correct the addresses in --store: %s", c.endpoints, patience, c.diagnose())
	case codes.Unavailable:
		return fmt.Errorf("etcd at %s: there was no answer within %v: start it, or correct the addresses in --store: %w", c.endpoints, patience, err)
	}
	return fmt.Errorf("etcd at %s: %w", c.endpoints, err)
}

// denied is an error about the permissions of the user.
type denied string

func (d denied) Error() string { return string(d) }

// diagnose says why there is no connection, which gRPC does not tell.
func (c *Cluster) diagnose() string {
	ctx, cancel := context.WithTimeout(context.Background(), attempt)
	defer cancel()
	for _, member := range c.options.Endpoints {
		connection, err := c.dial(ctx, member)
		if err != nil {
			return err.Error()
		}
		connection.Close()
	}
	if c.secure == nil {
		return "it accepts connections: if it uses TLS, write etcds: instead of etcd:"
	}
	return "it accepts connections, but may have no leader"
}

func (c *Cluster) dial(ctx context.Context, member string) (net.Conn, error) {
	if c.secure == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", member)
	}
	connection, err := (&tls.Dialer{Config: c.secure}).DialContext(ctx, "tcp", member)
	if err != nil {
		return nil, err
	}
	// With TLS 1.3, a server says that it refuses our certificate after the handshake.
	_ = connection.SetReadDeadline(time.Now().Add(attempt / 4))
	if _, err := connection.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		connection.Close()
		return nil, err
	}
	return connection, nil
}
