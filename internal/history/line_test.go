package history

import (
	"strings"
	"testing"
	"time"

	"wgd/key"
)

const goodLine = `{"interface":"wg0","run":"R","seq":7,"time":"2026-11-29T12:00:00.5Z","since_boot":3.5,"kind":"handshake-done","text":"x",` +
	`"public_key":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","name":"b","endpoint":"[2001:db8::1]:7","initiator":true,"renewed":true,"after":0.25,"later_field":{"x":1}}`

// A line is read with everything that the history needs, and wrong ones are refused.
func TestParse(t *testing.T) {
	l, err := Parse([]byte(goodLine))
	e := &l.Event
	if err != nil || l.Interface != "wg0" || l.Run != "R" || e.Seq != 7 || e.SinceBoot != 3500*time.Millisecond || e.Kind != "handshake-done" ||
		e.Peer[0] != 1 || e.Name != "b" || e.Endpoint.String() != "[2001:db8::1]:7" || !e.Initiator || !e.Renewed || e.After != 250*time.Millisecond ||
		!e.Time.Equal(time.Date(2026, 11, 29, 12, 0, 0, 5e8, time.UTC)) {
		t.Errorf("got %+v, %v", l, err)
	}
	for _, change := range [][2]string{
		{`{"interface"`, `"interface"`}, {`"wg0"`, `"../wg0"`}, {`"wg0"`, `""`}, {`"handshake-done"`, `""`}, {`2026-11-29T12`, `2026-11-29T99`},
		{`2026`, `0001`}, {`2026`, `9999`}, {`3.5`, `-3.5`}, {`3.5`, `1e300`}, {`0.25`, `-1`}, {`AQAA`, `AQA`}, {`8::1]:7`, `8::1]`}, {`"b"`, `"\u001b[2J"`}, {`}}`, ``},
	} {
		bad := strings.Replace(goodLine, change[0], change[1], 1)
		if l, err := Parse([]byte(bad)); bad == goodLine || err == nil {
			t.Errorf("%s: got %+v, want an error", bad, l)
		}
	}
}

// FuzzParse: any log is read, twice with the same result, and the spans of a peer follow
// each other inside of the range.
func FuzzParse(f *testing.F) {
	f.Add([]byte(goodLine))
	f.Add([]byte(goodLine + "\n" + strings.Replace(goodLine, `"seq":7`, `"seq":9`, 1) + "\n" + strings.Replace(goodLine, "handshake-done", "peer-quiet", 1)))
	for _, kind := range []string{"begin", "end", "events-missed", "watch-started", "down", "session-ended", "handshake-failed", "endpoint-moved"} {
		next := strings.NewReplacer("handshake-done", kind, `"seq":7`, `"seq":8`, "12:00:00", "12:00:09", `3.5`, `12.5`).Replace(goodLine)
		f.Add([]byte(goodLine + "\n" + next + "\n" + strings.NewReplacer(`"seq":7`, `"seq":10`, `"R"`, `"S"`).Replace(goodLine)))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		survey := NewSurvey("wg0")
		var lines []Line
		for text := range strings.Lines(string(log)) {
			if line, err := Parse([]byte(text)); err == nil {
				lines = append(lines, line)
				survey.Add(&line)
			}
		}
		first, last, ok := survey.Bounds()
		if !ok {
			return
		}
		records := NewRecords(first, last.Add(time.Hour), 7, func(k key.Public) bool { return k[0]&1 != 0 })
		replay := NewReplay(survey, func(s Span) {
			if !s.From.Before(s.To) || s.State == 0 || s.End == "" {
				t.Errorf("a span %+v", s)
			}
			records.Add(s)
		})
		for i := range lines {
			replay.Add(&lines[i])
		}
		replay.Finish(last, records.To)
		for _, r := range records.Finish(replay, survey.Peers()) {
			for _, s := range r.Spans {
				if s.From.Before(records.From) || s.To.After(records.To) {
					t.Errorf("outside of the range: %+v", s)
				}
			}
		}
	})
}
