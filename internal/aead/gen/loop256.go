package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ifOpen jumps if the parameter open has that value.
func (k *kernel256) ifOpen(label string, open bool) {
	flag, err := k.Param("open").Resolve()
	if err != nil {
		panic(err)
	}
	k.CMPB(flag.Addr, operand.Imm(0))
	if open {
		k.JNE(to(label))
	} else {
		k.JEQ(to(label))
	}
}

// advance moves all lanes to their next text. It does not use registers of the
// state.
func (k *kernel256) advance() {
	for half := 0; half < 64; half += 32 {
		k.VMOVDQA(k.mem.text.Offset(half), spare256)
		k.VPADDQ(k.mem.step.Offset(half), spare256, spare256)
		k.VMOVDQA(spare256, k.mem.text.Offset(half))
	}
}

func (k *kernel256) copyTable(from, to operand.Mem) {
	for half := 0; half < 64; half += 32 {
		k.VMOVDQA(from.Offset(half), y[0])
		k.VMOVDQA(y[0], to.Offset(half))
	}
}

// mixedRounds emits ten double rounds interleaved with hashing 64 bytes of all
// lanes, in two halves: five double rounds with four lanes.
func (k *kernel256) mixedRounds() {
	k.startState()
	k.XORL(lane8.As32(), lane8.As32())
	k.Label("mixedRound")
	var rounds, hash stream
	for range 5 {
		rounds = append(rounds, k.doubleRound()...)
	}
	for i := range 4 {
		hash = append(hash, k.hashLane(8*i)...)
	}
	interleave(rounds, hash).emit()
	k.ADDQ(operand.Imm(4*8), lane8)
	k.CMPQ(lane8, operand.Imm(8*8))
	k.JNE(to("mixedRound"))
}

// hashLane authenticates 64 bytes of the text of one lane, whose table entries
// are further bytes after those of lane8.
func (k *kernel256) hashLane(further int) (all stream) {
	p := k.poly
	all = stream{
		func() { k.MOVQ(of(k.mem.key.Offset(further), lane8), p.otk) },
		func() { k.MOVQ(of(k.mem.text.Offset(further), lane8), p.text) },
	}
	all = append(all, p.load()...)
	for at := 0; at < 64; at += 16 {
		all = append(all, p.block(at)...)
	}
	return append(all, p.store()...)
}

// rounds emits ten double rounds.
func (k *kernel256) rounds() {
	k.startState()
	k.MOVL(operand.U32(10), lane8.As32())
	k.Label("round")
	k.doubleRound().emit()
	k.DECQ(lane8)
	k.JNZ(to("round"))
}

// fullIteration encrypts or decrypts 64 bytes of all lanes in place.
func (k *kernel256) fullIteration() {
	k.keyStream(func(lane, half int, bytes reg.VecPhysical) {
		text := reg.RAX
		if lane%2 == 1 {
			text = reg.RBX
		}
		k.MOVQ(k.mem.text.Offset(8*lane), text)
		at := operand.Mem{Base: text, Disp: 32 * half}
		k.VPXOR(at, bytes, bytes)
		k.VMOVDQU(bytes, at)
	})
	k.MOVL(operand.U32(1), mix.As32())
}

// partialIteration encrypts or decrypts up to 64 bytes in all lanes, and copies
// the ciphertext to the scratch, where it can be authenticated as whole blocks.
// In the first iteration it computes the one-time keys.
func (k *kernel256) partialIteration() {
	k.keyStream(func(lane, half int, bytes reg.VecPhysical) {
		k.VMOVDQA(bytes, k.mem.stream.Offset(64*lane+32*half))
	})
	k.XORL(mix.As32(), mix.As32())
	k.MOVQ(k.mem.first, lane8)
	k.TESTQ(lane8, lane8)
	k.JZ(to("partLanes"))
	k.oneTimeKeys()
	k.CMPQ(lane8, operand.Imm(8*8))
	k.JEQ(to("partEnd"))
	k.Label("partLanes")
	k.Comment("All ones to encrypt, zeros to decrypt.")
	k.VPXOR(sealing, sealing, sealing)
	k.ifOpen("partLane", true)
	k.VPCMPEQD(sealing, sealing, sealing)
	k.Label("partLane")
	k.partLane()
	k.ADDQ(operand.Imm(8), lane8)
	k.CMPQ(lane8, operand.Imm(8*8))
	k.JNE(to("partLane"))
	k.Label("partEnd")
}

