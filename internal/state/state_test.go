package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

const second = clock.Time(time.Second)

func stampOf(unix int64) wire.TAI64N { return wire.StampAt(time.Unix(unix, 0)) }

// reopen opens the Log, which must cause no warning.
func reopen(t *testing.T, dir string) (*Log, Saved) {
	t.Helper()
	l, saved, err := Open(dir, "wg0")
	if err != nil || saved.Warning != "" {
		t.Fatalf("Open: error %v, warning %q", err, saved.Warning)
	}
	return l, saved
}

func flush(t *testing.T, l *Log, now clock.Time) {
	t.Helper()
	if next, err := l.Flush(now); err != nil || next != clock.Never {
		t.Fatalf("Flush: next at %v, error %v", next, err)
	}
}

// A20, A21: a reserved ceiling and accepted stamps survive a crash; the stamp of
// a removed peer is forgotten.
func TestSurvivesACrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	l, saved := reopen(t, dir)
	if !saved.Ceiling.IsZero() || len(saved.Received) != 0 {
		t.Errorf("a new file contains %v", saved)
	}
	if err := l.Reserve(stampOf(1000)); err != nil {
		t.Fatal(err)
	}
	l.Accepted(peer(1), stampOf(10))
	l.Accepted(peer(2), stampOf(20))
	l.Accepted(peer(1), stampOf(11))
	flush(t, l, 5*second)
	l.Forget(peer(2))
	flush(t, l, 6*second)
	l.Accepted(peer(3), stampOf(30)) // crash before the next second
	l.unlock()                       // as the kernel does

	_, saved = reopen(t, dir)
	if saved.Ceiling != stampOf(1000) {
		t.Errorf("got ceiling %x, want %x", saved.Ceiling, stampOf(1000))
	}
	if len(saved.Received) != 1 || saved.Received[peer(1)] != stampOf(11) {
		t.Errorf("got stamps %v, want that of peer 1 only", saved.Received)
	}
}

// A20, A21: while a Log has the file, another one reads it only, and says so. After Close,
// the file is free, and the lock has left nothing.
func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	l, _ := reopen(t, dir)
	if err := l.Reserve(stampOf(1000)); err != nil {
		t.Fatal(err)
	}
	other, saved := openWithWarning(t, osDisk{}, dir, "another program")
	if saved.Ceiling != stampOf(1000) {
		t.Errorf("got ceiling %x, want %x", saved.Ceiling, stampOf(1000))
	}
	if err := errors.Join(other.Reserve(stampOf(2000)), other.Close(stampOf(1))); err != nil {
		t.Error(err)
	}
	if err := l.Close(stampOf(900)); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("files: %v, %v, want one", files, err)
	}
	if _, saved = reopen(t, dir); saved.Ceiling != stampOf(900) {
		t.Errorf("got ceiling %x, want %x", saved.Ceiling, stampOf(900))
	}
}

// A20: Close lowers the ceiling to the last stamp that was sent; without a last
// stamp, the ceiling stays.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	l, _ := reopen(t, dir)
	l.Reserve(stampOf(1000))
	l.Accepted(peer(1), stampOf(10))
	for range 2 {
		if err := l.Close(stampOf(950)); err != nil {
			t.Fatal(err)
		}
	}
	l.Accepted(peer(2), stampOf(10))
	if next, err := l.Flush(100 * second); next != clock.Never || err != nil {
		t.Errorf("Flush after Close: got %v, %v, want Never and no error", next, err)
	}
	l, saved := reopen(t, dir)
	if saved.Ceiling != stampOf(950) || len(saved.Received) != 1 {
		t.Errorf("after Close: got %v", saved)
	}
	l.Close(wire.TAI64N{})
	if _, saved = reopen(t, dir); saved.Ceiling != stampOf(950) {
		t.Errorf("got ceiling %x, want %x", saved.Ceiling, stampOf(950))
	}
}

