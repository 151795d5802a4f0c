package link

import "errors"

// ErrNoRights means that this process may not change routes.
var ErrNoRights = errors.New("this needs root, or the capability CAP_NET_ADMIN")

// ErrDown means that an interface is down or gone, so that it has no routes.
var ErrDown = errors.New("the interface is down or gone")
