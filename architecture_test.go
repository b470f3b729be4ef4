package banyan_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The arrows of the house: what each room may import of ours, and which rooms may use
// the libraries that make a room what it is. A room that is not in the table fails the
// test, so the table is the whole plan.
//
// Two rooms beside those that one expects: turn takes one turn inside a transaction
// (the worker's activity and the router both do, in one way), and channels holds the
// interface and the values that every channel shares.
var house = map[string]struct {
	may  []string // rooms it may import; their own imports come with them
	libs []string // guarded libraries it may import itself
}{
	"attribution":                   {may: []string{"codes"}},
	"callbacks":                     {may: []string{"campaign"}},
	"campaign":                      {},
	"codes":                         {},
	"rules":                         {may: []string{"campaign"}, libs: []string{"cel"}},
	"definitions":                   {may: []string{"campaign", "fraud", "rules"}, libs: []string{"yaml"}},
	"fraud":                         {may: []string{"campaign"}},
	"compare":                       {may: []string{"campaign"}},
	"graph":                         {may: []string{"campaign"}},
	"journey":                       {may: []string{"campaign", "rules"}},
	"simulate":                      {may: []string{"campaign", "definitions", "journey", "rules"}},
	"store":                         {may: []string{"campaign", "codes", "fraud", "store/db"}, libs: []string{"pgx"}},
	"store/db":                      {libs: []string{"pgx"}},
	"turn":                          {may: []string{"campaign", "fraud", "journey", "store"}},
	"workflows":                     {may: []string{"campaign"}, libs: []string{"temporal"}},
	"channels":                      {may: []string{"campaign"}},
	"channels/console":              {may: []string{"campaign", "channels"}},
	"channels/outbound":             {may: []string{"channels"}},
	"channels/webhook":              {may: []string{"campaign", "channels", "channels/outbound"}},
	"channels/call":                 {may: []string{"campaign", "channels", "channels/outbound"}},
	"channels/call/calltest":        {may: []string{"channels/call", "channels/outbound"}},
	"channels/refund":               {may: []string{"campaign", "channels", "channels/outbound"}},
	"channels/refund/refundtest":    {may: []string{"channels/outbound", "channels/refund"}},
	"channels/webhook/webhooktest":  {may: []string{"campaign", "channels", "channels/webhook"}},
	"channels/conformance":          {may: []string{"campaign", "channels"}},
	"channels/all":                  {may: []string{"campaign", "channels", "channels/call", "channels/console", "channels/mail", "channels/miniprogram", "channels/officialaccount", "channels/refund", "channels/sms", "channels/webhook", "channels/wecom/app"}},
	"activities":                    {may: []string{"campaign", "channels"}, libs: []string{"temporal"}},
	"starter":                       {may: []string{"attribution", "callbacks", "campaign", "codes", "definitions", "fraud", "rules", "journey", "optout", "poster", "turn", "store"}, libs: []string{"temporal", "prometheus"}},
	"telemetry":                     {may: []string{"activities", "campaign", "channels", "store"}, libs: []string{"temporal", "otel", "prometheus", "pgx"}},
	"worker":                        {may: []string{"campaign", "channels", "channels/wecom", "activities", "workflows", "turn", "store"}, libs: []string{"temporal"}},
	"doctor":                        {may: []string{"campaign", "starter", "store"}, libs: []string{"temporal"}},
	"devstack":                      {may: []string{"campaign"}, libs: []string{"temporal", "pgx"}},
	"devstack/devtest":              {may: []string{"campaign", "devstack"}, libs: []string{"temporal", "pgx"}},
	"devstack/cmd/devstack":         {may: []string{"devstack"}},
	"demo":                          {may: []string{"demo/recount"}},
	"demo/recount":                  {},
	"demo/internal/generate":        {},
	"demo/generate":                 {may: []string{"demo/internal/generate"}},
	"chaos":                         {may: []string{"chaos/judge", "chaos/proxy", "channels/webhook/webhooktest", "devstack"}, libs: []string{"temporal", "pgx"}},
	"chaos/judge":                   {libs: []string{"temporal", "pgx"}}, // shares no code with what it judges
	"chaos/proxy":                   {},
	"cmd/banyan":                    {may: []string{"*"}, libs: []string{"temporal", "pgx", "cel", "yaml", "prometheus"}},
	"channels/mail":                 {may: []string{"campaign", "channels", "optout"}, libs: []string{"mail"}},
	"channels/mail/mailtest":        {}, // shares no code with what it tests
	"channels/sms":                  {may: []string{"campaign", "channels", "channels/outbound"}, libs: []string{"yaml"}},
	"channels/wecom":                {may: []string{"campaign", "channels", "channels/outbound"}},
	"channels/wecom/app":            {may: []string{"campaign", "channels", "channels/outbound", "channels/wecom"}},
	"channels/weixin":               {may: []string{"campaign", "channels", "channels/outbound", "channels/wecom"}},
	"channels/miniprogram":          {may: []string{"campaign", "channels", "channels/outbound", "channels/wecom", "channels/weixin"}, libs: []string{"yaml"}},
	"channels/officialaccount":      {may: []string{"campaign", "channels", "channels/outbound", "channels/wecom", "channels/weixin"}},
	"fakeplatform":                  {}, // shares no code with what it tests
	"fakeplatform/cmd/fakeplatform": {may: []string{"fakeplatform"}},
	"poster":                        {libs: []string{"picture"}},
	"optout":                        {may: []string{"campaign"}},
}

