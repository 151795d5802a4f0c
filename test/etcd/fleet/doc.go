// Package fleet tests several gateways with one private key: real processes on simulated
// hosts, with a store in etcd, and many unmodified peers with data.
package fleet