// A20, B51: a clock that was years ahead leaves a ceiling years ahead, which
// Reserve never lowers.
func TestStampFromTheFuture(t *testing.T) {
	dir := t.TempDir()
	l, _ := reopen(t, dir)
	future := stampOf(4_000_000_000)
	l.Reserve(future)
	l.Reserve(stampOf(1_700_000_000))
	l.unlock()
	l, saved := reopen(t, dir)
	if saved.Ceiling != future {
		t.Fatalf("got ceiling %x, want %x", saved.Ceiling, future)
	}
	l.Accepted(peer(1), future)
	l.Close(future.Next())
	if _, saved = reopen(t, dir); saved.Ceiling != future.Next() || saved.Received[peer(1)] != future {
		t.Errorf("after Close: got %v", saved)
	}
}

// A21: changes are written at most once a second, all of that second at once.
func TestWritesOnceASecond(t *testing.T) {
	dir := t.TempDir()
	l, _ := reopen(t, dir)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "wg0.stamps"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	empty := size()
	if next, err := l.Flush(3 * second); next != clock.Never || err != nil || size() != empty {
		t.Fatalf("Flush with nothing to write: next at %v, error %v", next, err)
	}
	l.Accepted(peer(1), stampOf(1))
	flush(t, l, 10*second)
	one := size()
	for i := range 50 {
		l.Accepted(peer(i), stampOf(2))
		if next, err := l.Flush(10*second + clock.Time(i)); next != 11*second || err != nil {
			t.Fatalf("Flush too early: next at %v, error %v", next, err)
		}
	}
	if size() != one {
		t.Error("the file was written twice within a second")
	}
	flush(t, l, 11*second)
	if size() != one+50*recordSize {
		t.Errorf("got %d bytes for 50 changes, want %d", size()-one, 50*recordSize)
	}
}

// slowDisk blocks in Sync until the test sends to release.
type slowDisk struct {
	*memDisk
	syncing, release chan struct{}
}

type slowFile struct {
	file
	disk *slowDisk
}

func (d *slowDisk) create(path string) (file, error) {
	f, err := d.memDisk.create(path)
	return &slowFile{f, d}, err
}

func (f *slowFile) Sync() error {
	f.disk.syncing <- struct{}{}
	<-f.disk.release
	return f.file.Sync()
}

// A21: Accepted and Forget never wait for the disk, and no change made meanwhile
// is lost.
func TestAcceptedDoesNotWaitForTheDisk(t *testing.T) {
	disk := &slowDisk{newMemDisk(0), make(chan struct{}, 9), make(chan struct{}, 9)}
	disk.release <- struct{}{}
	l, _, _ := open(disk, "/dir", "wg0")
	<-disk.syncing
	l.Accepted(peer(1), stampOf(1))
	l.Accepted(peer(2), stampOf(2))
	flushed := make(chan error)
	go func() {
		_, err := l.Flush(second)
		flushed <- err
	}()
	<-disk.syncing
	l.Accepted(peer(1), stampOf(3)) // must not block
	l.Forget(peer(2))
	disk.release <- struct{}{}
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	disk.release <- struct{}{}
	flush(t, l, 2*second)
	if _, saved, _ := open(disk.memDisk, "/dir", "wg0"); len(saved.Received) != 1 || saved.Received[peer(1)] != stampOf(3) {
		t.Errorf("got stamps %v, want that of peer 1 only", saved.Received)
	}
}

// A21: the log is compacted from time to time, without loss.
func TestCompaction(t *testing.T) {
	disk := newMemDisk(0)
	l, _, _ := open(disk, "/dir", "wg0")
	largest := 0
	for i := range 200 {
		l.Reserve(stampOf(int64(1000 + i)))
		for p := range 100 {
			l.Accepted(peer(p), stampOf(int64(i+p)))
		}
		flush(t, l, clock.Time(i+1)*second)
		largest = max(largest, len(disk.now()["/dir/wg0.stamps"].data))
	}
	if limit := (2*101+maxOutdated+101)*recordSize + len(heading); largest > limit {
		t.Errorf("the file grew to %d bytes, want at most %d", largest, limit)
	}
	_, saved, _ := open(disk, "/dir", "wg0")
	for p := range 100 {
		if saved.Received[peer(p)] != stampOf(int64(199+p)) {
			t.Fatalf("peer %d: got stamp %x, want %x", p, saved.Received[peer(p)], stampOf(int64(199+p)))
		}
	}
	if saved.Ceiling != stampOf(1199) || len(saved.Received) != 100 {
		t.Errorf("got ceiling %x and %d peers, want %x and 100", saved.Ceiling, len(saved.Received), stampOf(1199))
	}
	if len(disk.now()) != 1 {
		t.Errorf("got files %v, want one", disk.now())
	}
}

