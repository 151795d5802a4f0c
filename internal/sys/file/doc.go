// Package file replaces files.
package file
