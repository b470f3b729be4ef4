package poster

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// painter draws shapes and text on a picture. It is used by one goroutine.
type painter struct {
	img    *image.RGBA
	clip   image.Rectangle // what is drawn on
	raster vector.Rasterizer
	glyphs sfnt.Buffer
}

func newPainter(width, height int) *painter {
	r := image.Rect(0, 0, width, height)
	return &painter{img: image.NewRGBA(r), clip: r}
}

func (p *painter) fill(r image.Rectangle, c color.Color) {
	draw.Draw(p.img, r.Intersect(p.clip), image.NewUniform(c), image.Point{}, draw.Over)
}

// outline is a path under way. Its coordinates are those of the picture; vector wants
// them from the corner of what it fills.
type outline struct {
	z    *vector.Rasterizer
	x, y float64
}

func (o outline) px(x float64) float32 { return float32(x - o.x) }
func (o outline) py(y float64) float32 { return float32(y - o.y) }

func (o outline) move(x, y float64) {
	o.z.ClosePath()
	o.z.MoveTo(o.px(x), o.py(y))
}

func (o outline) line(x, y float64) { o.z.LineTo(o.px(x), o.py(y)) }

func (o outline) quad(ax, ay, x, y float64) { o.z.QuadTo(o.px(ax), o.py(ay), o.px(x), o.py(y)) }

func (o outline) cube(ax, ay, bx, by, x, y float64) {
	o.z.CubeTo(o.px(ax), o.py(ay), o.px(bx), o.py(by), o.px(x), o.py(y))
}

// shape fills a path. The part of it in r is drawn.
func (p *painter) shape(r image.Rectangle, c color.Color, path func(o outline)) {
	r = r.Intersect(p.clip)
	if r.Empty() {
		return
	}
	p.raster.Reset(r.Dx(), r.Dy())
	p.raster.DrawOp = draw.Over
	path(outline{&p.raster, float64(r.Min.X), float64(r.Min.Y)})
	p.raster.ClosePath()
	p.raster.Draw(p.img, r, image.NewUniform(c), image.Point{})
}

func (p *painter) circle(x, y, radius int, c color.Color) {
	p.rounded(x-radius, y-radius, x+radius, y+radius, radius, c)
}

// quarter is how far the control points of a cubic curve stand from the ends of a quarter
// of a circle, in radii.
const quarter = 0.5522847498

// rounded fills a rectangle with round corners. Only the corners need a path: the rest is
// filled directly, which takes a tenth of the time.
func (p *painter) rounded(left, top, right, bottom, radius int, c color.Color) {
	p.fill(image.Rect(left, top+radius, right, bottom-radius), c)
	p.fill(image.Rect(left+radius, top, right-radius, top+radius), c)
	p.fill(image.Rect(left+radius, bottom-radius, right-radius, bottom), c)
	r := float64(radius)
	k := float64(r * quarter)
	for _, corner := range []struct {
		x, y   int     // the centre of its circle
		dx, dy float64 // to which side it is round
	}{{left + radius, top + radius, -1, -1}, {right - radius, top + radius, 1, -1}, {left + radius, bottom - radius, -1, 1}, {right - radius, bottom - radius, 1, 1}} {
		x, y := float64(corner.x), float64(corner.y)
		w, h := float64(corner.dx*r), float64(corner.dy*r)
		p.shape(image.Rect(corner.x, corner.y, corner.x+int(w), corner.y+int(h)), c, func(o outline) {
			o.move(x, y)
			o.line(x+w, y)
			o.cube(x+w, y+float64(corner.dy*k), x+float64(corner.dx*k), y+h, x, y+h)
		})
	}
}

// code draws a QR code as large as whole pixels allow, about a centre. The card around it is
// white, so the quiet zone is there.
func (p *painter) code(modules [][]bool, x, y, side int) {
	n := len(modules)
	scale := max(1, side/n)
	x, y = x-n*scale/2, y-n*scale/2
	for row := range modules {
		for column, dark := range modules[row] {
			if dark {
				p.fill(image.Rect(x+column*scale, y+row*scale, x+(column+1)*scale, y+(row+1)*scale), color.RGBA{0, 0, 0, 0xff})
			}
		}
	}
}

// line draws one line of text with its baseline at y.
func (p *painter) line(f *face, text string, x, y float64, size float64, c color.Color) {
	// Around the text there is room for what hangs out of its box.
	pad := int(size)
	left, top := int(x)-pad, int(y)-2*pad
	r := image.Rect(left, top, int(x+f.width(text, size))+pad, int(y)+pad)
	p.shape(r, c, func(o outline) {
		pen := x
		for _, g := range f.glyphs(text) {
			p.glyph(o, f, g.index, pen, y, size)
			pen += float64(g.advance * size)
		}
	})
}

// glyph adds the outline of one glyph to a path.
func (p *painter) glyph(o outline, f *face, index sfnt.GlyphIndex, x, y, size float64) {
	// Outlines are asked for in the font's own units, so that no rounding depends on the size.
	segments, err := f.font.LoadGlyph(&p.glyphs, index, fixed.Int26_6(f.units)<<6, nil)
	if err != nil {
		return // TestFonts loads every glyph
	}
	scale := size / float64(f.units) / 64
	px := func(a fixed.Point26_6) float64 { return x + float64(float64(a.X)*scale) }
	py := func(a fixed.Point26_6) float64 { return y + float64(float64(a.Y)*scale) }
	for _, s := range segments {
		a := s.Args
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			o.move(px(a[0]), py(a[0]))
		case sfnt.SegmentOpLineTo:
			o.line(px(a[0]), py(a[0]))
		case sfnt.SegmentOpQuadTo:
			o.quad(px(a[0]), py(a[0]), px(a[1]), py(a[1]))
		case sfnt.SegmentOpCubeTo:
			o.cube(px(a[0]), py(a[0]), px(a[1]), py(a[1]), px(a[2]), py(a[2]))
		}
	}
}

// mix is a colour between two.
func mix(a, b color.RGBA, share float64) color.RGBA {
	between := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + float64(float64(int(b)-int(a))*share))) }
	return color.RGBA{between(a.R, b.R), between(a.G, b.G), between(a.B, b.B), 0xff}
}

// fade is a colour that lets through what is behind it.
func fade(c color.RGBA, alpha float64) color.Color {
	return color.NRGBA{c.R, c.G, c.B, uint8(math.Round(alpha * 255))}
}

// contrast is the ratio of WCAG 2: from 1 to 21, 3 is enough for large text.
func contrast(a, b color.RGBA) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		f := float64(v) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}
