// Package tunnelfile compares a configuration file with the tunnel that was brought up
// from it, in both directions: Compare says what the tunnel lacks to be what the file
// says, and Save what the file lacks to be what the tunnel is.
//
// Both need a third thing: what the tunnel was when it came up. Without it, nobody could
// tell a preshared key that has left the file from one that a hook has set, or a port
// that was changed by hand from one that the kernel chose. That is a Known, which is kept
// with the record of what was done to the system.
package tunnelfile
