package archtest

// A room is a folder of the tree, with what it may import.
type room struct {
	// Pure rooms have no goroutines, locks, system calls, ambient time and random
	// numbers: all that they know are arguments.
	pure bool
	// Only tests, and other rooms for tests, import rooms for tests.
	forTests bool
	// imports are the rooms of this module that it may import.
	imports []string
	// third are the packages of other modules that it may import. "x/..." is x and all
	// below it.
	third []string
}

const (
	crypto   = "golang.org/x/crypto/..."
	unix     = "golang.org/x/sys/..."
	cpu      = "golang.org/x/sys/cpu"
	netns    = "github.com/vishvananda/netns/..."
	netlink  = "github.com/vishvananda/netlink/..."
	nftables = "github.com/google/nftables/..."
	bart     = "github.com/gaissmai/bart/..."
	gvisor   = "gvisor.dev/gvisor/..."
	socks    = "golang.org/x/net/proxy" // a client, for tests
	dnsmsg   = "golang.org/x/net/dns/dnsmessage"
	dbus     = "github.com/godbus/dbus/v5"
	promhttp = "github.com/prometheus/client_golang/..."
	sqlite   = "modernc.org/sqlite/..."
	qrcode   = "rsc.io/qr"
	etcd     = "go.etcd.io/etcd/..."
	grpc     = "google.golang.org/grpc/..."
	zap      = "go.uber.org/zap"
)

