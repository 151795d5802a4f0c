package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// inForeground starts a line on the host, and returns when the tunnel to a works. Its
// output and exit status go to files.
func inForeground(b *lab.Host, line string) {
	b.Must("(%s; echo $? >/run/status) </dev/null >/run/said 2>&1 &", line)
}

// worksInForeground waits until wg0 is up, and the hooks have ended.
func worksInForeground(t *testing.T, b *lab.Host) (pid int) {
	t.Helper()
	lab.Until(t, 30*time.Second, "the interface is up", func() (bool, string) {
		return b.Run("grep -q '\"hooks\": true' /run/wgd/wg0.json && ip link show wg0 up | grep -q wg0").Code == 0, b.Run("cat /run/said").Out
	})
	b.Ping("198.18.0.9", 1)
	return b.Daemon(lab.Ours).PID
}

// foregroundEnds waits for the end, and compares the exit status.
func foregroundEnds(t *testing.T, b *lab.Host, status string, words ...string) {
	t.Helper()
	lab.Until(t, 40*time.Second, "wgd up -f ends", func() (bool, string) {
		return b.Run("test -s /run/status").Code == 0, "it still runs"
	})
	if got := strings.TrimSpace(b.Must("cat /run/status")); got != status {
		t.Errorf("exit status %s, want %s: %s", got, status, b.Must("cat /run/said"))
	}
	for _, word := range words {
		contains(t, b.Must("cat /run/said"), word)
	}
	b.Must("rm /run/status")
}

// A service manager is told when the tunnel is up, that it reloads, and that it goes down.
// SIGTERM runs the hooks and leaves nothing. The capabilities of the unit suffice.
func TestForegroundService(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = test -z \"$NOTIFY_SOCKET\"\nPreDown = ip -o link show %i | grep -q ,UP && echo PreDown >> /run/hooks\nPostDown = echo PostDown >> /run/hooks")
	a.Must("wgd up wg0")
	before := b.System()
	path := filepath.Join(fmt.Sprintf("/proc/%d/root", b.PID()), "run/notify")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	told := func(prefix string) {
		t.Helper()
		buf := make([]byte, 1000)
		listener.SetReadDeadline(time.Now().Add(40 * time.Second))
		n, err := listener.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), prefix) {
			t.Fatalf("the service manager was told %q, %v, want %q: %s", buf[:n], err, prefix, b.Run("cat /run/said").Out)
		}
	}
	inForeground(b, "NOTIFY_SOCKET=/run/notify setpriv --no-new-privs --bounding-set "+unitCapabilities(t)+" wgd up -f wg0")
	told("STATUS=bringing the tunnel up")
	told("READY=1\nSTATUS=the tunnel is up")
	b.Ping("198.18.0.9", 1)
	pid := b.Daemon(lab.Ours).PID
	b.Must("sed -i 's|^Address = .*|&, 10.2.0.77/32|' /etc/wireguard/wg0.conf && kill -HUP %d", pid)
	told("RELOADING=1\nMONOTONIC_USEC=")
	told("READY=1\nSTATUS=the tunnel is up")
	contains(t, b.Must("ip addr show wg0"), "10.2.0.77/32")
	b.Must("sed -i 's|^MTU.*||; s|^Address = |MTU = 5\\nAddress = |' /etc/wireguard/wg0.conf && kill -HUP %d", pid)
	told("RELOADING=1\n")
	told("READY=1\nSTATUS=the tunnel is up; the last reload failed: /etc/wireguard/wg0.conf:")
	b.Ping("198.18.0.9", 1)
	b.Must("sed -i 's|^MTU.*||' /etc/wireguard/wg0.conf && kill -TERM %d", pid)
	told("STOPPING=1\n")
	foregroundEnds(t, b, "0")
	if got := b.Must("cat /run/hooks"); got != "PreDown\nPostDown\n" {
		t.Errorf("hooks of down: %q", got)
	}
	if said := b.Must("cat /run/said"); strings.Contains(said, "gone") {
		t.Errorf("its own end is reported as the work of others: %s", said)
	}
	lab.Unchanged(t, "SIGTERM", before, b.System())
	nothingLeft(t, b)
}