// oneTimeKeys takes the one-time keys from the first lane of each packet. After
// it, iterations may be full.
func (k *kernel256) oneTimeKeys() {
	otk, count := k.poly.otk, reg.RDX
	k.XORL(count.As32(), count.As32())
	k.Label("oneTimeKey")
	k.LEAQ(k.mem.otk.Idx(count, otkSize/8), otk)
	k.poly.setKey(k.mem.stream.Idx(count, 64/8))
	k.ADDQ(operand.Imm(8), count)
	k.CMPQ(count, lane8)
	k.JNE(to("oneTimeKey"))
	k.XORL(reg.EAX, reg.EAX)
	k.MOVQ(reg.RAX, k.mem.first)
	k.MOVQ(k.mem.advance, reg.RAX)
	k.MOVQ(reg.RAX, k.mem.minFull)
}

// partLane encrypts or decrypts the available bytes of a lane, 16 at a time.
func (k *kernel256) partLane() {
	length, text, cipher, stream := reg.RDX, reg.RDI, reg.R8, reg.R9
	k.MOVQ(of(k.mem.text, lane8), text)
	k.MOVQ(of(k.mem.end, lane8), length)
	k.LEAQ(k.mem.cipher.Idx(lane8, 8), cipher)
	k.LEAQ(k.mem.stream.Idx(lane8, 8), stream)
	k.MOVQ(cipher, of(k.mem.from, lane8))
	k.Comment("At most 64 bytes, possibly none.")
	k.XORL(reg.EAX, reg.EAX)
	k.MOVQ(reg.RAX, of(k.mem.todo, lane8))
	k.SUBQ(text, length)
	k.JLE(to("partDone"))
	k.CMPQ(length, operand.Imm(64))
	k.JLE(to("partLength"))
	k.MOVL(operand.U32(64), length.As32())
	k.Label("partLength")
	k.LEAQ(operand.Mem{Base: length, Disp: 15}, reg.RAX)
	k.SHRQ(operand.Imm(4), reg.RAX)
	k.MOVQ(reg.RAX, of(k.mem.todo, lane8))

	k.Label("partBlock")
	k.CMPQ(length, operand.Imm(16))
	k.JLT(to("partRest"))
	k.VMOVDQU(operand.Mem{Base: text}, reg.X0)
	k.VMOVDQA(operand.Mem{Base: stream}, reg.X1)
	k.partBlock(operand.Mem{Base: text}, operand.Mem{Base: cipher})
	for _, at := range []reg.Register{text, cipher, stream} {
		k.ADDQ(operand.Imm(16), at)
	}
	k.SUBQ(operand.Imm(16), length)
	k.JMP(to("partBlock"))
	k.Label("partRest")
	k.TESTQ(length, length)
	k.JZ(to("partDone"))
	k.partRest(length, text, cipher, stream)
	k.Label("partDone")
}

// partBlock XORs X1, the key stream, with X0, the text, and stores the result
// and the ciphertext.
func (k *kernel256) partBlock(text, cipher operand.Mem) {
	k.VPXOR(reg.X0, reg.X1, reg.X2)
	k.VMOVDQU(reg.X2, text)
	k.Comment("The ciphertext is the result, or the input when decrypting.")
	k.VPAND(sealing, reg.X1, reg.X1)
	k.VPXOR(reg.X0, reg.X1, reg.X0)
	k.VMOVDQA(reg.X0, cipher)
}

// partRest processes the rest of the text, 1 to 15 bytes, padded with zeros.
func (k *kernel256) partRest(length, text, cipher, stream reg.GPPhysical) {
	ones := ^uint32(0)
	masks := table(k.Context, "masks", ones, ones, ones, ones, 0, 0, 0, 0)
	k.VPXOR(reg.X0, reg.X0, reg.X0)
	k.VMOVDQA(reg.X0, operand.Mem{Base: cipher})
	k.copyBytes("partIn", text, cipher, length)
	k.VMOVDQA(operand.Mem{Base: cipher}, reg.X0)
	k.Comment("Mask the key stream to the length of the text.")
	k.LEAQ(masks.Offset(16), reg.RAX)
	k.SUBQ(length, reg.RAX)
	k.VMOVDQU(operand.Mem{Base: reg.RAX}, reg.X1)
	k.VPAND(operand.Mem{Base: stream}, reg.X1, reg.X1)
	k.partBlock(operand.Mem{Base: stream}, operand.Mem{Base: cipher})
	k.copyBytes("partOut", stream, text, length)
}

