package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// setUp prepares what is the same for all packets of the group.
func (k *kernel256) setUp() {
	work, packets := reg.RDI, reg.RCX
	k.Load(k.Param("work"), work)
	k.LEAQ(field(k.Context, work, "scratch").Offset(63), scratch256At)
	k.ANDQ(operand.I8(-64), scratch256At)
	k.Comment("Numbers of packets and lanes are multiplied by 8, because the entries of all", "tables have 8 bytes.")
	k.MOVQ(field(k.Context, work, "packets"), packets)
	k.SHLQ(operand.Imm(3), packets)
	k.MOVQ(packets, k.mem.total)
	k.XORL(reg.EAX, reg.EAX)
	k.MOVQ(reg.RAX, k.mem.done)
	k.setUpStart()
}

// setUpPart selects some of the remaining packets and fills the tables for
// their first iteration, whose first lanes are 64 bytes before the texts.
func (k *kernel256) setUpPart() {
	work, packets, advance, lanes := reg.RDI, reg.RCX, reg.RDX, reg.RBX
	k.Load(k.Param("work"), work)
	k.MOVQ(k.mem.total, packets)
	k.SUBQ(k.mem.done, packets)
	k.assignLanes(work, packets, lanes, advance)
	k.setUpLanes(work, packets, lanes, advance)
	k.setUpKeys()
	k.MOVQ(field(k.Context, work, "length"), left256)
	k.ADDQ(operand.Imm(64), left256)
	k.XORL(mix.As32(), mix.As32())
}

// assignLanes determines how many lanes the first block of an iteration takes
// (8, 4, 2 or 1), how many of them have a packet, and how many bytes of each
// packet an iteration processes. Five short texts are fastest in eight lanes,
// some of them idle; five long ones as four and then one.
func (k *kernel256) assignLanes(work, packets, lanes, advance reg.GPPhysical) {
	k.CMPQ(field(k.Context, work, "length"), operand.U32(longText))
	k.JGE(to("long"))
	k.assignLanesFrom([4]uint64{5, 3, 2, 1}, packets, lanes, advance)
	k.JMP(to("spread"))
	k.Label("long")
	k.assignLanesFrom([4]uint64{7, 4, 2, 1}, packets, lanes, advance)
	k.Label("spread")
	k.CMPQ(packets, lanes)
	k.JLE(to("all"))
	k.MOVQ(lanes, packets)
	k.Label("all")
	k.MOVQ(packets, k.mem.packets)
	k.MOVQ(lanes, k.mem.first)
	k.MOVQ(advance, k.mem.advance)
	k.Comment("The first iteration is never full.")
	k.MOVQ(operand.U64(math.MaxInt64), reg.RAX)
	k.MOVQ(reg.RAX, k.mem.minFull)
	k.Comment("The number of blocks of a packet in an iteration, in all lanes.")
	k.MOVQ(advance, reg.RAX)
	k.SHRQ(operand.Imm(6), reg.RAX)
	k.VMOVD(reg.EAX, reg.X0)
	k.VPBROADCASTD(reg.X0, y[0])
	k.VMOVDQA(y[0], k.mem.blocks)
}

// longText is the length from which splitting the group is faster than idle
// lanes.
const longText = 640

// assignLanesFrom chooses 8, 4, 2 or 1 lanes by the minimum number of packets
// for each.
func (k *kernel256) assignLanesFrom(minPackets [4]uint64, packets, lanes, advance reg.GPPhysical) {
	for i, n := range minPackets {
		k.MOVL(operand.U32(64>>i), lanes.As32())
		k.MOVL(operand.U32(64<<i), advance.As32())
		if n > 1 {
			k.CMPQ(packets, operand.Imm(8*n))
			k.JGE(to("spread"))
		}
	}
}

// setUpStart stores the words of the state that are the same in all lanes.
func (k *kernel256) setUpStart() {
	sigma := table(k.Context, "sigma", 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574)
	k.Comment("The constants, in all lanes.")
	for i := range 4 {
		k.VPBROADCASTD(sigma.Offset(4*i), y[i])
		k.VMOVDQA(y[i], k.mem.start.Offset(wordSize*i))
	}
	k.Comment("The first 4 bytes of a nonce are 0.")
	k.VPXOR(y[0], y[0], y[0])
	k.VMOVDQA(y[0], k.mem.start.Offset(wordSize*13))
}

