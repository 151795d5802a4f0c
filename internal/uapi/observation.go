package uapi

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// observations writes a line for each observation:
//
//	observation=KIND COUNT FIRST LAST [key=HEX] [address=ADDRESS[:PORT]] [detail=TEXT]
func (o *out) observations(name string, list []conf.Observation) {
	for i := range list {
		x := &list[i]
		b := append(o.scratch[:0], sentence(string(x.Kind))...)
		for _, n := range []int64{int64(x.Count), x.First.Unix(), x.Last.Unix()} {
			b = strconv.AppendInt(append(b, ' '), n, 10)
		}
		if !x.Key.IsZero() {
			b = hex.AppendEncode(append(b, " key="...), x.Key[:])
		}
		if a := x.Address; a.IsValid() {
			b = append(b, " address="...)
			if a.Port() == 0 {
				b = a.Addr().AppendTo(b)
			} else {
				b = a.AppendTo(b)
			}
		}
		if x.Detail != "" {
			b = append(append(b, " detail="...), sentence(x.Detail)...)
		}
		o.bytes(name, b)
		o.scratch = b
	}
}

// addObservation reads such a line. It ignores words that it does not know.
func addObservation(list *[]conf.Observation, name string, value []byte) error {
	words := strings.Fields(sentence(string(value)))
	if len(words) < 4 {
		return badObservation(name, value)
	}
	x := conf.Observation{Kind: conf.ObservationKind(words[0])}
	count, err := strconv.ParseUint(words[1], 10, 64)
	if err != nil {
		return badObservation(name, value)
	}
	x.Count = count
	for i, t := range []*time.Time{&x.First, &x.Last} {
		sec, err := strconv.ParseInt(words[2+i], 10, 64)
		if err != nil {
			return badObservation(name, value)
		}
		*t = time.Unix(sec, 0)
	}
	for _, word := range words[4:] {
		if !addDetail(&x, word) {
			return badObservation(name, value)
		}
	}
	*list = append(*list, x)
	return nil
}

// addDetail reads one of the words after the times, and reports whether it is valid.
func addDetail(x *conf.Observation, word string) (ok bool) {
	name, value, _ := strings.Cut(word, "=")
	var err error
	switch name {
	case "key":
		x.Key, err = key.ParsePublicHex(value)
	case "address":
		if x.Address, err = netip.ParseAddrPort(value); err != nil {
			var a netip.Addr
			a, err = netip.ParseAddr(value)
			x.Address = netip.AddrPortFrom(a, 0)
		}
	case "detail":
		x.Detail = value
	}
	return err == nil
}

func badObservation(name string, value []byte) error {
	return invalid.Errorf("%s: %s: not an observation", name, quote.Text(string(value)))
}
