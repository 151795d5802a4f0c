// Wgconfig configures a wg interface and shows it, in the grammar and with the
// output of NetBSD's wgconfig(8).
package main

import "wgd/internal/cli"

func main() { cli.Main(command()) }
