// Package netnstest gives tests network namespaces of their own.
package netnstest