var guarded = map[string][]string{
	"temporal":   {"go.temporal.io/"},
	"otel":       {"go.opentelemetry.io/"},
	"prometheus": {"github.com/prometheus/"},
	"cel":        {"cel.dev/", "github.com/google/cel-go"},
	"pgx":        {"github.com/jackc/pgx", "database/sql", "github.com/pressly/goose"},
	"yaml":       {"go.yaml.in/yaml", "gopkg.in/yaml"},
	"mail":       {"github.com/wneessen/go-mail"},
	"picture":    {"github.com/boombuler/barcode", "golang.org/x/image"},
}

const module = "github.com/banyanhq/banyan/"

type listed struct {
	ImportPath string
	Imports    []string
	GoFiles    []string // empty: tests alone, which may import what they test
}

func TestArchitecture(t *testing.T) {
	t.Parallel()
	rooms := packages(t)
	for _, p := range rooms {
		room := strings.TrimPrefix(p.ImportPath, module)
		plan, ok := house[room]
		if !ok {
			t.Errorf("room %s is not in the plan of the house", room)
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if ours && !slices.Contains(plan.may, "*") && !slices.Contains(plan.may, other) {
				t.Errorf("%s may not import %s", room, other)
			}
			for lib, prefixes := range guarded {
				if hasPrefix(imported, prefixes) && !slices.Contains(plan.libs, lib) {
					t.Errorf("%s may not import %s (%s)", room, imported, lib)
				}
			}
		}
	}
	for room := range house {
		if !slices.ContainsFunc(rooms, func(p listed) bool { return p.ImportPath == module+room }) {
			t.Errorf("room %s stands in the plan and not in the house", room)
		}
	}
}

// The core, the language, what workflows see and what only reckons must not reach a network, a database
// or Temporal by any way round.
func TestPureRoomsReachNothing(t *testing.T) {
	t.Parallel()
	for _, room := range []string{"attribution", "campaign", "codes", "fraud", "journey", "poster", "rules"} {
		out, err := exec.Command("go", "list", "-deps", module+room).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", room, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			if dep == "net/http" || dep == "database/sql" || hasPrefix(dep, guarded["temporal"]) || hasPrefix(dep, guarded["pgx"]) {
				t.Errorf("%s reaches %s", room, dep)
			}
		}
	}
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var list []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
	return list
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
