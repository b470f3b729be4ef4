package graph

import (
	"fmt"
	"html"
	"strings"
)

// colors are those of a box by its look: inside, and its frame.
var colors = map[look][2]string{
	lookOther: {"#ffffff", "#607d8b"}, lookStart: {"#e8f5e9", "#2e7d32"}, lookTell: {"#e3f2fd", "#1565c0"},
	lookSell: {"#fff3e0", "#ef6c00"}, lookWait: {"#fffde7", "#f9a825"}, lookDecide: {"#f3e5f5", "#7b1fa2"},
	lookChange: {"#e0f2f1", "#00796b"}, lookJump: {"#fafafa", "#757575"}, lookEnd: {"#eceff1", "#455a64"},
}

const fonts = "'Noto Sans CJK SC','PingFang SC','Microsoft YaHei','Source Han Sans SC',system-ui,sans-serif"

// svg draws charts one below the other.
func svg(title string, charts []*chart) string {
	p := &picture{}
	const head = 30
	width, y := 0, margin+head
	for _, c := range charts {
		w, bottom := p.lay(c, y)
		width, y = max(width, w), bottom+2*margin
	}
	width = max(width, columnsOf(clean(title))*9+2*margin)
	height := y - margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="%s" font-size="12.5">`+"\n",
		width, height, width, height, fonts)
	fmt.Fprintf(&b, "<title>%s</title>\n", words(title))
	b.WriteString(`<defs><marker id="arrow" viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#546e7a"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="17" font-weight="600" fill="#263238">%s</text>`+"\n", margin, margin+14, words(title))
	for _, l := range p.lines {
		b.WriteString(l.svg())
	}
	for _, t := range p.texts {
		t.svg(&b)
	}
	for _, box := range p.boxes {
		box.svg(&b)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func words(s string) string { return html.EscapeString(clean(s)) }

// svg draws a line with rounded corners.
func (l polyline) svg() string {
	var d strings.Builder
	fmt.Fprintf(&d, "M%d %d", l.points[0].x, l.points[0].y)
	for i := 1; i < len(l.points); i++ {
		at := l.points[i]
		if i == len(l.points)-1 {
			fmt.Fprintf(&d, "L%d %d", at.x, at.y)
			break
		}
		before, after := toward(at, l.points[i-1]), toward(at, l.points[i+1])
		fmt.Fprintf(&d, "L%d %dQ%d %d %d %d", before.x, before.y, at.x, at.y, after.x, after.y)
	}
	more := ""
	if l.arrow {
		more += ` marker-end="url(#arrow)"`
	}
	if l.dashed {
		more += ` stroke-dasharray="5 4"`
	}
	return fmt.Sprintf(`<path d="%s" fill="none" stroke="#78909c" stroke-width="1.4"%s/>`+"\n", d.String(), more)
}

// toward is a few pixels from a corner on the way to another point.
func toward(from, to point) point {
	const radius = 6
	step := func(a, b int) int {
		switch {
		case b > a:
			return a + min(radius, (b-a)/2)
		case b < a:
			return a - min(radius, (a-b)/2)
		}
		return a
	}
	return point{step(from.x, to.x), step(from.y, to.y)}
}

func (t text) svg(b *strings.Builder) {
	w := 0
	for _, line := range t.lines {
		w = max(w, columnsOf(line))
	}
	w = w*columnWidth + 8
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="#ffffff"/>`+"\n", t.x-w/2, t.y, w, len(t.lines)*lineHeight+2)
	for i, line := range t.lines {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" font-size="11.5" font-style="italic" fill="#455a64">%s</text>`+"\n",
			t.x, t.y+13+i*lineHeight, words(line))
	}
}

func (b *box) svg(out *strings.Builder) {
	color := colors[b.look]
	round := 6
	switch b.look {
	case lookStart, lookEnd:
		round = 16
	case lookDecide:
		round = 2
	case lookOther, lookTell, lookSell, lookWait, lookChange, lookJump:
	}
	left := b.x - b.w/2
	fmt.Fprintf(out, `<g id="%s"><title>%s</title>`+"\n", b.id, words(strings.Join(b.lines, "\n")))
	fmt.Fprintf(out, `<rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="%s" stroke="%s" stroke-width="1.4"/>`+"\n",
		left, b.y, b.w, b.h, round, color[0], color[1])
	for i, line := range b.shown() {
		look := `fill="#546e7a"`
		if i == 0 {
			look = `font-weight="600" fill="#263238"`
		}
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle" %s>%s</text>`+"\n", b.x, b.y+padY+13+i*lineHeight, look, words(line))
	}
	out.WriteString("</g>\n")
}
