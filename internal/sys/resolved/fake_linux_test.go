package resolved

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"wgd/internal/asynctest"
)

// A bus is a D-Bus daemon of a test. It is the system bus of this process.
type bus struct {
	t       testing.TB
	dir     string // has its files
	socket  string // "@" and a name, or a path
	address string
	daemon  *exec.Cmd
}

// busConfig lets everybody do everything. The folder has files of services that the bus can
// start.
const busConfig = `<busconfig>
<listen>%s</listen><servicedir>%s</servicedir><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy>
</busconfig>`

// newBus starts a bus that listens on a socket, or on bus in a new folder.
func newBus(t *testing.T, socket string) *bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no dbus-daemon")
		}
		t.Skipf("NOT TESTED: %s needs dbus-daemon, which `make setup` installs", t.Name())
	}
	b := &bus{t: t, dir: t.TempDir(), socket: socket}
	switch name, abstract := strings.CutPrefix(socket, "@"); {
	case abstract:
		b.address = "unix:abstract=" + name
	case socket == "":
		b.socket = filepath.Join(b.dir, "bus")
		b.address = "unix:path=" + b.socket
	default:
		b.address = "unix:path=" + dbus.EscapeBusAddressValue(socket)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "conf"), fmt.Appendf(nil, busConfig, b.address, b.dir), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(addressVariable, b.address)
	t.Cleanup(b.stop)
	b.start()
	return b
}

func (b *bus) start() {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.daemon = exec.Command("dbus-daemon", "--config-file="+filepath.Join(b.dir, "conf"), "--nofork", "--nopidfile", "--nosyslog")
	b.daemon.Stderr = log
	b.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if the test panics
	if err := b.daemon.Start(); err != nil {
		b.daemon = nil
		b.t.Fatal(err)
	}
	asynctest.Eventually(b.t, "the bus listens", func() bool {
		c, err := net.Dial("unix", b.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// canStart makes the bus able to start systemd-resolved, as where it is installed.
func (b *bus) canStart() {
	b.t.Helper()
	text := "[D-BUS Service]\nName=" + busName + "\nExec=/bin/sh -c 'echo started > " + b.dir + "/started'\n"
	if err := os.WriteFile(filepath.Join(b.dir, "resolved.service"), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.stop()
	b.start() // reads the file
}

// mustNotStart fails the test if the bus was asked to start systemd-resolved.
func (b *bus) mustNotStart() {
	b.t.Helper()
	if _, err := os.Stat(filepath.Join(b.dir, "started")); err == nil {
		b.t.Error("the bus was asked to start systemd-resolved")
	}
}

func (b *bus) stop() {
	if b.daemon == nil {
		return
	}
	if log, err := os.ReadFile(filepath.Join(b.dir, "log")); err == nil && b.t.Failed() {
		b.t.Logf("the bus: %s", log)
	}
	b.daemon.Process.Kill()
	b.daemon.Wait()
	b.daemon = nil
	os.Remove(b.socket)
}

// A fake has the methods of systemd-resolved. It records the calls.
type fake struct {
	conn *dbus.Conn

	mu      sync.Mutex
	calls   []string
	errors  map[string]*dbus.Error // what methods return
	unknown int                    // how many more calls fail, because the link is not known yet
}

// newFake makes a fake that is on the bus. Methods in without do not exist.
func newFake(t *testing.T, without ...string) *fake {
	t.Helper()
	var conn *dbus.Conn
	asynctest.Within(t, asynctest.Timeout, "connecting to the bus", func() {
		var err error
		if conn, err = dbus.Connect(os.Getenv(addressVariable)); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	f := &fake{conn: conn}
	t.Cleanup(f.end)
	methods := map[string]any{"SetLinkDNS": f.setLinkDNS, "SetLinkDomains": f.setLinkDomains,
		"SetLinkDefaultRoute": f.setLinkDefaultRoute, "RevertLink": f.revertLink}
	for _, name := range without {
		delete(methods, name)
	}
	if err := conn.ExportMethodTable(methods, objectPath, strings.TrimSuffix(manager, ".")); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the name: %v, %v", reply, err)
	}
	return f
}

// end takes the fake from the bus, as when systemd-resolved ends.
func (f *fake) end() { f.conn.Close() }

// forget makes the next calls for a link fail, because it is not known yet.
func (f *fake) forget(calls int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unknown = calls
}

// refuse makes one method return an error from now on.
func (f *fake) refuse(method, name, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errors = map[string]*dbus.Error{method: dbus.NewError(name, []any{message})}
}

func (f *fake) record(method string, args ...any) *dbus.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unknown > 0 {
		f.unknown--
		return dbus.NewError("org.freedesktop.resolve1.NoSuchLink", []any{"Link not known"})
	}
	f.calls = append(f.calls, fmt.Sprintf("%s%v", method, args))
	return f.errors[method]
}

// take returns the calls since the last take.
func (f *fake) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *fake) setLinkDNS(index int32, servers []address) *dbus.Error {
	return f.record("SetLinkDNS", index, servers)
}

func (f *fake) setLinkDomains(index int32, domains []domain) *dbus.Error {
	return f.record("SetLinkDomains", index, domains)
}

func (f *fake) setLinkDefaultRoute(index int32, yes bool) *dbus.Error {
	return f.record("SetLinkDefaultRoute", index, yes)
}

func (f *fake) revertLink(index int32) *dbus.Error { return f.record("RevertLink", index) }
