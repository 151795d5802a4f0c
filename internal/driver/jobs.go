package driver

import "wgd/internal/core"

// Jobs holds the Diffie-Hellman jobs that wait for a CPU core, and counts the
// running ones. It is not safe for concurrent use.
//
// There are two lists, one for our own initiations and one for work on received
// messages. Next alternates between them, so neither list waits until the other
// one is empty (A44).
type Jobs struct {
	own    jobList
	others jobList
	turn   bool // the next job is taken from others, unless it is empty
}

type jobList struct {
	waiting []*core.Job
	active  int
}

// Put appends a job. Their number is not limited: 10,000 peers may all need a
// handshake at the same moment.
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

// Ready reports whether a job waits and fewer than limit jobs are running.
func (l *Jobs) Ready(limit int) bool {
	return len(l.own.waiting)+len(l.others.waiting) > 0 && l.own.active+l.others.active < limit
}

// Next removes and returns the job to run next. A job must be waiting: see Ready.
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

// Done records that a job returned by Next has run.
func (l *Jobs) Done(j *core.Job) { l.listOf(j).active-- }

// OwnWaiting returns the number of waiting jobs that make our own initiations.
func (l *Jobs) OwnWaiting() int { return len(l.own.waiting) }

// Space returns how many handshake messages the machine may receive now, if up to
// limit jobs run at once: enough to keep every core busy and no more, so that the
// rest stay in the inbox, whose length decides about load (A28). Our own
// initiations do not count: a storm of them must not block peers (A44). The
// result is negative when earlier messages led to more jobs than that.
func (l *Jobs) Space(limit int) int {
	return 4*limit - len(l.others.waiting) - l.others.active
}

// Clear removes and returns the waiting jobs.
func (l *Jobs) Clear() []*core.Job {
	list := append(l.own.waiting, l.others.waiting...)
	l.own.waiting, l.others.waiting = nil, nil
	return list
}
