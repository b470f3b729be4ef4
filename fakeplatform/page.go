package fakeplatform

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
)

type phone struct {
	Person   string
	Messages []Received
}

// page shows a phone for every person, with what she received.
func (p *Platform) page(w http.ResponseWriter, _ *http.Request) {
	by := map[string]*phone{}
	var phones []*phone
	for _, r := range p.Received("") {
		name := strings.ToLower(r.Person)
		if by[name] == nil {
			by[name] = &phone{Person: r.Person}
			phones = append(phones, by[name])
		}
		by[name].Messages = append(by[name].Messages, r)
	}
	slices.SortFunc(phones, func(a, b *phone) int { return strings.Compare(a.Person, b.Person) })
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Refresh", "5")
	_ = pageTemplate.Execute(w, map[string]any{"Phones": phones, "Record": p.Record(), "Now": p.clock.Now()}) // the reader has gone, if not
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fake platform</title>
<style>
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem; background: #f4f5f7; color: #1f2329 }
h1 { font-size: 1.4rem; margin: 0 }
.sum { color: #646a73; margin: .2rem 0 1.5rem }
.phones { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start }
.phone { width: 20rem; border: .5rem solid #2b2f36; border-radius: 1.8rem; background: #ededed; overflow: hidden }
.phone h2 { margin: 0; padding: .6rem; font-size: 1rem; text-align: center; background: #f7f7f7; border-bottom: 1px solid #ddd }
.feed { height: 26rem; overflow-y: auto; padding: .8rem }
.time { text-align: center; font-size: .75rem; color: #8f959e; margin: .6rem 0 .3rem }
.bubble { background: #fff; border-radius: .5rem; padding: .5rem .7rem; white-space: pre-wrap; overflow-wrap: anywhere }
.none { color: #646a73 }
</style></head><body>
<h1>What people received</h1>
<p class="sum">{{.Now.Format "2006-01-02 15:04:05"}} by the platform's clock · calls: {{.Record.Calls}} · tokens asked for: {{.Record.TokensAsked}}
· silently dropped: {{.Record.Dropped}} · repeats held back: {{.Record.Repeated}} · too many at once: {{.Record.RefusedAtOnce}} · while blocked: {{.Record.WhileBlocked}} · SMS: {{.Record.SMSSent}}</p>
{{if not .Phones}}<p class="none">Nobody has received anything yet.</p>{{end}}
<div class="phones">{{range .Phones}}<section class="phone"><h2>{{.Person}}</h2><div class="feed">{{range .Messages}}
<div class="time">{{if .By}}{{.By}}{{else if .App}}app {{.App}}{{else}}SMS{{end}} · {{.At.Format "01-02 15:04:05"}}</div><div class="bubble">{{.Text}}</div>{{end}}
</div></section>{{end}}</div>
</body></html>
`))
