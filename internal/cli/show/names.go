package show

import (
	"fmt"
	"slices"

	"wgd/conf"
	"wgd/internal/quote"
	"wgd/key"
)

// minDigits is how many hexadecimal digits of its public key stand for a peer without a
// name, if they are unique.
const minDigits = 8

// Names returns the names under which the peers are shown and addressed, in the
// order of the peers.
func Names(peers []conf.PeerStatus) []string {
	// Compare each peer only with the given names and its neighbours in the sorted
	// digits, not with all others (B22).
	var unnamed []string
	given := make(map[string]bool)
	for i := range peers {
		if name := peers[i].Name; name != "" {
			given[name] = true
		} else {
			unnamed = append(unnamed, peers[i].PublicKey.Hex())
		}
	}
	slices.Sort(unnamed)
	names := make([]string, len(peers))
	for i := range peers {
		names[i] = peers[i].Name
		if names[i] == "" {
			names[i] = uniquePrefix(peers[i].PublicKey.Hex(), unnamed, given)
		}
	}
	return names
}

// uniquePrefix returns the shortest prefix of digits, of at least minDigits,
// that no other of the sorted unnamed has and that is not a given name.
func uniquePrefix(digits string, unnamed []string, given map[string]bool) string {
	n := minDigits
	i, _ := slices.BinarySearch(unnamed, digits)
	if i > 0 {
		n = max(n, commonPrefix(digits, unnamed[i-1])+1)
	}
	if i+1 < len(unnamed) {
		n = max(n, commonPrefix(digits, unnamed[i+1])+1)
	}
	for n < len(digits) && given[digits[:n]] {
		n++
	}
	return digits[:n]
}

// commonPrefix returns the length of the common prefix of two strings.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Find returns the peer with a name, with the digits that stand for it, or with
// a public key in base64.
func Find(status *conf.Status, wanted string) (peer *conf.PeerStatus, name string, err error) {
	public, notKey := key.ParsePublic(wanted)
	names := Names(status.Peers)
	for i := range status.Peers {
		if names[i] == wanted || notKey == nil && status.Peers[i].PublicKey == public {
			return &status.Peers[i], names[i], nil
		}
	}
	if notKey == nil { // do not print it: it may be a private key
		return nil, "", fmt.Errorf("%s has no peer with this public key: `wgconfig %s` lists them", status.Name, status.Name)
	}
	return nil, "", fmt.Errorf("peer %s: %s has no such peer: `wgconfig %s` lists them", quote.Name(wanted), status.Name, status.Name)
}