// rooms has the arrows of docs/architecture.md. A new arrow is added here, in the
// commit that explains it. A room that is missing here is an error.
var rooms = map[string]room{
	"wg": {imports: []string{
		"key", "conf", "internal/engine", "internal/lanes", "internal/packet", "internal/resolve", "internal/state", "internal/sys/clock",
		"internal/sys/cpu", "internal/sys/file", "internal/sys/link", "internal/sys/process", "internal/sys/tun",
		"internal/sys/udp", "internal/wgconf"}},
	"key":      {pure: true, imports: []string{"internal/erase"}},
	"conf":     {pure: true, imports: []string{"key", "internal/invalid", "internal/quote"}},
	"netstack": {imports: []string{"internal/packet", "internal/resolve/inturn", "internal/resolve/dns"}, third: []string{gvisor}},

	"cmd/wgd": {imports: []string{
		"conf", "key", "netstack", "wg", "internal/quote", "internal/aead", "internal/x25519", "internal/cli", "internal/cli/show",
		"internal/control", "internal/explain", "internal/history", "internal/metrics", "internal/nameserver", "internal/netsetup", "internal/pcapng", "internal/proxy", "internal/proxyconf", "internal/resolve", "internal/resolve/inturn", "internal/state", "internal/sys/answer", "internal/sys/errno", "internal/sys/file", "internal/sys/flock", "internal/sys/link", "internal/sys/mark", "internal/sys/process", "internal/sys/term", "internal/sys/tun", "internal/sys/unixsocket",
		"internal/top", "internal/tunnelfile", "internal/uapi", "internal/web", "internal/wgconf", "internal/wgimport"}},
	"cmd/wgconfig": {imports: []string{
		"conf", "key", "internal/quote", "internal/cli", "internal/cli/show", "internal/control", "internal/explain", "internal/netsetup", "internal/peerform", "internal/sys/file"}},
	"cmd/wg-keygen": {imports: []string{"key", "internal/cli", "internal/sys/file"}},
	"cmd/wg-ifconfig": {imports: []string{
		"conf", "internal/quote", "internal/cli", "internal/control", "internal/sys/link", "internal/sys/process"}},
	"cmd/wgd-peers": {imports: []string{
		"cmd/wgd-peers/etcd", "cmd/wgd-peers/peerfile", "cmd/wgd-peers/serve", "cmd/wgd-peers/sqlite", "cmd/wgd-peers/store", "conf", "key", "internal/cli", "internal/control", "internal/explain", "internal/quote", "internal/resolve",
		"internal/sys/file", "internal/sys/link", "internal/sys/process", "internal/wgconf"}, third: []string{qrcode}},
	"cmd/wgd-peers/etcd": {imports: []string{
		"cmd/wgd-peers/store", "key", "internal/quote", "internal/resolve"}, third: []string{etcd, grpc, zap}},
	"cmd/wgd-peers/fleet":    {forTests: true},
	"cmd/wgd-peers/peerfile": {imports: []string{"cmd/wgd-peers/store", "conf", "key", "internal/quote", "internal/wgconf", "internal/wire"}},
	"cmd/wgd-peers/serve": {imports: []string{
		"cmd/wgd-peers/store", "conf", "key", "internal/control", "internal/sys/errno", "internal/sys/process", "internal/sys/unixsocket", "internal/uapi", "internal/wire"}, third: []string{promhttp}},
	"cmd/wgd-peers/sqlite": {imports: []string{
		"cmd/wgd-peers/store", "key", "internal/quote", "internal/wire"}, third: []string{sqlite}},
	"cmd/wgd-peers/store":           {imports: []string{"conf", "key", "internal/quote", "internal/resolve", "internal/wire"}},
	"cmd/wgd-peers/store/storetest": {forTests: true, imports: []string{"cmd/wgd-peers/store", "key", "internal/wire"}},
	"internal/cli/show":             {imports: []string{"key", "conf", "internal/explain", "internal/quote"}},
	"internal/peerform":             {pure: true, imports: []string{"key", "conf", "internal/cli/show", "internal/quote", "internal/resolve"}},
	"internal/cli":                  {imports: []string{"key", "internal/quote", "internal/sys/term"}},
	"internal/cli/clitest":          {forTests: true, imports: []string{"key", "internal/cli"}},

	"internal/clock":   {pure: true},
	"internal/erase":   {pure: true},
	"internal/invalid": {pure: true},
	"internal/quote":   {pure: true, imports: []string{"key"}},
	"internal/wire":    {pure: true},
	"internal/noise":   {pure: true, imports: []string{"internal/erase", "internal/wire", "internal/x25519", "key"}, third: []string{crypto}},
	"internal/x25519":  {imports: []string{"internal/erase", "key"}, third: []string{cpu}},
	"internal/cookie": {pure: true, imports: []string{
		"internal/wire", "internal/clock", "key"}, third: []string{crypto}},
	"internal/replay":       {pure: true},
	"internal/aead":         {third: []string{crypto, cpu}},
	"internal/aead/emulate": {forTests: true},
	"internal/session": {imports: []string{
		"internal/clock", "internal/wire", "internal/replay", "internal/aead"}},
	"internal/allowedips": {pure: true, third: []string{bart}},
	"internal/peer":       {imports: []string{"internal/clock", "internal/session", "internal/wire"}},
	"internal/index":      {imports: []string{"internal/session", "internal/peer"}},
	"internal/core": {pure: true, imports: []string{
		"internal/invalid", "key", "conf", "internal/clock", "internal/wire", "internal/noise", "internal/cookie",
		"internal/session", "internal/peer", "internal/index", "internal/allowedips", "internal/observe",
		"internal/batch", "internal/packet", "internal/pathmtu", "internal/unknown", "internal/x25519"}},
	"internal/unknown":   {imports: []string{"conf", "key", "internal/clock", "internal/wire"}},
	"internal/sys/probe": {imports: []string{"internal/sys/errno"}, third: []string{unix}},
	"internal/explain":   {pure: true, imports: []string{"conf"}},
	"internal/live":      {pure: true, imports: []string{"conf", "key", "internal/cli/show", "internal/explain"}},
	"internal/top":       {pure: true, imports: []string{"conf", "internal/cli/show", "internal/explain", "internal/live"}},
	"internal/history":   {pure: true, imports: []string{"conf", "key", "internal/cli/show", "internal/session"}},
	"internal/observe":   {pure: true, imports: []string{"conf", "key", "internal/clock"}},
	"internal/packet":    {pure: true, third: []string{cpu}},
	"internal/pathmtu":   {pure: true, imports: []string{"internal/clock", "internal/packet"}},
	"internal/pcapng":    {pure: true},
	"internal/capture":   {imports: []string{"internal/batch", "internal/index", "internal/packet", "internal/pcapng", "internal/peer", "internal/wire"}},
	"internal/batch":     {imports: []string{"internal/wire"}},
	"internal/dataplane": {imports: []string{
		"conf", "internal/clock", "internal/wire", "internal/aead", "internal/session", "internal/peer",
		"internal/index", "internal/allowedips", "internal/observe", "internal/packet", "internal/batch", "internal/capture", "internal/unknown"}},
	"internal/driver": {pure: true, imports: []string{
		"internal/clock", "internal/wire", "internal/cookie", "internal/session", "internal/peer",
		"internal/index", "internal/core", "internal/batch", "internal/dataplane", "internal/packet"}},
	"internal/lanes":           {imports: []string{"internal/clock", "internal/sys/cpu", "internal/sys/yield"}},
	"internal/lanes/lanestest": {forTests: true, imports: []string{"internal/clock", "internal/lanes"}},
	"internal/engine": {imports: []string{
		"conf", "key", "internal/aead", "internal/batch", "internal/capture", "internal/clock", "internal/cookie",
		"internal/core", "internal/dataplane", "internal/driver", "internal/index", "internal/lanes", "internal/packet",
		"internal/observe", "internal/peer", "internal/resolve/dns", "internal/resolve/follow", "internal/session", "internal/sys/errno", "internal/sys/link", "internal/sys/pages",
		"internal/sys/tun", "internal/sys/udp", "internal/sys/yield", "internal/unknown", "internal/wire", "internal/x25519"}},
	"internal/sim": {forTests: true, imports: []string{
		"conf", "key", "internal/batch", "internal/clock", "internal/cookie", "internal/core",
		"internal/dataplane", "internal/driver", "internal/index", "internal/packet", "internal/peer",
		"internal/session", "internal/unknown", "internal/wire"}},
	"internal/state": {imports: []string{"key", "internal/wire", "internal/clock", "internal/sys/flock", "internal/sys/process"}},

	"internal/sys/tun":         {imports: []string{"conf", "internal/packet", "internal/sys/netns"}, third: []string{unix}},
	"internal/sys/tun/tuntest": {forTests: true, imports: []string{"internal/packet", "internal/sys/tun"}},
	"internal/sys/udp": {imports: []string{
		"internal/batch", "internal/sys/errno", "internal/sys/pages", "internal/wire"}, third: []string{unix}},
	"internal/sys/udp/udptest":     {forTests: true, imports: []string{"internal/batch", "internal/sys/udp", "internal/wire"}},
	"internal/sys/link":            {imports: []string{"internal/sys/netns"}, third: []string{unix, netlink, netns}},
	"internal/sys/link/linktest":   {forTests: true, imports: []string{"internal/sys/link"}},
	"internal/sys/nft":             {third: []string{unix, nftables}},
	"internal/sys/netns":           {third: []string{unix}},
	"internal/sys/netns/netnstest": {forTests: true, imports: []string{"internal/sys/netns"}, third: []string{unix}},
	"internal/sys/clock":           {imports: []string{"internal/clock"}, third: []string{unix}},
	"internal/sys/cpu":             {third: []string{unix}},
	"internal/sys/process":         {imports: []string{"internal/quote"}, third: []string{unix}},
	"internal/sys/yield":           {third: []string{unix}},
	"internal/sys/pages":           {third: []string{unix}},
	"internal/sys/term":            {third: []string{unix}},
	"internal/sys/term/termtest":   {forTests: true, third: []string{unix}},
	"internal/sys/file":            {third: []string{unix}},
	"internal/sys/mark":            {third: []string{unix}},
	"internal/sys/unixsocket":      {third: []string{unix}},
	"internal/sys/answer":          {third: []string{unix}},
	"internal/sys/inotify":         {third: []string{unix}},
	"internal/sys/resolved":        {third: []string{unix, dbus}},

	"internal/control": {imports: []string{
		"conf", "internal/sys/errno", "internal/sys/flock", "internal/sys/process",
		"internal/sys/unixsocket", "internal/sys/yield", "internal/uapi"}},
	"internal/control/controltest": {forTests: true, imports: []string{"conf", "key", "internal/invalid"}},
	"internal/uapi":                {pure: true, imports: []string{"conf", "key", "internal/invalid", "internal/quote"}},
	"internal/resolve":             {imports: []string{"internal/quote"}},
	"internal/resolve/inturn":      {},
	"internal/resolve/dns":         {imports: []string{"internal/sys/mark"}, third: []string{dnsmsg}},
	"internal/resolve/names":       {pure: true, imports: []string{"internal/clock", "key"}},
	"internal/resolve/follow": {imports: []string{
		"internal/clock", "internal/resolve/dns", "internal/resolve/names", "key"}},
	"internal/resolve/dns/dnstest": {forTests: true, imports: []string{"internal/resolve/dns", "internal/sys/netns"}, third: []string{dnsmsg}},
	"internal/wgconf": {pure: true, imports: []string{
		"internal/quote", "conf", "key", "internal/invalid", "internal/resolve"}},
	"internal/proxyconf":  {pure: true, imports: []string{"internal/quote", "internal/wgconf", "key"}},
	"internal/wgimport":   {pure: true, imports: []string{"conf", "internal/quote", "internal/wgconf"}},
	"internal/tunnelfile": {pure: true, imports: []string{"conf", "key", "internal/invalid", "internal/resolve", "internal/wgconf"}},
	"internal/proxy":      {imports: []string{"internal/resolve/inturn", "internal/sys/errno", "internal/sys/readable"}, third: []string{socks}},
	"internal/metrics":    {imports: []string{"conf", "internal/cli/show", "internal/control", "internal/quote"}, third: []string{promhttp}},
	"internal/web":        {imports: []string{"conf", "internal/cli/show", "internal/control", "internal/explain", "internal/live", "internal/peerform", "key"}, third: []string{qrcode}},
	"internal/netsetup": {imports: []string{
		"conf", "internal/control", "internal/nameserver", "internal/sys/flock", "internal/sys/link", "internal/sys/nft", "internal/sys/probe", "internal/sys/process", "internal/tunnelfile", "internal/wgconf"}},
	"internal/nameserver":   {imports: []string{"internal/sys/flock", "internal/sys/inotify", "internal/sys/resolved"}},
	"internal/sys/errno":    {third: []string{unix}},
	"internal/sys/readable": {third: []string{unix}},
	"internal/sys/flock":    {third: []string{unix}},
	"internal/archtest":     {forTests: true},
	"internal/asynctest":    {forTests: true},

	"docs/man":          {},
	"docs/man/wgdconf":  {imports: []string{"internal/cli", "internal/wgconf"}},
	"docs/man/wgdevice": {imports: []string{"conf", "internal/cli"}},
	"docs/tables":       {imports: []string{"internal/dataplane", "internal/uapi"}},

	"test/lab": {forTests: true, third: []string{unix}},
	"test/load": {forTests: true, imports: []string{
		"test/lab", "key", "internal/aead", "internal/clock", "internal/wire", "internal/noise", "internal/cookie", "internal/packet", "internal/replay"}, third: []string{unix}},
	"test/e2e":                {forTests: true},
	"test/stackload":          {forTests: true, imports: []string{"test/lab"}, third: []string{unix}},
	"test/stackload/wgdstack": {forTests: true, imports: []string{"conf", "key", "netstack", "wg", "internal/proxy", "test/stackload"}},
	"test/bench": {forTests: true, imports: []string{
		"test/lab", "test/load", "test/stackload", "internal/aead"}, third: []string{unix}}, // only for the name of what encrypts
	"test/spread": {forTests: true, imports: []string{
		"conf", "key", "test/lab", "internal/batch", "internal/engine", "internal/lanes", "internal/lanes/lanestest", "internal/packet",
		"internal/sys/clock", "internal/sys/cpu", "internal/sys/tun", "internal/sys/tun/tuntest", "internal/sys/udp", "internal/sys/udp/udptest"}, third: []string{unix}},
	"test/commits": {forTests: true},
	"test/scale":   {forTests: true, imports: []string{"test/lab", "test/load"}},
}
