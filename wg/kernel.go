package wg

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"wgd/internal/engine"
	"wgd/internal/lanes"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// kernelMTU is what the kernel gives a new TUN interface.
const kernelMTU = 1500

// queueLength is how many packets wait in a queue of a new interface, in place of
// the kernel's 500. Where packets come as super-packets few places are used. But
// those that the kernel cuts before they reach us, of a VXLAN in the tunnel for
// example, come in bursts of one TCP window, and what overflows takes other
// connections' packets with it (docs/decisions/interface-queue.md).
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

// logOneQueue says why there is one queue, where more were asked for.
func logOneQueue(log *slog.Logger, device tun.Device) {
	if why := device.Caps().OneQueue; why != nil {
		log.Debug("the interface has one queue only: small packets that go out are carried by one core at a time", "err", why)
	}
}

// takeOver takes over the interface behind a file. The descriptor is copied: one
// that two files had would be closed twice, the second time under somebody else.
func takeOver(file *os.File) (tun.Device, error) {
	fd, err := process.Duplicate(file)
	if err != nil {
		return nil, fmt.Errorf("the TUN descriptor that was given (%s): %w", file.Name(), err)
	}
	device, err := tun.FromFD(fd, tun.Options{})
	if err != nil {
		process.Close(fd)
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	file.Close()
	return device, nil
}

// configure gives an interface its MTU and habits. One that was there before keeps
// the MTU that somebody gave it; and the user that it belongs to may have no
// permission for more than to open it.
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
		o.Log.Warn("the interface keeps its MTU, with which large packets leave in two pieces: set a smaller one", "mtu", current.MTU, "err", err)
	case err != nil:
		return err
	}
	if !existed { // or somebody else has chosen it
		if err := links.SetQueueLength(name, queueLength); err != nil {
			o.Log.Debug("the queue of the interface keeps its length", "err", err)
		}
	}
	if err := links.NoAutomaticAddress(name); err != nil {
		o.Log.Debug("the kernel may give the interface a link-local address", "err", err)
	}
	return nil
}

// gsoLimits is the most that a super-packet may have, in bytes and in segments, so
// that it leaves as one train of datagrams, at an MTU; more would take a second
// send.
func gsoLimits(mtu int) (bytes, segments int) {
	const (
		maxTrain       = 65507 // bytes of a train over IPv4
		overhead       = 32    // of a message around its packet
		maxSuperPacket = 65536 // what interfaces have unless they are told otherwise
	)
	segments = min(max(maxTrain/(mtu+overhead), 1), udp.MaxSegments)
	return min(segments*mtu, maxSuperPacket), segments
}

// setGSOLimits has the kernel make super-packets as long as trains. Without that
// all goes on, a little slower.
func setGSOLimits(device tun.Device, mtu int) error {
	links, err := link.OpenAt(device)
	if err != nil {
		return err
	}
	defer links.Close()
	// An MTU under IPv6's least and back makes the kernel forget this habit.
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
	world.RouteIndex = func(remote, source netip.Addr, mark uint32) (uint32, error) {
		i, err := routes.Index(remote, source, mark)
		return uint32(i), err
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

// followState does what a person asked of the interface with ip(8) or
// ifconfig(8) (A55, A61, A62).
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
				w.log.Debug("the interface does not fit the new MTU in all", "err", err)
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
		w.emit(Event{Kind: WentDown})
		return
	}
	switch err := w.engine.Up(); {
	case errors.Is(err, engine.ErrClosed):
		return
	case err != nil:
		w.log.Error("the interface is up but does not work", "err", err)
		w.emit(Event{Kind: Faulted, Fault: err.Error()})
		return
	}
	w.emit(Event{Kind: WentUp})
}

// routesPause is between two looks at the routes: where they change all the
// time, each look asks the kernel once for every peer.
const routesPause = 200 * time.Millisecond

func (w *Interface) followRoutes() {
	for {
		select {
		case <-w.routes.Changed():
			w.engine.RoutesChanged()
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
