package graph

import (
	"fmt"
	"strings"
)

// mermaid writes charts as a Mermaid flowchart, a subgraph for each where there are several.
func mermaid(charts []*chart) string {
	var b strings.Builder
	b.WriteString("flowchart TD\n")
	for _, c := range charts {
		w := writer{Builder: &b, indent: "  ", chart: c}
		if len(charts) > 1 {
			fmt.Fprintf(&b, "  subgraph %s[%s]\n    direction TD\n", c.id, quoted(c.name))
			w.indent = "    "
		}
		w.box(c.start)
		finish := ""
		if c.finish != nil {
			finish = c.finish.id
		}
		w.edge(c.start.id, first(c.chain, finish), "")
		w.chain(c.chain, finish)
		if c.finish != nil {
			w.box(c.finish)
		}
		if len(charts) > 1 {
			b.WriteString("  end\n")
		}
	}
	b.WriteString("  classDef start fill:#e8f5e9,stroke:#2e7d32\n  classDef tell fill:#e3f2fd,stroke:#1565c0\n" +
		"  classDef sell fill:#fff3e0,stroke:#ef6c00\n  classDef wait fill:#fffde7,stroke:#f9a825\n" +
		"  classDef decide fill:#f3e5f5,stroke:#7b1fa2\n  classDef change fill:#e0f2f1,stroke:#00796b\n" +
		"  classDef jump fill:#fafafa,stroke:#757575\n  classDef finish fill:#eceff1,stroke:#455a64\n")
	return b.String()
}

type writer struct {
	*strings.Builder
	chart  *chart
	indent string
}

func first(chain []*box, next string) string {
	if len(chain) > 0 {
		return chain[0].id
	}
	return next
}

// chain writes boxes one after the other; next is what follows the last.
func (w *writer) chain(chain []*box, next string) {
	for i, b := range chain {
		after := first(chain[i+1:], next)
		w.box(b)
		switch {
		case b.target != "":
			if to := w.chart.labels[b.target]; to != nil {
				w.line("%s -.-> %s", b.id, to.id)
			}
		case len(b.lanes) == 0 && b.goes:
			w.edge(b.id, after, "")
		}
		for _, l := range b.lanes {
			to := after
			if l.back {
				to = b.id
			}
			w.edge(b.id, first(l.chain, to), l.words)
			w.chain(l.chain, to)
		}
	}
}

func (w *writer) edge(from, to, words string) {
	switch {
	case to == "":
	case words == "":
		w.line("%s --> %s", from, to)
	default:
		w.line("%s -->|%s| %s", from, quoted(shorten(words, 60)), to)
	}
}

func (w *writer) box(b *box) {
	lines := make([]string, len(b.lines))
	for i, l := range b.lines {
		lines[i] = escape(shorten(l, 60))
	}
	text := `"` + strings.Join(lines, "<br/>") + `"`
	open, end, class := "[", "]", classes[b.look]
	switch b.look {
	case lookStart:
		open, end = "(", ")"
	case lookEnd:
		open, end = "([", "])"
	case lookDecide:
		open, end = "{{", "}}"
	case lookOther, lookTell, lookSell, lookWait, lookChange, lookJump:
	}
	if class != "" {
		class = ":::" + class
	}
	w.line("%s%s%s%s%s", b.id, open, text, end, class)
}

var classes = map[look]string{
	lookStart: "start", lookTell: "tell", lookSell: "sell", lookWait: "wait", lookDecide: "decide", lookChange: "change",
	lookJump: "jump", lookEnd: "finish",
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, w.indent+format+"\n", args...)
}

func quoted(s string) string { return `"` + escape(s) + `"` }

// escape writes what Mermaid or its HTML would take for something else as entities.
func escape(s string) string {
	return strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "\\", "#92;").Replace(clean(s))
}
