package poster

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

//go:embed fonts/NotoSansSC-Regular.otf
var regularFile []byte

//go:embed fonts/NotoSansSC-Bold.otf
var boldFile []byte

// The two weights. A program that draws no poster does not read them.
var (
	regular = &face{file: &regularFile}
	bold    = &face{file: &boldFile}
)

// face is a font with the widths of its glyphs. It is safe for several goroutines.
type face struct {
	file  *[]byte
	once  sync.Once
	font  *sfnt.Font
	units sfnt.Units // in an em

	mu    sync.Mutex
	known map[rune]glyph
	buf   sfnt.Buffer
}

type glyph struct {
	index   sfnt.GlyphIndex
	advance float64 // in ems
}

func (f *face) read() {
	f.once.Do(func() {
		parsed, err := sfnt.Parse(*f.file)
		if err != nil {
			panic("poster: the font that comes with the program cannot be read: " + err.Error())
		}
		f.font, f.units, f.known = parsed, parsed.UnitsPerEm(), map[rune]glyph{}
	})
}

// glyph finds the glyph of a character; ok is false if the font has none.
func (f *face) glyph(r rune) (g glyph, ok bool) {
	f.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	if g, ok := f.known[r]; ok {
		return g, g.index != 0
	}
	index, err := f.font.GlyphIndex(&f.buf, r)
	if err != nil {
		index = 0
	}
	advance, err := f.font.GlyphAdvance(&f.buf, index, fixed.Int26_6(f.units)<<6, font.HintingNone)
	if err != nil {
		advance = fixed.Int26_6(f.units) << 6
	}
	g = glyph{index, float64(advance) / 64 / float64(f.units)}
	if len(f.known) < 30_000 { // more than the font has; what it has not need not be kept
		f.known[r] = g
	}
	return g, index != 0
}

// glyphs are those of a text that was cleaned.
func (f *face) glyphs(text string) []glyph {
	all := make([]glyph, 0, len(text))
	for _, r := range text {
		g, _ := f.glyph(r)
		all = append(all, g)
	}
	return all
}

// width is how wide a text is, in pixels.
func (f *face) width(text string, size float64) float64 {
	w := 0.0
	for _, r := range text {
		g, _ := f.glyph(r)
		w += g.advance
	}
	return w * size
}

// geta stands for a character that the font does not have.
const geta = '〓'

// clean makes a text that can be drawn: one line, without what cannot be seen, with geta for
// what is missing.
func clean(s string) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case invisible(r):
			continue
		}
		if _, ok := regular.glyph(r); !ok {
			if pictorial(r) {
				continue
			}
			r = geta
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Missing gives the characters of a text that a poster cannot show, each once: emoji, which
// it leaves out, and others, for which it sets 〓.
func Missing(text string) []rune {
	var missing []rune
	for _, r := range text {
		if unicode.IsSpace(r) || invisible(r) || strings.ContainsRune(string(missing), r) {
			continue
		}
		if _, ok := regular.glyph(r); !ok {
			missing = append(missing, r)
		}
	}
	return missing
}

// invisible reports whether a character has no picture of its own: controls, marks that
// choose between pictures, joiners, directions.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector) || r == 0x20e3
}

// pictorial reports whether a character is an emoji or another little picture.
func pictorial(r rune) bool {
	return unicode.In(r, unicode.So, unicode.Sk) || r >= 0x1f000 && r <= 0x1faff
}
