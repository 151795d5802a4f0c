package history

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of TestTicks, on any system

	"wgd/key"
)

// draw returns a drawing of 24 hours, as text, after it has checked that it is XML.
func draw(t *testing.T, records []*Record) string {
	t.Helper()
	d := Drawing{Title: "wg0 <&> 2", From: start, To: start.Add(24 * time.Hour), Location: time.UTC, Records: records}
	var b strings.Builder
	w := bufio.NewWriter(&b)
	if err := errors.Join(d.Write(w), w.Flush()); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			return b.String()
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}

func connectedSpan(from, to time.Duration) Span {
	return Span{State: Connected, From: start.Add(from), To: start.Add(to), End: Quiet, Endpoints: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7")}}
}

// A drawing has a row for each peer and a bar for each span, with what it stands for.
// Names are escaped.
func TestDrawing(t *testing.T) {
	unknown := Span{State: Unknown, From: start.Add(12 * time.Hour), To: start.Add(13 * time.Hour), End: Known}
	text := draw(t, []*Record{
		{NamedPeer: NamedPeer{Name: `<script>"&'` + "\x01"}, Connected: time.Hour, Spans: []Span{connectedSpan(0, time.Hour), unknown}},
		{NamedPeer: NamedPeer{Name: "never"}},
	})
	for _, want := range []string{
		"<title>wg0 &lt;&amp;&gt; 2</title>", "&lt;script&gt;&#34;&amp;&#39;\uFFFD<title>", ">never<title>", "connected for 1h 0m</title>", ">18:00</text>", ">30 Nov</text>",
		`<rect class="on" x="190.0" y="77" width="41.2" height="14"><title>`, "29 Nov 2026 12:00:00 UTC to 29 Nov 2026 13:00:00 UTC: 1h 0m, ended: quiet&#xA;192.0.2.1:7</title>",
		`<rect fill="url(#unknown)" x="685.0" y="77" width="41.2"`, "prefers-color-scheme:dark",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the drawing has no %q:\n%s", want, text)
		}
	}
}

// Connections that are too close to be told apart are one bar, and each is at least a
// pixel wide, so a thousand busy peers are a file of a usable size.
func TestDrawingOfManyPeers(t *testing.T) {
	var records []*Record
	for i := range 1000 {
		r := &Record{NamedPeer: NamedPeer{Name: fmt.Sprint("peer", i), Key: key.Public{byte(i)}}}
		for at := time.Duration(0); at < 23*time.Hour; at += 40 * time.Second {
			r.Spans = append(r.Spans, connectedSpan(at, at+30*time.Second))
		}
		r.Spans = append(r.Spans, connectedSpan(24*time.Hour-time.Second, 24*time.Hour))
		records = append(records, r)
	}
	text := draw(t, records)
	if bars := strings.Count(text, `class="on" x="`) - 1; bars != 2000 || len(text) > 2<<20 {
		t.Errorf("%d bars in %d bytes, want 2000 in 2 MB at most", bars, len(text))
	}
	if !strings.Contains(text, ": 2070 connections</title>") || !strings.Contains(text, `x="1179.0" y="77" width="1.0"`) {
		t.Error("the bars are not what they stand for")
	}
}

// Ticks are round times of the place, also when the clocks change there, and not too many.
func TestTicks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 3, 28, 13, 30, 0, 0, berlin) // the clock changes at 2 o'clock of the 29th
	var got []string
	for _, tick := range ticks(from, from.Add(24*time.Hour)) {
		got = append(got, tick.text)
	}
	if want := "14:00 16:00 18:00 20:00 22:00 00:00 03:00 04:00 06:00 08:00 10:00 12:00 14:00"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for d := 3 * time.Second; d < 15*365*24*time.Hour; d += d / 10 * 7 {
		if list := ticks(from, from.Add(d)); len(list) < 2 || len(list) > maxTicks+1 {
			t.Errorf("%v has %d ticks", d, len(list))
		}
	}
}

// Durations have their two largest units.
func TestLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1400 * time.Millisecond: "1s", 59_600 * time.Millisecond: "1m 0s", 90 * time.Second: "1m 30s", time.Hour - time.Second: "59m 59s",
		25*time.Hour - time.Minute: "1d 0h", 8*time.Hour + 12*time.Minute: "8h 12m", 100 * 24 * time.Hour: "100d 0h",
	} {
		if got := Lasted(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
