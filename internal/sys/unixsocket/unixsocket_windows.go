package unixsocket

import (
	"errors"
	"fmt"
)

// Unsupported is why there are no such sockets. Windows has had unix sockets since 2018,
// and Go opens them, but a mode means nothing there: the access control list decides who
// may connect, which the socket inherits from its folder. In most folders outside the
// user's own, that is everybody.
var Unsupported = fmt.Errorf("unix sockets of wgd are for their owner only, which Windows does not ensure: %w", errors.ErrUnsupported)