// copyBytes copies 1 to 15 bytes and accesses no others.
func (k *kernel256) copyBytes(label string, from, target, length reg.GPPhysical) {
	at := reg.R10
	k.XORL(at.As32(), at.As32())
	source, sink := operand.Mem{Base: from, Index: at, Scale: 1}, operand.Mem{Base: target, Index: at, Scale: 1}
	for _, piece := range []struct {
		size uint64
		copy func()
	}{
		{8, func() { k.MOVQ(source, reg.RAX); k.MOVQ(reg.RAX, sink) }},
		{4, func() { k.MOVL(source, reg.EAX); k.MOVL(reg.EAX, sink) }},
		{2, func() { k.MOVWLZX(source, reg.EAX); k.MOVW(reg.AX, sink) }},
		{1, func() { k.MOVBLZX(source, reg.EAX); k.MOVB(reg.AL, sink) }},
	} {
		without := fmt.Sprint(label, "Below", piece.size)
		k.TESTQ(operand.U32(piece.size), length)
		k.JZ(to(without))
		piece.copy()
		k.ADDQ(operand.Imm(piece.size), at)
		k.Label(without)
	}
}

// authenticate hashes the blocks that all lanes have to authenticate.
func (k *kernel256) authenticate() {
	p := k.poly
	todo := of(k.mem.todo, lane8)
	k.XORL(lane8.As32(), lane8.As32())
	k.Label("authenticateLane")
	k.CMPQ(todo, operand.Imm(0))
	k.JEQ(to("authenticateDone"))
	k.MOVQ(of(k.mem.key, lane8), p.otk)
	k.MOVQ(of(k.mem.from, lane8), p.text)
	p.load().emit()
	k.Label("authenticateBlock")
	before := p.h1
	p.block(0).emit()
	k.MOVQ(p.h1, before)
	k.ADDQ(operand.Imm(16), p.text)
	k.DECQ(todo)
	k.JNZ(to("authenticateBlock"))
	p = k.poly
	p.store().emit()
	k.Label("authenticateDone")
	k.ADDQ(operand.Imm(8), lane8)
	k.CMPQ(lane8, operand.Imm(8*8))
	k.JNE(to("authenticateLane"))
}

// tags computes the tags of the packets of this part. If packets remain, it
// jumps to process them.
func (k *kernel256) tags() {
	p, work, group := k.poly, reg.RDI, reg.R14
	tag := field(k.Context, work, "tag")
	k.Load(k.Param("work"), work)
	k.MOVQ(k.mem.done, group)
	k.XORL(lane8.As32(), lane8.As32())
	k.Label("tag")
	k.MOVQ(of(k.mem.key, lane8), p.otk)
	p.load().emit()
	p.lengths(field(k.Context, work, "length")).emit()
	p.finish()
	k.MOVQ(h0, of(tag, group))
	k.MOVQ(p.h1, of(tag.Offset(8*8), group))
	k.ADDQ(operand.Imm(8), group)
	k.ADDQ(operand.Imm(8), lane8)
	k.CMPQ(lane8, k.mem.packets)
	k.JNE(to("tag"))
	k.MOVQ(group, k.mem.done)
	k.CMPQ(group, k.mem.total)
	k.JNE(to("packets"))
	k.repeatTag(work, group)
}

// repeatTag copies the tag of the first packet to the lanes that repeat it,
// from group on.
func (k *kernel256) repeatTag(work, group reg.Register) {
	tag := field(k.Context, work, "tag")
	k.MOVQ(tag, reg.RAX)
	k.MOVQ(tag.Offset(8*8), reg.RDX)
	k.Label("repeat")
	k.CMPQ(group, operand.Imm(8*8))
	k.JEQ(to("end"))
	k.MOVQ(reg.RAX, of(tag, group))
	k.MOVQ(reg.RDX, of(tag.Offset(8*8), group))
	k.ADDQ(operand.Imm(8), group)
	k.JMP(to("repeat"))
	k.Label("end")
}

// repeat returns the words, repeated.
func repeat(times int, words ...uint32) (all []uint32) {
	for range times {
		all = append(all, words...)
	}
	return all
}
