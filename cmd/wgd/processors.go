package main

import (
	"os"
	"runtime"
)

// processors gives the program one of Go's processors more than it may use
// cores: the engine leaves one free for data, and all cores are to work on
// handshakes all the same. Which thread runs on which core the kernel decides,
// and it prefers those that have waited for data.
//
// The function that it returns is for wg.Options: it has the program do with one
// processor while the interface needs no more. To choose their number turns off
// that Go follows the cores that a container may use, so whenever all are needed
// Go is asked again how many that are. Who sets GOMAXPROCS gets what he asks for,
// always; then there is no function.
func processors() func(all bool) {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	set := func(all bool) {
		if !all {
			runtime.GOMAXPROCS(1)
			return
		}
		runtime.SetDefaultGOMAXPROCS()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	set(true)
	return set
}
