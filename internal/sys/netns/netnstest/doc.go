// Package netnstest runs tests in network namespaces of their own.
package netnstest
