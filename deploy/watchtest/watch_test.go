package watchtest

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const root = "../.."

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every rule is one that Prometheus takes, says how bad it is and what it is, and stands
// in the operators' page with what to do.
func TestAlerts(t *testing.T) {
	t.Parallel()
	groups, errs := rulefmt.Parse([]byte(read(t, "deploy", "prometheus", "alerts.yml")), false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if errs != nil {
		t.Fatal(errs)
	}
	page := read(t, "docs", "operate.md")
	var names []string
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) || r.Annotations["summary"] == "" {
				t.Errorf("%s: %v %v", r.Alert, r.Labels, r.Annotations)
			}
			if !strings.Contains(page, "| `"+r.Alert+"` |") {
				t.Errorf("docs/operate.md does not say what to do about %s", r.Alert)
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("only %d alerts were found", len(names))
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(names) {
		t.Errorf("an alert is there twice: %v", names)
	}
}

// Every question of the dashboard is one that Prometheus can read.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "deploy", "grafana", "banyan.json")), &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || board.Title == "" || len(board.Panels) < 10 {
		t.Errorf("%s %s has %d panels", board.UID, board.Title, len(board.Panels))
	}
	place := map[[2]int]string{}
	for _, p := range board.Panels {
		at := [2]int{p.GridPos.X, p.GridPos.Y}
		if place[at] != "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s lies on %s, or beside the page", p.Title, place[at])
		}
		place[at] = p.Title
		if len(p.Targets) == 0 {
			t.Errorf("%s asks nothing", p.Title)
		}
		for _, q := range p.Targets {
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(q.Expr, "$__rate_interval", "1m")); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
		}
	}
}
