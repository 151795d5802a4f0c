package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// A monitor is Debian's Prometheus on a host, with the files of examples/metrics.
type monitor struct {
	*testing.T
	host *lab.Host
	tool string // promtool
}

// ask asks Prometheus something and returns its data.
func (m *monitor) ask(path, query string, data any) error {
	r := m.host.RunFor(30*time.Second, "curl -sS -G --data-urlencode query@- http://127.0.0.1:9090/api/v1/"+path, strings.NewReader(query))
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal([]byte(r.Out), &answer); err != nil {
		return fmt.Errorf("%w: %s%s", err, r.Out, r.Err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", query, answer.Error)
	}
	return nil
}

// value returns the value of an expression with one result, or "".
func (m *monitor) value(query string) string {
	var data struct {
		Result []struct{ Value []any }
	}
	if err := m.ask("query", query, &data); err != nil {
		return err.Error()
	}
	if len(data.Result) != 1 || len(data.Result[0].Value) != 2 {
		return ""
	}
	return fmt.Sprint(data.Result[0].Value[1])
}

// until waits until an expression has that value.
func (m *monitor) until(query, want string) {
	m.Helper()
	lab.Until(m.T, time.Minute, query+" is "+want, func() (bool, string) {
		got := m.value(query)
		return got == want, got + m.host.Must("tail -n 5 /run/metrics.log /run/prometheus.log")
	})
}

// metricName is a metric of wgd in an expression.
var metricName = regexp.MustCompile(`\bwgd_[a-z_]+\b`)

// dashboardExpressions returns the expressions of the dashboard, with values for its
// variables.
func dashboardExpressions(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("../../examples/metrics/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("$__rate_interval", "1m", "$interface", ".*", "$instance", ".*")
	for _, p := range dashboard.Panels {
		if p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			list = append(list, values.Replace(target.Expr))
		}
	}
	return list
}

// Debian's Prometheus scrapes wgd metrics, with the configuration of examples/metrics: its
// targets are up, promtool finds no fault in the metrics, rules and tests of rules, and
// each metric that the dashboard and the alerts name is there.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	dir := lab.Unpacked("prometheus")
	a, b := lab.Pair(t)
	if !a.Exists(dir) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("there is no %s, which test/setup.sh makes", dir)
		}
		t.Skip("LEFT OUT: Prometheus, which test/setup.sh unpacks")
	}
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	m := &monitor{t, a, dir + "/usr/bin/promtool"}
	faster := strings.NewReplacer("scrape_interval: 15s", "scrape_interval: 1s", "scrape_interval: 1m", "scrape_interval: 1s")
	files, err := filepath.Glob("../../examples/metrics/*.yml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	a.Must("mkdir /run/prometheus")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		a.Write("/run/prometheus/"+filepath.Base(file), faster.Replace(string(text)))
	}
	a.Must("cd /run/prometheus && %s check config prometheus.yml && %s check rules alerts.yml && %s test rules alerts_test.yml", m.tool, m.tool, m.tool)
	metrics := strings.TrimSpace(a.Must("setsid wgd metrics >/run/metrics.log 2>&1 </dev/null & echo $!"))
	lab.Until(t, 30*time.Second, "wgd metrics serves", func() (bool, string) {
		text := a.Must("cat /run/metrics.log")
		return strings.Contains(text, "serving http://127.0.0.1:9586/metrics"), text
	})
	for _, query := range []string{"", "?top=5"} {
		if text := a.Must("curl -sSf 'http://127.0.0.1:9586/metrics%s' | %s check metrics", query, m.tool); text != "" {
			t.Errorf("promtool check metrics%s:\n%s", query, text)
		}
	}
	server := strings.TrimSpace(a.Must("cd /run/prometheus && setsid %s/usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address=127.0.0.1:9090 >/run/prometheus.log 2>&1 </dev/null & echo $!", dir))
	m.until(`min(up)`, "1")
	m.until(`count(up)`, "2")
	m.until(`wgd_peers{job="wgd",interface="wg0"}`, "1")
	m.until(`wgd_handshakes_total{job="wgd",interface="wg0",role="responder"}`, "1")
	m.until(`count({__name__=~"wgd_peer_.+",job="wgd-peers"})`, "4")
	m.until(`count({__name__=~"wgd_.+",job="wgd"}) <= bool 300`, "1")
	m.checkNames()
	a.Tunnel(lab.Settings{Name: "wg7", Down: true})
	m.until(`wgd_interface_up{job="wgd",interface="wg7"}`, "0")
	a.Must("wg-ifconfig wg7 destroy")
	m.until(`count(wgd_interface_up{job="wgd"})`, "1")
	a.Must("kill -TERM %s %s && tail --pid=%s -f /dev/null && tail --pid=%s -f /dev/null", metrics, server, metrics, server)
	if text := a.Must("cat /run/metrics.log"); strings.Count(text, "\n") != 1 {
		t.Errorf("wgd metrics says\n%s", text)
	}
}

