package wg

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"wgd/internal/engine"
	"wgd/internal/lanes"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// kernelMTU is the MTU of a new TUN interface.
const kernelMTU = 1500

// queueLength is how many packets can wait in a queue of a new interface; the
// kernel's default is 500. Super-packets use few entries. But packets that the
// kernel segments before they reach the interface, of a VXLAN in the tunnel for
// example, arrive in bursts of one TCP window, and an overflow would also drop
// packets of other connections (docs/decisions/interface-queue.md).
const queueLength = 2000

// openKernel makes an interface of the kernel and follows its state.
func openKernel(o Options) (*Interface, error) {
	device, err := openTUN(o)
	if err != nil {
		return nil, err
	}
	w, err := runOn(device, o)
	if err != nil {
		device.Close()
		return nil, err
	}
	return w, nil
}

func openTUN(o Options) (tun.Device, error) {
	if o.TUN != nil {
		return takeOver(o.TUN)
	}
	device, err := tun.Create(o.Name, tun.Options{Existing: true, Queues: lanes.MaxQueues(o.Processors != nil)})
	if err != nil {
		return nil, err
	}
	logOneQueue(o.Log, device)
	if err := configure(device, o); err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// logOneQueue logs why the interface has one queue, if more were requested.
func logOneQueue(log *slog.Logger, device tun.Device) {
	if why := device.Caps().OneQueue; why != nil {
		log.Debug("the interface has only one queue, so one core at a time processes small outbound packets", "err", why)
	}
}

// takeOver takes over the TUN interface behind a file, and closes the file. It
// duplicates the descriptor: if two files had the same one, both would close it,
// the second time when it may belong to another file.
func takeOver(file *os.File) (tun.Device, error) {
	fd, err := process.Duplicate(file)
	if err != nil {
		return nil, fmt.Errorf("TUN descriptor %s: %w", file.Name(), err)
	}
	device, err := tun.FromFD(fd, tun.Options{})
	if err != nil {
		process.Close(fd)
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	file.Close()
	return device, nil
}

// configure sets the MTU of an interface and its other parameters. An interface
// that existed before keeps the MTU that it was given. If it belongs to a user
// who has no permission to configure it, that is no error.
func configure(device tun.Device, o Options) error {
	links, err := link.Open()
	if err != nil {
		return err
	}
	defer links.Close()
	name, existed := device.Name(), device.Caps().Existed
	current, err := links.Get(name)
	if err != nil {
		return err
	}
	mtu := cmp.Or(o.MTU, DefaultMTU)
	if existed && o.MTU == 0 && current.MTU != kernelMTU {
		mtu = current.MTU
	}
	if current.MTU != mtu {
		err = links.SetMTU(name, mtu)
	}
	switch {
	case existed && errors.Is(err, link.ErrPermission):
		o.Log.Warn("no permission to change the MTU of the interface, with which large packets are sent in two fragments: set a smaller one", "mtu", current.MTU, "err", err)
	case err != nil:
		return err
	}
	if !existed { // otherwise its owner may have chosen the length
		if err := links.SetQueueLength(name, queueLength); err != nil {
			o.Log.Debug("cannot set the length of the interface's queue", "err", err)
		}
	}
	if err := links.NoAutomaticAddress(name); err != nil {
		o.Log.Debug("cannot keep the kernel from giving the interface a link-local address", "err", err)
	}
	return nil
}

// gsoLimits returns the maximum size of a super-packet in bytes and in segments,
// at this MTU, with which it is sent as one train of datagrams. A larger one
// would need a second send.
func gsoLimits(mtu int) (bytes, segments int) {
	const (
		maxTrain       = 65507 // bytes of a train over IPv4
		overhead       = 32    // bytes that a message adds to its packet
		maxSuperPacket = 65536 // the default of interfaces
	)
	segments = min(max(maxTrain/(mtu+overhead), 1), udp.MaxSegments)
	return min(segments*mtu, maxSuperPacket), segments
}

// setGSOLimits makes the kernel limit super-packets to the length of a train. If
// that fails, the tunnel is a little slower.
func setGSOLimits(device tun.Device, mtu int) error {
	links, err := link.OpenAt(device)
	if err != nil {
		return err
	}
	defer links.Close()
	// The kernel resets this setting when the MTU falls below IPv6's minimum and
	// rises again.
	err = links.NoAutomaticAddress(device.Name())
	bytes, segments := gsoLimits(mtu)
	return errors.Join(err, links.SetGSOMax(device.Name(), bytes, segments))
}

func runOn(device tun.Device, o Options) (*Interface, error) {
	world := engine.World{TUN: device}
	routes, err := link.WatchRoutes()
	if err != nil {
		return nil, fmt.Errorf("watch the routes: %w", err)
	}
	if o.Transport == nil { // the addresses of a Transport need not be those of a network
		world.Routes = routes
	}
	watch, err := link.Watch(device)
	if err != nil {
		routes.Close()
		return nil, err
	}
	memory, err := openState(o, &world, device.Name())
	if err != nil {
		watch.Close()
		routes.Close()
		return nil, err
	}
	w := newInterface(o, world, memory)
	w.watch, w.routes = watch, routes
	if device.Caps().TSO {
		w.onMTUChange = func(mtu int) error { return setGSOLimits(device, mtu) }
	}
	w.watchers.Go(w.followState)
	w.watchers.Go(w.followRoutes)
	w.stopAtEnd()
	return w, nil
}

// followState makes the tunnel follow the state that the interface gets from
// ip(8), wg-ifconfig(8) or another program (A55, A61, A62).
func (w *Interface) followState() {
	up, mtu := false, 0
	for s := range w.watch.States() {
		if s.Gone {
			w.engine.InterfaceGone()
			return
		}
		w.engine.SetMTU(s.MTU)
		if s.MTU != mtu && w.onMTUChange != nil {
			mtu = s.MTU
			if err := w.onMTUChange(mtu); err != nil {
				w.log.Debug("cannot adapt the interface to its new MTU", "err", err)
			}
		}
		if s.Up != up {
			up = s.Up
			w.setUp(up)
		}
	}
}

func (w *Interface) setUp(up bool) {
	if !up {
		w.engine.Down()
		w.events.emit(Event{Kind: WentDown})
		return
	}
	switch err := w.engine.Up(); {
	case errors.Is(err, engine.ErrClosed):
		return
	case err != nil:
		w.log.Error("the interface is up but does not work", "err", err)
		w.events.emit(Event{Kind: Faulted, Reason: err.Error()})
		return
	}
	w.events.emit(Event{Kind: WentUp})
}

// routesPause is the minimum time between two reports of changed routes to the
// engine: routes may change all the time.
const routesPause = 200 * time.Millisecond

func (w *Interface) followRoutes() {
	for {
		select {
		case <-w.routes.Changed():
			w.engine.RoutesChanged(w.routes.Changes()...)
		case <-w.engine.Done():
			return
		}
		select {
		case <-time.After(routesPause):
		case <-w.engine.Done():
			return
		}
	}
}
