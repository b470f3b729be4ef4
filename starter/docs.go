package starter

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/definitions"
)

// schemaPath is where the JSON Schema of the campaign language is, for editors.
const schemaPath = "/v1/schema/campaign.json"

// registerDocs serves the API's document and a page to read it by. The page is whole
// in itself: it works where there is no way to the internet.
func (s *Server) registerDocs() {
	document := sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(s.api.OpenAPI(), "", "  ") })
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		body, err := document()
		if err != nil {
			s.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json;version=3.1")
		_, _ = w.Write(body)
	})
	s.mux.HandleFunc("GET "+schemaPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/schema+json")
		_, _ = w.Write(definitions.Schema())
	})
	s.mux.HandleFunc("GET /docs", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		if err := docsPage.Execute(w, docsOf(s.api.OpenAPI())); err != nil {
			s.logError(r.Context(), err)
		}
	})
}

type docsCall struct {
	Method, Path, Summary, Description, Scope string
	Parameters                                []docsField
	Body                                      []docsField
	BodyTypes                                 string
	Statuses                                  []docsField
}

type docsField struct {
	Name, Type, Text string
	Required         bool
}

type docsGroup struct {
	Name  string
	Calls []docsCall
}

type docsData struct {
	Version, Description string
	Groups               []docsGroup
}

func docsOf(doc *huma.OpenAPI) docsData {
	out := docsData{Version: doc.Info.Version, Description: doc.Info.Description}
	byTag := make(map[string][]docsCall)
	for path, item := range doc.Paths {
		for method, op := range operationsOf(item) {
			byTag[op.Tags[0]] = append(byTag[op.Tags[0]], docsCallOf(doc, method, path, op))
		}
	}
	for tag, calls := range byTag {
		slices.SortFunc(calls, func(a, b docsCall) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
		out.Groups = append(out.Groups, docsGroup{tag, calls})
	}
	slices.SortFunc(out.Groups, func(a, b docsGroup) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func operationsOf(item *huma.PathItem) map[string]*huma.Operation {
	out := make(map[string]*huma.Operation)
	for method, op := range map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete,
	} {
		if op != nil {
			out[method] = op
		}
	}
	return out
}

func docsCallOf(doc *huma.OpenAPI, method, path string, op *huma.Operation) docsCall {
	c := docsCall{Method: method, Path: path, Summary: op.Summary, Description: op.Description, Scope: "none"}
	for _, security := range op.Security {
		if scopes, ok := security[securityKey]; ok {
			c.Scope = "any key"
			if len(scopes) > 0 {
				c.Scope = strings.Join(scopes, ", ")
			}
		}
	}
	for _, p := range op.Parameters {
		c.Parameters = append(c.Parameters, docsField{p.Name, p.In + " " + typeName(p.Schema), p.Description, p.Required})
	}
	if op.RequestBody != nil {
		var types []string
		for mediaType, m := range op.RequestBody.Content {
			types = append(types, mediaType)
			if fields := fieldsOf(doc, m.Schema); len(fields) > len(c.Body) {
				c.Body = fields
			}
		}
		slices.Sort(types)
		c.BodyTypes = strings.Join(types, " or ")
	}
	for status, response := range op.Responses {
		c.Statuses = append(c.Statuses, docsField{Name: status, Text: response.Description})
	}
	slices.SortFunc(c.Statuses, func(a, b docsField) int { return strings.Compare(a.Name, b.Name) })
	return c
}

func fieldsOf(doc *huma.OpenAPI, schema *huma.Schema) []docsField {
	if schema == nil {
		return nil
	}
	if schema.Ref != "" {
		schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	var out []docsField
	for name, p := range schema.Properties {
		out = append(out, docsField{name, typeName(p), p.Description, slices.Contains(schema.Required, name)})
	}
	slices.SortFunc(out, func(a, b docsField) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func typeName(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == huma.TypeArray:
		return "list of " + typeName(s.Items)
	case s.Format != "":
		return s.Type + " (" + s.Format + ")"
	case s.Type == "":
		return "any JSON"
	}
	return s.Type
}

var docsPage = template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Banyan API</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, .path { font-family: ui-monospace, monospace; font-size: .95em }
h2 { margin-top: 2.5rem; text-transform: capitalize }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .5rem .8rem }
summary { cursor: pointer }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600 }
.what { opacity: .75 }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td { border-top: 1px solid #8884; padding: .25rem .6rem .25rem 0; vertical-align: top }
</style></head><body>
<h1>Banyan API <small>{{.Version}}</small></h1>
<p>{{.Description}}</p>
<p>The same for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
{{range .Groups}}<h2>{{.Name}}</h2>
{{range .Calls}}<details><summary><span class="method">{{.Method}}</span> <span class="path">{{.Path}}</span> <span class="what">– {{.Summary}}</span></summary>
{{with .Description}}<p>{{.}}</p>{{end}}
<p>Scope: <code>{{.Scope}}</code></p>
{{with .Parameters}}<table>{{range .}}<tr><td><code>{{.Name}}</code></td><td>{{.Type}}{{if .Required}}, required{{end}}</td><td>{{.Text}}</td></tr>{{end}}</table>{{end}}
{{with .BodyTypes}}<p>Body: <code>{{.}}</code></p>{{end}}
{{with .Body}}<table>{{range .}}<tr><td><code>{{.Name}}</code></td><td>{{.Type}}{{if .Required}}, required{{end}}</td><td>{{.Text}}</td></tr>{{end}}</table>{{end}}
<table>{{range .Statuses}}<tr><td><code>{{.Name}}</code></td><td>{{.Text}}</td></tr>{{end}}</table>
</details>{{end}}{{end}}
</body></html>
`))