// As the first process of a container, it forgets what hooks leave, and obeys signals.
func TestForegroundFirstProcess(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = (while ! test -e /run/end; do sleep 0.1; done; touch /run/ended) & true")
	a.Must("wgd up wg0")
	before := b.System()
	inForeground(b, "unshare --pid --fork --mount-proc wgd up -f wg0")
	pid := worksInForeground(t, b)
	children := func() string {
		return b.Must("for d in /proc/[0-9]*; do grep -Hs \"^[0-9]* (.*) [A-Z] %d \" $d/stat; done; true", pid)
	}
	if children() == "" {
		t.Fatal("the hook left no process: this test proves nothing")
	}
	b.Must("touch /run/end")
	lab.Until(t, 30*time.Second, "the orphan is forgotten", func() (bool, string) {
		left := children()
		return left == "" && b.Exists("/run/ended"), left
	})
	b.Must("kill -INT %d", pid)
	foregroundEnds(t, b, "0")
	lab.Unchanged(t, "SIGINT", before, b.System())
	nothingLeft(t, b)
}

// Another command takes the interface down, or deletes it: the process ends too, and
// leaves nothing. So it does if its daemon is disturbed while up runs.
func TestForegroundEndedByOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, status, said string }{
		{"down", "wgd down wg0", "0", ""},
		{"deleted", "ip link delete wg0", "0", "the daemon ends with it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			upFiles(a, b, "PostDown = echo PostDown >> /run/hooks")
			a.Must("wgd up wg0")
			before := b.System()
			inForeground(b, "wgd up -f wg0")
			worksInForeground(t, b)
			b.Fails(1, "wgd up -f wg0", "up already")
			b.Must("%s", c.line)
			foregroundEnds(t, b, c.status, c.said)
			if got := b.Must("cat /run/hooks"); got != "PostDown\n" {
				t.Errorf("hooks of down: %q", got)
			}
			lab.Unchanged(t, c.line, before, b.System())
			nothingLeft(t, b)
		})
	}
}

// A signal ends up in the middle, and a second one ends a hook of down. What fails is
// undone, as without -f; and what was killed, the next one undoes.
func TestForegroundInterrupted(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "PostUp = touch /run/begun; sleep 100")
	a.Must("wgd up wg0")
	before := b.System()
	begun := func() int {
		lab.Until(t, 30*time.Second, "the hook begins", func() (bool, string) { return b.Exists("/run/begun"), "it has not" })
		b.Must("rm /run/begun")
		return b.Daemon(lab.Ours).PID
	}
	inForeground(b, "wgd up -f wg0")
	b.Must("kill -TERM %d", begun())
	foregroundEnds(t, b, "1", "interrupted")
	lab.Unchanged(t, "SIGTERM in up", before, b.System())
	nothingLeft(t, b)

	b.Must("sed -i 's/^PostUp/PreDown/' /etc/wireguard/wg0.conf")
	inForeground(b, "wgd up -f wg0")
	pid := worksInForeground(t, b)
	b.Must("kill -TERM %d", pid)
	begun()
	b.Must("kill -TERM %d", pid)
	foregroundEnds(t, b, "1", "interrupted")
	lab.Unchanged(t, "SIGTERM in down", before, b.System())
	nothingLeft(t, b)

	b.Must("sed -i 's/^PreDown.*//' /etc/wireguard/wg0.conf")
	inForeground(b, "wgd up -f wg0")
	b.Must("kill -KILL %d", worksInForeground(t, b))
	foregroundEnds(t, b, "137")
	inForeground(b, "wgd up -f wg0")
	b.Must("kill -TERM %d", worksInForeground(t, b))
	foregroundEnds(t, b, "0")
	lab.Unchanged(t, "SIGKILL, and another one", before, b.System())
	nothingLeft(t, b)

	b.Write("/etc/wireguard/wg0.conf", "[Interface]\nPrivateKey = "+strings.TrimSpace(b.Must("wg-keygen"))+"\nPostUp = false\n")
	b.Fails(1, "wgd up -f wg0", "PostUp failed")
	b.Fails(1, "NOTIFY_SOCKET=/nowhere wgd up -f wg0", "NOTIFY_SOCKET", "unset")
	lab.Unchanged(t, "what failed", before, b.System())
	nothingLeft(t, b)
}

