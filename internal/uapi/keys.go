package uapi

import (
	"bytes"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/key"
)

// A row describes one key of the language: its meaning, and how clients and
// daemons write and read it. Sets and answers to gets have their lines in the
// order of the rows. To add a key, add a row and run go generate ./docs/tables.
//
// C is the type of what a set changes, and S of what a get returns: of an
// interface, or of a peer.
type row[C, S any] struct {
	name    string
	value   string // its form, for the documentation
	meaning string

	encode func(o *out, name string, c *C)                   // client: writes the lines of a set, if there is a change; nil: none
	decode func(d *Decoder, name string, value []byte) error // daemon: reads a line of a set; nil: refuses it
	answer func(o *out, name string, s *S)                   // daemon: writes the lines of the answer to a get; nil: none
	read   func(s *S, name string, value []byte) (bad error) // client: reads a line of that answer; nil: ignores it
}

const (
	hexKey = "64 hexadecimal digits"
	isTrue = "true"

	hexStamp = "24 hexadecimal digits"
)

// interfaceRows are the keys before the first public_key.
var interfaceRows = []row[conf.Change, conf.Status]{
	{name: "private_key", value: hexKey, meaning: "the private key; all zeros: none",
		encode: func(o *out, name string, c *conf.Change) {
			if c.PrivateKey != nil {
				o.secret(name, c.PrivateKey.AppendHex)
			}
		},
		decode: func(d *Decoder, name string, value []byte) error {
			private, err := key.ParsePrivateHex(string(value))
			clear(value)
			if err != nil {
				return invalid.Errorf("%s: %v", name, err)
			}
			d.change.PrivateKey = &private
			return nil
		},
		answer: func(o *out, name string, s *conf.Status) {
			if !s.PrivateKey.IsZero() {
				o.secret(name, s.PrivateKey.AppendHex)
			}
		},
		read: func(s *conf.Status, _ string, value []byte) (err error) {
			s.PrivateKey, err = key.ParsePrivateHex(string(value))
			clear(value)
			return err
		}},
	{name: "own_public_key", value: hexKey, meaning: "the public key that belongs to the private key, in place of it if keys_withheld is 1. Absent while there is none",
		answer: func(o *out, name string, s *conf.Status) {
			if s.KeysWithheld && !s.PublicKey.IsZero() {
				o.public(name, &s.PublicKey)
			}
		},
		read: func(s *conf.Status, _ string, value []byte) (err error) {
			s.PublicKey, err = key.ParsePublicHex(string(value))
			return err
		}},
	{name: "keys_withheld", value: "0 or 1", meaning: "whether the client may only read, and so does not get private_key and each preshared_key that is not zero. Absent while it is 0",
		answer: func(o *out, name string, s *conf.Status) {
			if s.KeysWithheld {
				o.bit(name, true)
			}
		},
		read: func(s *conf.Status, _ string, value []byte) error {
			s.KeysWithheld = string(value) == "1"
			return nil
		}},
	{name: "listen_port", value: "0 to 65535", meaning: "the UDP port; 0: any that is free. Absent while there is none",
		encode: func(o *out, name string, c *conf.Change) { optional(o, name, c.ListenPort) },
		decode: func(d *Decoder, name string, value []byte) error {
			return parseNumber(name, value, &d.change.ListenPort)
		},
		answer: func(o *out, name string, s *conf.Status) {
			if s.ListenPort != 0 {
				o.number(name, uint64(s.ListenPort))
			}
		},
		read: func(s *conf.Status, name string, value []byte) error { return parseInto(&s.ListenPort, name, value) }},
	{name: "fwmark", value: "0 to 4294967295", meaning: "the mark of all outgoing datagrams; 0: none. Absent while there is none",
		encode: func(o *out, name string, c *conf.Change) { optional(o, name, c.FirewallMark) },
		decode: func(d *Decoder, name string, value []byte) error {
			return parseNumber(name, value, &d.change.FirewallMark)
		},
		answer: func(o *out, name string, s *conf.Status) {
			if s.FirewallMark != 0 {
				o.number(name, uint64(s.FirewallMark))
			}
		},
		read: func(s *conf.Status, name string, value []byte) error { return parseInto(&s.FirewallMark, name, value) }},
	{name: "mss_clamp", value: "0 or 1", meaning: "whether the maximum segment size of TCP connections is reduced to what the MTU carries. Absent while it is 1",
		encode: func(o *out, name string, c *conf.Change) {
			if c.MSSClamp != nil {
				o.bit(name, *c.MSSClamp)
			}
		},
		decode: func(d *Decoder, name string, value []byte) (err error) {
			d.change.MSSClamp, err = parseBit(name, value)
			return err
		},
		answer: func(o *out, name string, s *conf.Status) {
			if s.NoMSSClamp {
				o.bit(name, false)
			}
		},
		read: func(s *conf.Status, _ string, value []byte) error {
			s.NoMSSClamp = string(value) == "0"
			return nil
		}},
	{name: "lent_limit", value: "0 to 4294967295", meaning: "how many peers may be lent: if there are more, those that have sent nothing for longest are removed; 0: any number. Absent while it is 0",
		encode: func(o *out, name string, c *conf.Change) { optional(o, name, c.LentLimit) },
		decode: func(d *Decoder, name string, value []byte) error {
			return parseNumber(name, value, &d.change.LentLimit)
		},
		answer: func(o *out, name string, s *conf.Status) {
			if s.LentLimit != 0 {
				o.number(name, uint64(s.LentLimit))
			}
		},
		read: func(s *conf.Status, name string, value []byte) error { return parseInto(&s.LentLimit, name, value) }},
	{name: "stamp_floor", value: hexStamp, meaning: "the timestamps (TAI64N) of the next initiations are greater than this: the greatest that another gateway with the same private key has used. One that is more than a day ahead of the clock is refused",
		encode: func(o *out, name string, c *conf.Change) {
			if c.StampFloor != nil {
				o.text(name, c.StampFloor.String())
			}
		},
		decode: func(d *Decoder, name string, value []byte) error {
			return parseStamp(name, value, &d.change.StampFloor)
		}},
	{name: "up", value: "0 or 1", meaning: "whether the interface is up",
		answer: func(o *out, name string, s *conf.Status) { o.bit(name, s.Up) },
		read: func(s *conf.Status, _ string, value []byte) error {
			s.Up = string(value) == "1"
			return nil
		}},
	{name: "in_process", value: "0 or 1", meaning: "whether the interface is a TCP/IP stack in the daemon, that of wgd proxy, and not one of the kernel. Absent while it is 0",
		answer: func(o *out, name string, s *conf.Status) {
			if s.InProcess {
				o.bit(name, true)
			}
		},
		read: func(s *conf.Status, _ string, value []byte) error {
			s.InProcess = string(value) == "1"
			return nil
		}},
	{name: "mtu", value: "a number", meaning: "the MTU of the interface",
		answer: func(o *out, name string, s *conf.Status) { o.number(name, uint64(max(s.MTU, 0))) },
		read: func(s *conf.Status, name string, value []byte) error {
			var mtu uint32
			err := parseInto(&mtu, name, value)
			s.MTU = int(mtu)
			return err
		}},
	{name: "fault", value: "a sentence", meaning: "why the interface does not work though it is up",
		answer: func(o *out, name string, s *conf.Status) {
			if s.Fault != "" {
				o.text(name, sentence(s.Fault))
			}
		},
		read: func(s *conf.Status, _ string, value []byte) error {
			s.Fault = sentence(string(value))
			return nil
		}},
	{name: "aead", value: "a text", meaning: "the code that encrypts the packets, as wgd(8) --version prints it",
		answer: func(o *out, name string, s *conf.Status) {
			if s.AEAD != "" {
				o.text(name, sentence(s.AEAD))
			}
		},
		read: func(s *conf.Status, _ string, value []byte) error {
			s.AEAD = sentence(string(value))
			return nil
		}},
	// One row for all tunables: package conf has their table.
	{name: conf.TunablePrefix, value: "as in wgconfig(8)", meaning: "the tunables, one key for each",
		encode: func(o *out, _ string, c *conf.Change) { c.Tunables.Each(o.text) },
		decode: func(d *Decoder, name string, value []byte) error { return d.change.Tunables.Set(name, string(value)) },
		answer: func(o *out, _ string, s *conf.Status) {
			for _, name := range conf.TunableNames() {
				if value, err := s.Tunables.Get(name); err == nil {
					o.text(name, value)
				}
			}
		},
		read: func(s *conf.Status, name string, value []byte) error {
			var c conf.TunablesChange
			if c.Set(name, string(value)) == nil { // unknown ones of other daemons are ignored
				s.Tunables = c.ApplyTo(s.Tunables)
			}
			return nil
		}},
	{name: "drop", value: "REASON:COUNT", meaning: "the number of packets dropped for this reason; one line for each REASON that occurred",
		answer: func(o *out, name string, s *conf.Status) {
			for _, d := range s.Drops {
				o.counted(name, d.Reason, d.Count)
			}
		},
		read: func(s *conf.Status, name string, value []byte) (err error) {
			var d conf.Drop
			d.Reason, d.Count, err = parseCounted(name, value)
			s.Drops = append(s.Drops, d)
			return err
		}},
	{name: "counter", value: "NAME:COUNT", meaning: "the number of packets about which something was noticed, and which were not dropped for it; one line for each NAME",
		answer: func(o *out, name string, s *conf.Status) {
			for _, c := range s.Counters {
				o.counted(name, c.Name, c.Count)
			}
		},
		read: func(s *conf.Status, name string, value []byte) (err error) {
			var c conf.Counter
			c.Name, c.Count, err = parseCounted(name, value)
			s.Counters = append(s.Counters, c)
			return err
		}},
	{name: "observation", value: "KIND COUNT FIRST LAST, then key=, address= and detail=", meaning: "something that was seen and may explain why the tunnel does not work, see below; one line for each",
		answer: func(o *out, name string, s *conf.Status) { o.observations(name, s.Observations) },
		read: func(s *conf.Status, name string, value []byte) error {
			return addObservation(&s.Observations, name, value)
		}},
	{name: "replace_peers", value: isTrue, meaning: "removes the peers that this request does not name",
		encode: func(o *out, name string, c *conf.Change) { o.flag(name, c.ReplacePeers) },
		decode: func(d *Decoder, name string, value []byte) error {
			return parseTrue(name, value, &d.change.ReplacePeers)
		}},
}

