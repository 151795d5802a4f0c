// Package term tells a terminal from other files.
package term
