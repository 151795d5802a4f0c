package main

import (
	"os"
	"runtime"
)

// processors sets GOMAXPROCS to one more than the number of cores that this process may
// use: the engine leaves one processor free for data, and handshakes can use all cores
// nevertheless. The kernel prefers threads that have waited for data.
//
// It returns a function for wg.Options, which limits the program to one
// processor while the interface needs no more. Setting GOMAXPROCS stops Go from
// following the CPU limit of a container, so the function asks Go again
// whenever all are needed. If the user has set GOMAXPROCS, processors changes
// nothing and returns nil.
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