// Only the owner may access the files, also if an existing one allowed more.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "wgd")
	path := filepath.Join(dir, "wg0.stamps")
	modes := func() {
		t.Helper()
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("directory: got mode %v, error %v", info.Mode(), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("file: got mode %v, error %v", info.Mode(), err)
		}
	}
	l, _ := reopen(t, dir)
	modes()
	l.Close(stampOf(1))
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte("left by a crash"), 0o666); err != nil {
		t.Fatal(err)
	}
	l, _ = reopen(t, dir)
	modes()
	if err := l.rewrite(); err != nil {
		t.Fatal(err)
	}
	modes()
}

// Each interface has its own file; a name that is a path is refused.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", ".", "..", "a/b", "../wg0", "/etc/passwd", "a\\b", "a\x00"} {
		if l, _, err := Open(dir, name); err == nil || l != nil {
			t.Errorf("%q was opened", name)
		}
	}
	a, _, _ := Open(dir, "wg0")
	b, _, _ := Open(dir, "wg1")
	a.Reserve(stampOf(1))
	b.Reserve(stampOf(2))
	for name, want := range map[string]wire.TAI64N{"wg0": stampOf(1), "wg1": stampOf(2)} {
		if _, saved, _ := Open(dir, name); saved.Ceiling != want {
			t.Errorf("%s: got ceiling %x, want %x", name, saved.Ceiling, want)
		}
	}
}

// openWithWarning opens a Log, which must cause a warning with all these words.
func openWithWarning(t *testing.T, d disk, dir string, words ...string) (*Log, Saved) {
	t.Helper()
	l, saved, err := open(d, dir, "wg0")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range words {
		if !strings.Contains(saved.Warning, w) {
			t.Errorf("no %q in the warning %q", w, saved.Warning)
		}
	}
	return l, saved
}

// B51: if a file is truncated at any byte, or any byte is changed, at most the
// record concerned is lost, or everything if it is the first line. Open warns
// about it, and the next Open finds an intact file.
func TestDamage(t *testing.T) {
	const path = "/dir/wg0.stamps"
	disk := newMemDisk(0)
	l, _, _ := open(disk, "/dir", "wg0")
	l.Reserve(stampOf(1000))
	for i := range 3 {
		l.Accepted(peer(i), stampOf(int64(i)+1))
		flush(t, l, clock.Time(i+1)*second)
	}
	good := disk.now()[path].data
	// Record 0 was written by Open, 1 has the ceiling, each other one has a peer.
	check := func(damaged []byte, at, whole int, ceiling wire.TAI64N) {
		t.Helper()
		disk := newMemDisk(0)
		disk.now()[path] = &inode{damaged, len(damaged)}
		words := []string{path, "damaged and ignored", "disk"}
		if at < len(heading) {
			words, whole, ceiling = []string{path, "is ignored", path + ".damaged"}, 0, wire.TAI64N{}
		}
		l, saved := openWithWarning(t, disk, "/dir", words...)
		if len(saved.Received) != whole || saved.Ceiling != ceiling {
			t.Fatalf("damaged at %d: got %d peers and ceiling %x, want %d and %x", at, len(saved.Received), saved.Ceiling, whole, ceiling)
		}
		l.Accepted(peer(9), stampOf(9))
		flush(t, l, second)
		_, again, _ := open(disk, "/dir", "wg0")
		if again.Warning != "" || len(again.Received) != whole+1 || again.Ceiling != ceiling {
			t.Fatalf("damaged at %d: got %v when opened again, %v before", at, again, saved)
		}
	}
	for at := range good {
		record := (at - len(heading)) / recordSize
		whole, ceiling := 2, stampOf(1000)
		if record <= 1 {
			whole = 3
		}
		if record == 1 {
			ceiling = wire.TAI64N{}
		}
		changed := bytes.Clone(good)
		changed[at] ^= 0x10
		check(changed, at, whole, ceiling)
		if (at-len(heading))%recordSize == 0 {
			continue // truncated between two records, which cannot be detected
		}
		if record <= 1 {
			ceiling = wire.TAI64N{}
		}
		check(bytes.Clone(good[:at]), at, max(0, record-2), ceiling)
	}
}

