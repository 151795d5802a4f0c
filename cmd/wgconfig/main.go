// Wgconfig configures and shows a wg interface, with the command line and the output of
// NetBSD's wgconfig(8).
package main

import "wgd/internal/cli"

func main() { cli.Main(command()) }
