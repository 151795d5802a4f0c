package metrics

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"wgd/conf"
	"wgd/internal/quote"
)

// maxTop is the greatest N of ?top=N.
const maxTop = 60

// A query is what a request asks for.
type query struct {
	name string // of the interface; "": all
	peer string // its name, its digits, or its public key; "": none
	top  int    // how many of the peers with the most traffic; 0: none
}

func (q *query) aboutPeers() bool { return q.peer != "" || q.top > 0 }

// parseQuery reads the part of a URL behind the question mark. Its errors are sentences.
func parseQuery(raw string) (q query, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fmt.Errorf("the query cannot be read: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			return q, fmt.Errorf("%s is given %d times: give it once", quote.Name(name), len(values[name]))
		}
		value := values[name][0]
		switch name {
		case "interface":
			if err := conf.ValidInterfaceName(value); err != nil {
				return q, fmt.Errorf("interface: %w", err)
			}
			q.name = value
		case "peer":
			// A plus sign is a space in a query, and occurs in public keys.
			if q.peer = strings.ReplaceAll(value, " ", "+"); q.peer == "" {
				return q, fmt.Errorf("peer is empty: give a name, as wgd status shows it, or a public key")
			}
		case "top":
			if q.top, err = strconv.Atoi(value); err != nil || q.top < 1 || q.top > maxTop {
				return q, fmt.Errorf("top is %s: give a number from 1 to %d", quote.Text(value), maxTop)
			}
		default:
			return q, fmt.Errorf("there is no parameter %s: the parameters are interface=NAME, peer=NAME and top=N", quote.Name(name))
		}
	}
	if q.peer != "" && q.top > 0 {
		return q, fmt.Errorf("peer and top are both given: give one of them")
	}
	return q, nil
}