// The program works alone, as in an image that has nothing but it: no shell, no libc. Such
// an image is that of the Dockerfile. Its root may be read-only, except /run.
func TestForegroundLoneProgram(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	upFiles(a, b, "")
	a.Must("wgd up wg0")
	before := b.System()
	image := filepath.Join(t.TempDir(), "image")
	buildImage(t, image)
	b.Must("mkdir /run/lone && mount -t tmpfs -o mode=755 none /run/lone && cp -a %s/. /run/lone && cd /run/lone && mkdir -p dev/net proc etc && "+
		"mount --bind /dev/net dev/net && mount -t proc none proc && cp -a /etc/wireguard etc", image)
	for _, root := range []string{"writable", "read-only"} {
		if root == "read-only" {
			b.Must("cd /run/lone && rm -rf run/* && mount -t tmpfs none run && mount -o remount,bind,ro . && ! touch etc/x")
		}
		inForeground(b, "unshare --pid --fork env -i /usr/sbin/chroot /run/lone /bin/wgd up -f wg0")
		lab.Until(t, 30*time.Second, "the interface is up", func() (bool, string) {
			return b.Run("grep -q '\"hooks\": true' /run/lone/run/wgd/wg0.json").Code == 0, b.Run("cat /run/said").Out
		})
		b.Ping("198.18.0.9", 3)
		b.Must("kill -TERM %s", strconv.Itoa(b.Daemon(lab.Ours).PID))
		foregroundEnds(t, b, "0")
		lab.Unchanged(t, "SIGTERM, "+root, before, b.System())
	}
	b.Must("mount -o remount,bind,rw /run/lone && echo 'PostUp = true' > /run/hook && sed -i '/^Address/r /run/hook' /run/lone/etc/wireguard/wg0.conf")
	b.Fails(1, "env -i /usr/sbin/chroot /run/lone /bin/wgd up -f wg0", "PostUp failed", "neither bash nor sh")
	lab.Unchanged(t, "a hook without a shell", before, b.System())
}

// buildImage makes the files of the image in a folder, with the commands of the
// Dockerfile.
func buildImage(t *testing.T, folder string) {
	t.Helper()
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	stage, _, found := strings.Cut(string(text), "\nFROM scratch\nCOPY --from=build /out/ /\n")
	commands := 0
	for line := range strings.Lines(stage) {
		command, isRun := strings.CutPrefix(line, "RUN ")
		if !isRun || !strings.Contains(command, "/out/") {
			continue
		}
		commands++
		build := exec.Command("sh", "-c", strings.ReplaceAll(command, "/out/", folder+"/"))
		build.Dir = root
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	if !found || commands != 2 {
		t.Fatalf("the Dockerfile does not copy what %d commands make in /out/, want 2", commands)
	}
}

// unitCapabilities returns what the unit leaves, as setpriv(1) wants it.
func unitCapabilities(t *testing.T) string {
	t.Helper()
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "packaging/systemd/wgd@.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\nCapabilityBoundingSet=")
	line, _, _ := strings.Cut(rest, "\n")
	set := "-all"
	for _, name := range strings.Fields(line) {
		set += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	if !found || set == "-all" {
		t.Fatal("the unit has no CapabilityBoundingSet")
	}
	return set
}
