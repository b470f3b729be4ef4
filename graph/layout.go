package graph

import (
	"strings"
	"unicode"
)

// Sizes in pixels.
const (
	columnWidth  = 7  // of a Latin letter; a Chinese character takes two columns
	lineHeight   = 17 // of a line of text
	padX, padY   = 14, 9
	minWidth     = 96
	gapY         = 28     // between a box and the next
	fanY         = 20     // between a box and where its lanes begin
	joinY        = 18     // between the lowest lane and what follows
	gapX         = 26     // between lanes
	most         = 44     // columns of a line in a box
	mostWords    = 26     // columns of a line beside a lane
	mostLines    = 2      // of those
	backX, backY = 14, 16 // what a way back to its box takes beside and below its lane
	margin       = 24
)

// shorten cuts a text to so many columns.
func shorten(s string, columns int) string {
	s = clean(s)
	if columnsOf(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += columnsOf(string(r)); n > columns-1 {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// clean takes out what no picture can show.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || r == '\ufeff' || r == 0xfffe || r == 0xffff || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
}

// columnsOf is how wide a text is, in Latin letters.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo) ||
			r >= 0x3000 && r <= 0x33ff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff01 && r <= 0xff60 || r >= 0x1f300):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wrap breaks a text into a few lines at blanks, or anywhere in Chinese.
func wrap(s string, columns, lines int) []string {
	s = clean(s)
	var out []string
	for columnsOf(s) > columns && len(out) < lines-1 {
		n, cut, soft := 0, len(s), 0
		for i, r := range s {
			if n += columnsOf(string(r)); n > columns {
				cut = i
				break
			}
			if r == ' ' {
				soft = i
			} else if columnsOf(string(r)) == 2 {
				soft = i + len(string(r))
			}
		}
		if soft > 0 {
			cut = soft
		}
		out = append(out, strings.TrimRight(s[:cut], " "))
		s = strings.TrimLeft(s[cut:], " ")
	}
	if s == "" {
		return out
	}
	return append(out, shorten(s, columns))
}

// extent is how far a part reaches to the left and the right of its axis, and down.
type extent struct{ left, right, height int }

// measure gives the extent of a chain and settles the sizes of its boxes.
func measure(chain []*box) extent {
	var e extent
	for i, b := range chain {
		be := b.measure()
		e.left, e.right = max(e.left, be.left), max(e.right, be.right)
		e.height += be.height
		if i > 0 {
			e.height += gapY
		}
	}
	return e
}

// frame settles the size of a box itself.
func (b *box) frame() {
	w := 0
	for _, line := range b.shown() {
		w = max(w, columnsOf(line))
	}
	b.w = max(minWidth, w*columnWidth+2*padX)
	b.h = len(b.shown())*lineHeight + 2*padY
}

// shown are the lines of a box as they are drawn.
func (b *box) shown() []string {
	var out []string
	for i, line := range b.lines {
		if i == 0 || b.look != lookStart {
			out = append(out, shorten(line, most))
			continue
		}
		out = append(out, wrap(line, most+4, 3)...)
	}
	return out
}

func (b *box) measure() extent {
	b.frame()
	half := b.w / 2
	e := extent{half, half, b.h}
	if len(b.lanes) == 0 {
		return e
	}
	b.straight()
	x, lowest := 0, 0
	for i := range b.lanes {
		le := b.lanes[i].measure()
		if i == 0 {
			e.left = max(e.left, le.left)
		} else {
			x += gapX + le.left
		}
		x += le.right
		if i == 0 {
			x = le.right
		}
		if b.lanes[i].back {
			e.right = max(e.right, half+backX)
		}
		lowest = max(lowest, le.height)
	}
	e.right = max(e.right, x)
	e.height += fanY + lowest
	if b.joins() {
		e.height += joinY
	}
	return e
}

// straight puts a lane without steps first, so that the way that skips the others goes
// straight down.
func (b *box) straight() {
	for i, l := range b.lanes {
		if len(l.chain) == 0 && !l.back {
			copy(b.lanes[1:i+1], b.lanes[:i])
			b.lanes[0] = l
			return
		}
	}
}

// joins reports whether a lane beside the first comes back to the axis.
func (b *box) joins() bool {
	for i := range b.lanes {
		if i > 0 && b.lanes[i].on() {
			return true
		}
	}
	return false
}

func (l *lane) shown() []string {
	if l.words == "" {
		return nil
	}
	return wrap(l.words, mostWords, mostLines)
}

func (l *lane) measure() extent {
	e := measure(l.chain)
	for _, line := range l.shown() {
		half := (columnsOf(line)*columnWidth + 8) / 2
		e.left, e.right = max(e.left, half), max(e.right, half)
	}
	e.left, e.right = max(e.left, 8), max(e.right, 8)
	if n := len(l.shown()); n > 0 {
		e.height += n*lineHeight + 8
	}
	if len(l.chain) > 0 {
		e.height += 14 // an arrow into its first box
	}
	if l.back {
		e.right += backX
		e.height += backY
	}
	return e
}

// picture collects what is drawn.
type picture struct {
	lines []polyline
	texts []text
	boxes []*box
}

type point struct{ x, y int }

type polyline struct {
	points []point
	arrow  bool
	dashed bool
}

// text is some lines of words on an axis.
type text struct {
	x, y  int // the middle of the upper side
	lines []string
}

// place puts a chain below a point of its axis and gives where the next may begin.
func (p *picture) place(chain []*box, x, y int) int {
	for i, b := range chain {
		if i > 0 {
			y += gapY
			if chain[i-1].goesOn() {
				p.line(true, point{x, y - gapY}, point{x, y})
			}
		}
		y = p.box(b, x, y)
	}
	return y
}

func (p *picture) box(b *box, x, y int) int {
	b.x, b.y = x, y
	p.boxes = append(p.boxes, b)
	bottom := y + b.h
	if len(b.lanes) == 0 {
		return bottom
	}
	top := bottom + fanY
	var exits []point
	lowest, at := top, x
	for i := range b.lanes {
		l := &b.lanes[i]
		le := l.measure()
		if i > 0 {
			at += gapX + le.left
		}
		begin := top
		if lines := l.shown(); len(lines) > 0 {
			p.texts = append(p.texts, text{at, begin, lines})
			begin += len(lines)*lineHeight + 8
		}
		if len(l.chain) > 0 {
			begin += 14
		}
		way := []point{{x, bottom}, {at, begin}}
		if at != x {
			way = []point{{x, bottom}, {x, bottom + fanY/2}, {at, bottom + fanY/2}, {at, begin}}
		}
		p.line(len(l.chain) > 0, way...)
		end := p.place(l.chain, at, begin)
		switch {
		case l.on():
			exits = append(exits, point{at, end})
		case l.back && goesOn(l.chain):
			out, down := max(at+le.right, x+b.w/2+backX)-backX/2, end+backY
			p.line(true, point{at, end}, point{at, down}, point{out, down}, point{out, y + b.h/2}, point{x + b.w/2, y + b.h/2})
			end = down
		}
		lowest = max(lowest, end)
		at += le.right
	}
	if b.joins() {
		lowest += joinY
	}
	for _, e := range exits {
		if e.x == x {
			p.line(false, e, point{x, lowest})
			continue
		}
		p.line(false, e, point{e.x, lowest - joinY/2}, point{x, lowest - joinY/2}, point{x, lowest})
	}
	return lowest
}

func (p *picture) line(arrow bool, points ...point) {
	p.lines = append(p.lines, polyline{points: points, arrow: arrow})
}

// lay lays a chart out with its upper left corner at (0, y) and gives its size.
func (p *picture) lay(c *chart, y int) (width, bottom int) {
	whole := append([]*box{c.start}, c.chain...)
	if c.finish != nil {
		whole = append(whole, c.finish)
	}
	e := measure(whole)
	lanes := margin + 12*len(c.gotos)
	axis := lanes + e.left
	bottom = p.place(whole, axis, y)
	for i, b := range c.gotos {
		to := c.labels[b.target]
		if to == nil {
			continue
		}
		out := lanes - 12*(i+1)
		p.lines = append(p.lines, polyline{
			dashed: true, arrow: true,
			points: []point{{b.x, b.y + b.h}, {b.x, b.y + b.h + 8}, {out, b.y + b.h + 8}, {out, to.y + to.h/2}, {to.x - to.w/2, to.y + to.h/2}},
		})
		bottom = max(bottom, b.y+b.h+10)
	}
	return axis + e.right + margin, bottom
}