// A20: if a record is damaged, the highest ceiling in the file is used, because
// the damaged record may have raised the ceiling again.
func TestHighestCeilingCountsAfterDamage(t *testing.T) {
	file := []byte(heading)
	for _, ceiling := range []int64{1000, 900, 950} {
		file = appendRecord(file, kindCeiling, key.Public{}, stampOf(ceiling))
	}
	if c, _, err := load(bytes.NewReader(file)); err != nil || c.ceiling != stampOf(950) {
		t.Errorf("got ceiling %x, %v, want %x", c.ceiling, err, stampOf(950))
	}
	file[len(file)-1] ^= 1
	if c, d, err := load(bytes.NewReader(file)); err != nil || d.bad != 1 || c.ceiling != stampOf(1000) {
		t.Errorf("with damage: got ceiling %x, %v, %v, want %x", c.ceiling, d, err, stampOf(1000))
	}
}

// A file that cannot be read is not replaced. In that case, and if the directory
// cannot be made, Open warns, and the Log does nothing.
func TestNoAccess(t *testing.T) {
	dir := t.TempDir()
	unreadable := filepath.Join(dir, "wg0.stamps")
	if err := os.Mkdir(unreadable, 0o700); err != nil {
		t.Fatal(err)
	}
	notDir := filepath.Join(dir, "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, filepath.Join(notDir, "wgd")} {
		l, _ := openWithWarning(t, osDisk{}, dir, dir, "not survive a restart", "start again")
		l.Accepted(peer(1), stampOf(1))
		if next, err := l.Flush(second); next != clock.Never || err != nil {
			t.Errorf("Flush: got %v, %v, want Never and no error", next, err)
		}
		if n := len(l.pending); n != 0 {
			t.Errorf("%d changes are kept that are never written", n)
		}
		if l.Reserve(stampOf(1)) != nil || l.Close(stampOf(1)) != nil {
			t.Error("a Log without a file returns an error")
		}
	}
	if info, err := os.Stat(unreadable); err != nil || !info.IsDir() {
		t.Error("a file that could not be read was replaced")
	}
}

// A symbolic link in place of the file is not followed.
func TestLinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wg0.stamps", "wg0.stamps.new"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := openWithWarning(t, osDisk{}, dir, "regular file")
	l.Close(stampOf(5))
	os.Remove(filepath.Join(dir, "wg0.stamps"))
	l, _ = reopen(t, dir)
	l.Close(stampOf(5))
	if got, _ := os.ReadFile(target); string(got) != "precious" {
		t.Errorf("the target of the link contains %q", got)
	}
}

// A21: for users other than root, the files are in the user's state directory.
func TestDefaultDir(t *testing.T) {
	for _, c := range []struct {
		root      bool
		xdg, home string
		want      string
	}{
		{true, "/x", "/root", "/var/lib/wgd"},
		{false, "/x", "/home/u", "/x/wgd"},
		{false, "", "/home/u", "/home/u/.local/state/wgd"},
		{false, "relative", "/home/u", "/home/u/.local/state/wgd"},
		{false, "", "", "/var/lib/wgd"},
	} {
		if got := defaultDir(c.root, c.xdg, c.home); got != c.want {
			t.Errorf("root %t, XDG_STATE_HOME %q, home %q: got %s, want %s", c.root, c.xdg, c.home, got, c.want)
		}
	}
	if !filepath.IsAbs(DefaultDir()) {
		t.Errorf("DefaultDir returns the relative path %q", DefaultDir())
	}
}

// A60, A21: the stamps of a million peers are read in reasonable time.
func BenchmarkMillionPeers(b *testing.B) {
	dir := b.TempDir()
	l, _, err := Open(dir, "wg0")
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1 << 20 {
		l.Accepted(key.Public{byte(i), byte(i >> 8), byte(i >> 16)}, stampOf(int64(i)+1))
	}
	if _, err := l.Flush(second); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, saved, _ := Open(dir, "wg0"); len(saved.Received) != 1<<20 {
			b.Fatal("stamps were lost")
		}
	}
}