// setUpLanes fills the tables, lane by lane, and collects the keys of the lanes
// where the key stream will be.
func (k *kernel256) setUpLanes(work, packets, lanes, advance reg.GPPhysical) {
	lane, packet, at, number, element, key := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.RSI
	group := reg.R13
	start := func(i int) operand.Mem { return k.mem.start.Offset(wordSize*i).Idx(element, 1) }
	k.Comment("The tables of the lanes.")
	k.XORL(lane.As32(), lane.As32())
	k.XORL(packet.As32(), packet.As32())
	k.XORL(number.As32(), number.As32())
	k.XORL(element.As32(), element.As32())
	k.MOVQ(operand.I32(-64), at)
	k.Label("nextLane")
	k.MOVL(number.As32(), start(12))
	k.MOVQ(k.mem.done, group)
	k.ADDQ(packet, group)
	k.MOVQ(of(field(k.Context, work, "counter"), group), reg.RAX)
	k.MOVL(reg.EAX, start(14))
	k.SHRQ(operand.Imm(32), reg.RAX)
	k.MOVL(reg.EAX, start(15))
	k.MOVQ(of(field(k.Context, work, "key"), group), key)
	k.VMOVDQU(operand.Mem{Base: key}, y[0])
	k.VMOVDQA(y[0], k.mem.stream.Idx(lane, keySize/8))
	k.LEAQ(k.mem.otk.Idx(packet, otkSize/8), reg.RAX)
	k.MOVQ(reg.RAX, of(k.mem.key, lane))
	k.setUpText(work, packet, packets, group, lane, at, advance)

	k.ADDQ(operand.Imm(8), lane)
	k.ADDQ(operand.Imm(4), element)
	k.ADDQ(operand.Imm(8), packet)
	k.CMPQ(packet, lanes)
	k.JLT(to("sameBlock"))
	k.XORL(packet.As32(), packet.As32())
	k.ADDQ(operand.Imm(64), at)
	k.INCQ(number)
	k.Label("sameBlock")
	k.CMPQ(lane, operand.Imm(8*8))
	k.JLT(to("nextLane"))
}

// setUpText fills the tables for the text of one lane, which begins at the
// position at. When encrypting, it begins an iteration earlier, because then
// the lanes advance in the first iteration, too.
func (k *kernel256) setUpText(work, packet, packets, group, lane, at, advance reg.GPPhysical) {
	text, end := reg.RAX, reg.R14
	k.XORL(end.As32(), end.As32())
	k.MOVQ(end, of(k.mem.todo, lane))
	k.MOVQ(end, of(k.mem.step, lane))
	k.MOVQ(end, of(k.mem.all, lane))
	k.LEAQ(k.mem.dummy, text)
	k.MOVQ(text, end)
	k.CMPQ(packet, packets)
	k.JGE(to("noPacket"))
	k.MOVQ(advance, of(k.mem.step, lane))
	k.MOVQ(operand.U32(64/16), end)
	k.MOVQ(end, of(k.mem.all, lane))
	k.MOVQ(of(field(k.Context, work, "text"), group), text)
	k.MOVQ(text, end)
	k.ADDQ(field(k.Context, work, "length"), end)
	k.ADDQ(at, text)
	k.ifOpen("noPacket", true)
	k.SUBQ(advance, text)
	k.Label("noPacket")
	k.MOVQ(text, of(k.mem.text, lane))
	k.MOVQ(end, of(k.mem.end, lane))
}

// setUpKeys stores the words of the keys that setUpLanes has collected.
func (k *kernel256) setUpKeys() {
	for lane := range 8 {
		k.VMOVDQA(k.mem.stream.Offset(keySize*lane), y[lane])
	}
	k.transpose(func(word int, ofAll reg.VecPhysical) {
		k.VMOVDQA(ofAll, k.mem.start.Offset(wordSize*(4+word)))
	})
}

const keySize = 32 // in bytes
