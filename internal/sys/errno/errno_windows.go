package errno

import "golang.org/x/sys/windows"

// Calls on sockets have error numbers of their own.
const (
	addressInUse       = windows.WSAEADDRINUSE
	connectionRefused  = windows.WSAECONNREFUSED
	processFilesUsedUp = windows.WSAEMFILE
	systemFilesUsedUp  = windows.ERROR_TOO_MANY_OPEN_FILES
	noBuffers          = windows.WSAENOBUFS
	accessDenied       = windows.WSAEACCES
)

var noFamily = []error{windows.WSAEAFNOSUPPORT, windows.WSAEPROTONOSUPPORT, windows.WSAEADDRNOTAVAIL}

// name returns "": Windows has numbers only.
func name(int) string { return "" }
