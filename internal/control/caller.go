package control

import (
	"net"

	"wgd/conf"
	"wgd/internal/sys/process"
)

// callerOf returns the process at the other end of a connection, as far as it is known.
func callerOf(conn net.Conn) conf.Caller {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return conf.Caller{}
	}
	pid, uid, command := process.Caller(unix)
	return conf.Caller{PID: pid, UID: uid, Command: command}
}
