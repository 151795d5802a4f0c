// Package term distinguishes terminals from other files.
package term
