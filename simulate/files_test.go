package simulate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What is wrong in files of the past is told with its line.
func TestPastFilesAreChecked(t *testing.T) {
	t.Parallel()
	p := planFrom(t, shipped(t))
	for text, want := range map[string]string{
		"":               "holds no events",
		"{\"id\": \"a\"": "x:1: this is no event",
		`{"id":"a","type":"order.paid","member":"m"}`:                                                               "x:1: the event has no time",
		`{"id":"a","type":"order.paid","member":"m","time":"yesterday"}`:                                            `x:1: "yesterday" is not a time`,
		`{"id":"a","type":"order.paid","member":"m","time":"2026-12-01T00:00:00Z","properties":{"amount":"1.234"}}`: "x:1: property amount",
		"id,type,member\na,b,c": "names no column time",
		"id,type,member,time,amount\na,order.paid,m,2026-12-01T00:00:00Z,1.5\nb,order.paid,m,2026-12-01T00:00:00Z,cheap": `x:3: column amount: "cheap"`,
	} {
		if _, err := p.ReadEvents("x", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	events, err := p.ReadEvents("x", strings.NewReader("\ufeffid,type,member,time,arrives,order,offer,amount\n"+
		"a,order.paid,m,2026-12-01T08:00:00+08:00,2026-12-01T09:00:00+08:00,o-1,trial,9.9\n"))
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	var props map[string]any
	if err := json.Unmarshal(events[0].Properties, &props); err != nil || fmt.Sprint(props) != "map[amount:map[amount:9.90 currency:CNY] offer:trial order:o-1]" {
		t.Errorf("properties %v %v", props, err)
	}
	if got := events[0].Stored.Sub(events[0].Time); got != time.Hour {
		t.Errorf("told %s late", got)
	}
	for text, want := range map[string]string{
		"name\nx":                     "names no column id",
		"id\n":                        "holds no members",
		"id,level\nm,tin":             `x:2: column level: "tin" is not one of bronze, silver, gold`,
		"id,joined_at\nm,long ago":    "x:2: column joined_at",
		"id,name\nm,a\nm,b":           "x:3: member m stands in line 2 already",
		"id,name\n,a":                 "x:2: the member has no id",
		"id,name\nm,a,b":              "wrong number of fields",
		"id,name\n\"m,a\nb,c\nd,e\nf": "x: ",
	} {
		if _, err := p.ReadMembers("x", strings.NewReader(text), first); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