// A scrape every 10 ms is answered, loses no packet of the tunnel, and leaves nothing
// behind.
func TestFrequentScrapes(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	pid := strings.TrimSpace(a.Must("setsid wgd metrics >/run/metrics.log 2>&1 </dev/null & echo $!"))
	lab.Until(t, 30*time.Second, "wgd metrics serves", func() (bool, string) {
		text := a.Must("cat /run/metrics.log")
		return strings.Contains(text, "serving"), text
	})
	const scrapes = 150
	a.Must("for i in $(seq %d); do curl -sSf 'http://127.0.0.1:9586/metrics' | grep -c '^wgd_peers{interface=\"wg0\"} 1$'; sleep 0.01; done >/run/scrapes 2>&1 & echo $! >/run/scrapes.pid", scrapes)
	text := b.Must("ping -q -c 200 -i 0.01 -W 20 %s", lab.InnerA4)
	if !strings.Contains(text, "200 packets transmitted, 200 received") {
		t.Error(text)
	}
	lab.Until(t, time.Minute, "the scrapes end", func() (bool, string) {
		return a.Run("kill -0 $(cat /run/scrapes.pid)").Code != 0, ""
	})
	if text := a.Must("cat /run/scrapes"); text != strings.Repeat("1\n", scrapes) {
		t.Errorf("the scrapes: %s", text)
	}
	lab.Until(t, time.Minute, "the connections are closed", func() (bool, string) {
		text := a.Must("ls /proc/%s/fd", pid)
		return strings.Count(text, "\n") < 20, text
	})
	a.Must("kill %s", pid)
}

// checkNames asks Prometheus what the dashboard asks, and for each metric that the
// dashboard and the alerts name.
func (m *monitor) checkNames() {
	m.Helper()
	var names []string
	if err := m.ask("label/__name__/values", "", &names); err != nil {
		m.Fatal(err)
	}
	expressions := dashboardExpressions(m.T)
	for _, expression := range expressions {
		var ignored any
		if err := m.ask("query", expression, &ignored); err != nil {
			m.Error(err)
		}
	}
	alerts, err := os.ReadFile("../../examples/metrics/alerts.yml")
	if err != nil {
		m.Fatal(err)
	}
	var rules []string
	for line := range strings.Lines(string(alerts)) {
		if _, expression, ok := strings.Cut(line, "expr: "); ok {
			rules = append(rules, expression)
		}
	}
	if len(expressions) < 15 || len(rules) < 5 {
		m.Errorf("%d expressions, %d rules", len(expressions), len(rules))
	}
	for _, expression := range append(expressions, rules...) {
		for _, name := range metricName.FindAllString(expression, -1) {
			if !slices.Contains(names, name) {
				m.Errorf("%s: Prometheus has no %s", expression, name)
			}
		}
	}
}
