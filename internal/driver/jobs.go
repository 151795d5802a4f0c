package driver

import "wgd/internal/core"

// Jobs are the Diffie-Hellman jobs that wait for a core, and the number of those
// that run. It is not safe for concurrent use.
//
// There are two lists, one for initiations of ours and one for work on messages
// that came in. Jobs are taken from them in turn: neither has to wait until the
// other one is empty (A44).
type Jobs struct {
	own    jobList
	others jobList
	turn   bool // the next job comes from others, if it holds one
}

type jobList struct {
	waiting []*core.Job
	active  int
}

// Put appends a job. There may be any number of them: 10,000 peers may all want
// a handshake at the same moment.
func (l *Jobs) Put(j *core.Job) {
	list := l.listOf(j)
	list.waiting = append(list.waiting, j)
}

func (l *Jobs) listOf(j *core.Job) *jobList {
	if j.Initiates() {
		return &l.own
	}
	return &l.others
}

// Ready reports whether a job waits and may run while at most limit run at once.
func (l *Jobs) Ready(limit int) bool {
	return len(l.own.waiting)+len(l.others.waiting) > 0 && l.own.active+l.others.active < limit
}

// Next takes the job that is to run next. There must be one: see Ready.
func (l *Jobs) Next() *core.Job {
	from := &l.own
	if len(from.waiting) == 0 || l.turn && len(l.others.waiting) > 0 {
		from = &l.others
	}
	l.turn = from == &l.own
	return from.take()
}

func (l *jobList) take() *core.Job {
	j := l.waiting[0]
	l.waiting[0] = nil
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	l.active++
	return j
}

// Done notes that a job that was taken has run.
func (l *Jobs) Done(j *core.Job) { l.listOf(j).active-- }

// OwnWaiting is the number of initiations of ours that wait to be made.
func (l *Jobs) OwnWaiting() int { return len(l.own.waiting) }

// Room is how many handshake messages the machine may be given now, where limit
// jobs may run at once: enough to keep every core busy, and no more, so that the
// others wait where waiting is measured (A28). Initiations of our own do not
// count: a storm of them must not keep anybody out (A44). It is negative when
// more jobs than that came of the messages taken before.
func (l *Jobs) Room(limit int) int {
	return 4*limit - len(l.others.waiting) - l.others.active
}

// Clear returns the jobs that wait and forgets them.
func (l *Jobs) Clear() []*core.Job {
	list := append(l.own.waiting, l.others.waiting...)
	l.own.waiting, l.others.waiting = nil, nil
	return list
}
