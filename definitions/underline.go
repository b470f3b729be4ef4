package definitions

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is how many columns of a source line are shown. A longer line, which only a
// machine writes, is cut to the part around the caret.
const maxShown = 160

// underline gives a source line as a terminal shows it and, in the same columns, a
// caret with tildes under width characters from the character column. Chinese
// characters take two columns, combining marks none.
func underline(line string, column, width int) (shown, caret string) {
	size := utf8.RuneCountInString(line)
	start := min(max(column-1, 0), size)
	end := min(start+max(width, 1), size)
	first, last := 0, size
	if size > maxShown {
		first = max(0, start-maxShown/3)
		last = min(size, first+maxShown)
		line = line[byteColumn(line, first+1):byteColumn(line, last+1)]
	}
	var text, mark strings.Builder
	if first > 0 {
		text.WriteString("… ")
		mark.WriteString("  ")
	}
	i := first - 1
	for _, r := range line {
		i++
		w := columns(r)
		switch {
		case r == '\t':
			r, w = ' ', 1
		case unicode.IsControl(r) || r == '\ufeff':
			r, w = '\ufffd', 1
		}
		text.WriteRune(r)
		switch {
		case i < start:
			mark.WriteString(strings.Repeat(" ", w))
		case i == start && w > 0:
			mark.WriteString("^" + strings.Repeat("~", w-1))
		case i < end:
			mark.WriteString(strings.Repeat("~", w))
		}
	}
	if last < size {
		text.WriteString(" …")
	}
	if start >= last {
		mark.WriteString("^")
	}
	return strings.TrimRight(text.String(), " "), strings.TrimRight(mark.String(), " ")
}

// columns is how many terminal columns a character takes: two for the wide and
// full-width characters of UAX #11, which are all that Chinese, Japanese and Korean
// texts use, and for emoji.
func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo, unicode.Yi):
		return 2
	case r >= 0x3001 && r <= 0x303e, // ideographic punctuation
		r >= 0x31c0 && r <= 0x33ff, // strokes, enclosed and squared characters
		r >= 0xfe30 && r <= 0xfe6f, // compatibility and small forms
		r >= 0xff01 && r <= 0xff60, // full-width forms
		r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, // emoji
		r >= 0x1f680 && r <= 0x1f6ff,
		r >= 0x1f900 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
