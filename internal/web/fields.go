package web

// A field is one of the form for a peer. Its ID is its name in formJSON and answerJSON.
type field struct {
	ID, Label, Example string
	Hint               string
	Kinds              string // of forms that have it
}

// fields are those of the form, in their order.
var fields = []field{
	{"name", "Name", "laptop", "Letters, digits and ._@-", "add make set"},
	{"key", "Public key", "", "As wg-keygen --pub has printed it on the other side.", "add"},
	{"allowed", "Allowed IPs", "10.2.0.42/32,fd00:2::42/128", "Its addresses in the tunnel, with commas between them.", "add set"},
	{"endpoint", "Endpoint", "192.0.2.1:51820", "Its address and port. Without them, only the peer can begin.", "add set"},
	{"keepalive", "Persistent keepalive", "off", "Seconds, or off.", "add set"},
	{"address", "Its address in the tunnel", "10.2.0.42/32", "The first that is free in the network of the interface.", "make"},
	{"client-endpoint", "Endpoint of this host", "vpn.example.org:51820", "How the new peer reaches this host.", "make"},
	{"client-allowed", "What it reaches through the tunnel", "10.2.0.0/24", "0.0.0.0/0,::/0 is everything.", "make"},
	{"dns", "Name servers", "10.2.0.1", "It can do without.", "make"},
}
