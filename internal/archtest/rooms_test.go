package archtest

// A room is one folder of the tree and what it may know about.
type room struct {
	// pure rooms have no goroutine, lock, operating system, ambient time or
	// dice: all they know was an argument.
	pure bool
	// rooms of this module it may import; "x/..." is x and all below it.
	imports []string
	// packages of other modules it may import; "x/..." as above.
	third []string
}

const (
	crypto  = "golang.org/x/crypto/..."
	unix    = "golang.org/x/sys/..."
	cpu     = "golang.org/x/sys/cpu"
	netlink = "github.com/vishvananda/netlink/..."
	netns   = "github.com/vishvananda/netns/..."
	bart    = "github.com/gaissmai/bart/..."
	gvisor  = "gvisor.dev/gvisor/..."
)

// rooms are the arrows of docs/architecture.md. A new arrow is a line here, in
// the commit that explains it; a room without a line is an error.
var rooms = map[string]room{
	"wg":       {imports: []string{"key", "conf", "internal/engine", "internal/packet", "internal/state", "internal/sys/..."}},
	"key":      {pure: true, imports: []string{"internal/erase"}},
	"conf":     {pure: true, imports: []string{"key"}},
	"netstack": {imports: []string{"internal/sys/tun", "internal/packet"}, third: []string{gvisor}},

	"cmd/wgd":           command,
	"cmd/wgconfig":      command,
	"cmd/wg-keygen":     command,
	"cmd/wg-ifconfig":   command,
	"internal/cli/show": {imports: []string{"key", "conf"}},
	"internal/cli": {imports: []string{
		"key", "conf", "internal/control", "internal/engine", "internal/sys/...", "wg", "netstack"}},

	"internal/clock":        {pure: true},
	"internal/erase":        {pure: true},
	"internal/wire":         {pure: true},
	"internal/noise":        {pure: true, imports: []string{"internal/erase", "internal/wire", "key"}, third: []string{crypto}},
	"internal/cookie":       {pure: true, imports: []string{"internal/wire", "internal/clock", "key"}, third: []string{crypto}},
	"internal/replay":       {pure: true},
	"internal/aead":         {third: []string{crypto, cpu}},
	"internal/aead/emulate": {},
	"internal/session":      {imports: []string{"internal/clock", "internal/wire", "internal/replay", "internal/aead"}},
	"internal/allowedips":   {pure: true, third: []string{bart}},
	"internal/peer":         {imports: []string{"internal/clock", "internal/session", "internal/wire", "key"}},
	"internal/index":        {imports: []string{"internal/session", "internal/peer"}},
	"internal/core": {pure: true, imports: []string{
		"key", "conf", "internal/clock", "internal/wire", "internal/noise", "internal/cookie",
		"internal/session", "internal/peer", "internal/index", "internal/allowedips"}},
	"internal/packet": {pure: true, third: []string{cpu}},
	"internal/batch":  {imports: []string{"internal/wire"}},
	"internal/dataplane": {imports: []string{
		"conf", "internal/clock", "internal/wire", "internal/aead", "internal/session", "internal/peer",
		"internal/index", "internal/allowedips", "internal/packet", "internal/batch"}},
	"internal/engine": {imports: []string{"key", "conf", "internal/..."}},
	"internal/sim":    {imports: []string{"key", "conf", "internal/..."}},
	"internal/state":  {imports: []string{"key", "internal/wire", "internal/clock"}},

	"internal/sys/tun":     {imports: []string{"internal/packet"}, third: []string{unix}},
	"internal/sys/udp":     {imports: []string{"internal/batch", "internal/sys/pages", "internal/wire"}, third: []string{unix}},
	"internal/sys/link":    {third: []string{unix, netlink, netns}},
	"internal/sys/clock":   {imports: []string{"internal/clock"}, third: []string{unix}},
	"internal/sys/cpu":     {third: []string{unix}},
	"internal/sys/process": {third: []string{unix}},
	"internal/sys/yield":   {third: []string{unix}},
	"internal/sys/pages":   {third: []string{unix}},
	"internal/sys/term":    {third: []string{unix}},

	"internal/control":             {imports: []string{"conf", "key", "internal/uapi", "internal/sys/errno", "internal/sys/flock", "internal/sys/process"}},
	"internal/control/controltest": {imports: []string{"conf", "key"}},
	"internal/uapi":                {pure: true, imports: []string{"conf", "key"}},
	"internal/resolve":             {},
	"internal/sys/errno":           {third: []string{unix}},
	"internal/sys/flock":           {third: []string{unix}},
	"internal/archtest":            {},

	"docs/man":    {},
	"docs/tables": {imports: []string{"internal/dataplane", "internal/uapi"}},

	"test/lab":     {third: []string{unix}},
	"test/load":    {imports: []string{"test/lab", "key", "internal/aead", "internal/wire", "internal/noise", "internal/cookie"}, third: []string{unix}},
	"test/e2e":     {imports: []string{"test/lab", "test/load"}, third: []string{unix}},
	"test/bench":   {imports: []string{"test/lab", "test/load", "internal/aead"}, third: []string{unix}}, // only for the name of what encrypts
	"test/spread":  {imports: []string{"test/lab", "key", "conf", "internal/..."}, third: []string{unix}},
	"test/commits": {},
	"test/scale":   {imports: []string{"test/lab", "test/load"}},
}

// A command reads its arguments and hands a value on; nothing else.
var command = room{
	imports: []string{"key", "conf", "wg", "netstack", "internal/cli/...", "internal/control", "internal/resolve", "internal/engine", "internal/sys/...",
		"internal/aead"}, // only for the name of what encrypts
}