// peerKeyName is the key that begins a peer.
const peerKeyName = "public_key"

var (
	interfaceKeys = byName(interfaceRows)
	peerKeys      = byName(peerRows)
)

func byName[C, S any](rows []row[C, S]) map[string]*row[C, S] {
	keys := make(map[string]*row[C, S], len(rows))
	for i := range rows {
		keys[rows[i].name] = &rows[i]
	}
	return keys
}

// interfaceKey returns the row of a key of the interface, and the key as a string.
func interfaceKey(name []byte) (*row[conf.Change, conf.Status], string) {
	if r := interfaceKeys[string(name)]; r != nil {
		return r, r.name
	}
	if bytes.HasPrefix(name, []byte(conf.TunablePrefix)) {
		return interfaceKeys[conf.TunablePrefix], string(name)
	}
	return nil, ""
}

// A Key is the description of one key, for docs/control-socket.md.
type Key struct {
	Name           string
	Get, Set       bool // whether it occurs in the answer to a get, and in a set
	Value, Meaning string
}

// InterfaceKeys describes the keys of an interface.
func InterfaceKeys() []Key { return describe(interfaceRows) }

// PeerKeys describes the keys of a peer.
func PeerKeys() []Key { return describe(peerRows) }

// SummaryKeys describes the keys of a summary.
func SummaryKeys() []Key { return describe(summaryRows) }

// EventKeys describes the keys of an event.
func EventKeys() []Key { return describe(eventRows) }

func describe[C, S any](rows []row[C, S]) []Key {
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = Key{r.name, r.answer != nil, r.decode != nil || r.name == peerKeyName, r.value, r.meaning}
		if r.name == conf.TunablePrefix {
			keys[i].Name += "*"
		}
	}
	return keys
}
