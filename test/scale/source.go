package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
	"wgd/test/lab"
)

// The traffic is made by this program itself, started again inside a host's
// network. For each line that it reads it answers with what it has done so far.

const sourceEnv = "WGD_SCALE_SOURCE"

// source is what such a process does.
type source struct {
	Role   string // storm, sink, stream
	Server string // of a storm: the daemon's public key
}

// reading is its answer.
type reading struct {
	Count int           // handshakes answered, or bytes received
	At    time.Duration // of a clock of its own
}

const streamPort = "5001"

// becomeSource does not return in a process that was started as one.
func becomeSource() {
	text := os.Getenv(sourceEnv)
	if text == "" {
		return
	}
	if err := work(text); err != nil {
		fmt.Fprintf(os.Stderr, "scale: %s: %v\n", text, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func work(text string) error {
	var s source
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	roles := map[string]func(source) (begin func(), count *atomic.Int64, err error){"storm": handshakes, "sink": swallow, "stream": pour}
	role, ok := roles[s.Role]
	if !ok {
		return errors.New("no such role")
	}
	begin, count, err := role(s)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	start := time.Now()
	var once sync.Once
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		once.Do(begin)
		answer, err := json.Marshal(reading{int(count.Load()), time.Since(start)})
		if err != nil {
			return err
		}
		fmt.Println(string(answer))
	}
	return nil
}

// process is one of them, seen from outside.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startSource starts one on a host, and waits until it is ready.
func startSource(t lab.T, h *lab.Host, s source) *process {
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("%v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find this program to start it again: %v", err)
	}
	p := &process{cmd: exec.Command("nsenter", "-n", "-t", strconv.Itoa(h.PID()), "--", self)}
	p.cmd.Env = append(os.Environ(), sourceEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if _, err := p.out.ReadString('\n'); err != nil {
		p.stop()
		t.Fatalf("%s did not begin", text)
	}
	return p
}

// ask asks what was done so far; the first question begins a storm.
func (p *process) ask(t lab.T) (r reading) {
	_, err := p.in.Write([]byte("\n"))
	var line []byte
	if err == nil {
		line, err = p.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		t.Fatalf("the traffic ended: %v", err)
	}
	return r
}

func (p *process) stop() {
	p.in.Close()
	late := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.cmd.Wait()
}

// inParallel calls f with 0 to n-1, on all cores.
func inParallel(n int, f func(i int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range runtime.NumCPU() {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	all.Wait()
}

// stormKey is the private key of a storm's i-th peer.
func stormKey(i int) key.Private {
	var seed [12]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i))
	b := sha256.Sum256(seed[:])
	return key.NewPrivate(&b)
}

// atOnce is how many initiations are unanswered at most: enough to keep the
// daemon busy, and below what it calls load.
const atOnce = 64

// handshakes is a storm: one initiation of each peer, made beforehand.
func handshakes(s source) (begin func(), answered *atomic.Int64, err error) {
	server, err := key.ParsePublic(s.Server)
	if err != nil {
		return nil, nil, err
	}
	conn, err := net.Dial("udp", net.JoinHostPort("192.0.2.1", strconv.Itoa(serverPort)))
	if err != nil {
		return nil, nil, err
	}
	messages := make([][]byte, stormPeers)
	now := wire.StampAt(time.Now())
	inParallel(len(messages), func(i int) {
		ephemeral := randomKey()
		msg, _, failed := noise.CreateInitiation(noise.NewStatic(stormKey(i)), noise.NewRemote(server), &ephemeral, uint32(i), now)
		if failed != nil {
			return
		}
		maker := cookie.NewMaker(server)
		messages[i] = msg.AppendTo(nil)
		maker.AddMACs(1, messages[i])
	})
	answered = new(atomic.Int64)
	places := make(chan struct{}, atOnce)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, err := conn.Read(buf)
			if kind, ok := wire.TypeOf(buf[:max(n, 0)]); err == nil && ok && kind == wire.TypeResponse {
				answered.Add(1)
				<-places
			}
		}
	}()
	return func() {
		go func() {
			for _, msg := range messages {
				places <- struct{}{}
				conn.Write(msg)
			}
		}()
	}, answered, nil
}

// swallow takes TCP streams and counts their bytes.
func swallow(source) (begin func(), bytes *atomic.Int64, err error) {
	listener, err := net.Listen("tcp", ":"+streamPort)
	if err != nil {
		return nil, nil, err
	}
	bytes = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 1<<20)
				for n := 0; err == nil; bytes.Add(int64(n)) {
					n, err = conn.Read(buf)
				}
			}()
		}
	}()
	return func() {}, bytes, nil
}

// pour sends a TCP stream through the tunnel.
func pour(source) (begin func(), bytes *atomic.Int64, err error) {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(lab.InnerA4, streamPort), 10*time.Second)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		buf := make([]byte, 1<<20)
		for {
			if _, err := conn.Write(buf); err != nil {
				return
			}
		}
	}()
	return func() {}, new(atomic.Int64), nil
}
