package poster

import (
	"image/color"
	"strings"
	"unicode"
)

// block is text in a box. It is set as large as it fits, between largest and least; what
// does not fit then is cut.
type block struct {
	text                     []string // paragraphs
	left, right, top, bottom int
	largest, least           int // sizes in pixels
	lines                    int // at most
	centre                   bool
	ink                      color.Color
	mark                     color.Color // a dot before each paragraph, if set
}

// leading is the distance of baselines, in sizes; between paragraphs there is more.
const (
	leading   = 1.34
	paragraph = 0.36
	indent    = 0.95 // of a paragraph with a mark
)

// set is text as it is set: paragraphs of lines, in one size.
type set struct {
	size  float64
	paras [][]string
}

func (s set) count() (n int) {
	for _, p := range s.paras {
		n += len(p)
	}
	return n
}

func (s set) height() float64 {
	return s.size * (float64(s.count())*leading + float64(max(0, len(s.paras)-1))*paragraph)
}

// fit chooses the size and breaks the lines: the largest size that fits, or a little less if
// that saves lines.
func (b *block) fit(f *face) set {
	var s set
	found := 0 // the largest size that fits
	for size := b.largest; size >= b.least && (found == 0 || size*6 >= found*5); size -= 2 {
		t := b.broken(f, float64(size), true)
		if t.count() > b.lines || t.height() > float64(b.bottom-b.top) {
			continue
		}
		if found == 0 {
			found, s = size, t
		} else if t.count() < s.count() {
			s = t
		}
	}
	if found > 0 {
		return s
	}
	s = b.broken(f, float64(b.least), false)
	// Cut: as many lines as there is room for, the last one with an ellipsis.
	for s.count() > 1 && (s.count() > b.lines || s.height() > float64(b.bottom-b.top)) {
		last := len(s.paras) - 1
		if n := len(s.paras[last]); n > 1 {
			s.paras[last] = s.paras[last][:n-1]
		} else {
			s.paras = s.paras[:last]
		}
	}
	if last := len(s.paras) - 1; last >= 0 {
		p := s.paras[last]
		p[len(p)-1] = ellipsis(f, p[len(p)-1], s.size, b.room(s.size))
	}
	return s
}

// room is how wide a line may be.
func (b *block) room(size float64) float64 {
	w := float64(b.right - b.left)
	if b.mark != nil {
		w -= indent * size
	}
	return w
}

func (b *block) broken(f *face, size float64, even bool) set {
	s := set{size: size}
	for _, t := range b.text {
		room := b.room(size)
		lines := wrap(f, t, size, room, false)
		// Centred lines look best when they are even; others only must not leave a lonely word.
		if n := len(lines); even && n > 1 && (b.centre || f.width(lines[n-1], size) < room/4) {
			lines = balanced(f, t, size, room, lines)
		}
		s.paras = append(s.paras, lines)
	}
	return s
}

// text sets a block in the middle of its box.
func (p *painter) text(f *face, b block) {
	s := b.fit(f)
	if s.count() == 0 {
		return
	}
	y := float64(b.top) + (float64(b.bottom-b.top)-s.height())/2
	for _, para := range s.paras {
		for i, line := range para {
			// Chinese glyphs fill the em from 0.12 below the baseline to 0.88 above it.
			baseline := y + s.size*((leading-1)/2+0.88)
			x := float64(b.left)
			switch {
			case b.centre:
				x = (float64(b.left+b.right) - f.width(line, s.size)) / 2
			case b.mark != nil:
				if i == 0 {
					r := int(s.size * 0.14)
					p.circle(b.left+r, int(baseline-s.size*0.37), r, b.mark)
				}
				x += indent * s.size
			}
			p.line(f, line, x, baseline, s.size, b.ink)
			y += s.size * leading
		}
		y += s.size * paragraph
	}
}

// wrap breaks a cleaned text into lines no wider than room. It breaks between Chinese
// characters and at spaces, and follows GB/T 15834-2011, 5.1: closing marks do not begin a
// line, opening ones do not end it, and …… and —— stay whole. A number stays with what
// follows it (48小时, 5 折). A word that is wider than a line is broken where the line ends. If
// clauses is set, a line rather ends after a comma than a few characters later.
func wrap(f *face, text string, size, room float64, clauses bool) []string {
	var lines []string
	rest := []rune(text)
	for len(rest) > 0 {
		n := fitting(f, rest, size, room)
		if n < len(rest) {
			most := n
			for at := n; at > 0; at-- {
				if mayBreak(rest, at) {
					n = at
					break
				}
			}
			for at := n; clauses && at > most*3/5; at-- {
				if strings.ContainsRune("，。；：！？、,;:!?", rest[at-1]) && mayBreak(rest, at) {
					n = at
					break
				}
			}
		}
		if line := strings.TrimSpace(string(rest[:n])); line != "" {
			lines = append(lines, line)
		}
		rest = rest[n:]
		for len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
	}
	return lines
}

// fitting is how many characters fit into room, spaces at the end not counted; at least one.
func fitting(f *face, text []rune, size, room float64) int {
	w := 0.0
	for i, r := range text {
		g, _ := f.glyph(r)
		w += g.advance * size
		if w > room && i > 0 && r != ' ' {
			return i
		}
	}
	return len(text)
}

// balanced breaks a text into as many lines as there are, as even as can be: the narrowest
// room in which they are enough. It prefers lines that end with a clause.
func balanced(f *face, text string, size, room float64, lines []string) []string {
	for _, clauses := range []bool{true, false} {
		l := wrap(f, text, size, room, clauses)
		if len(l) > len(lines) {
			continue
		}
		lines = l
		for least, most := room/float64(len(lines)+1), room; most-least > size/8; {
			middle := (least + most) / 2
			if l := wrap(f, text, size, middle, clauses); len(l) <= len(lines) && fits(f, l, size, middle) {
				most, lines = middle, l
			} else {
				least = middle
			}
		}
		return lines
	}
	return lines
}

// fits reports whether no word had to be broken anew: a room so narrow that words break is
// no improvement.
func fits(f *face, lines []string, size, room float64) bool {
	for i, l := range lines {
		if f.width(l, size) > room {
			return false
		}
		if i > 0 {
			before, after := []rune(lines[i-1]), []rune(l)
			if a, b := before[len(before)-1], after[0]; word(a) && word(b) {
				return false
			}
		}
	}
	return true
}

// ellipsis cuts a line so that an ellipsis fits behind it: the Chinese one, or three points
// behind a word in letters.
func ellipsis(f *face, line string, size, room float64) string {
	text := []rune(line)
	for len(text) > 0 {
		last, dots := text[len(text)-1], "…"
		if word(last) {
			dots = "..."
		}
		if f.width(string(text)+dots, size) <= room && !strings.ContainsRune(" ，、；：,;:.…—"+noEnd, last) {
			return string(text) + dots
		}
		text = text[:len(text)-1]
	}
	return "…"
}

const (
	// noStart may not begin a line, noEnd may not end one; joined stay together when doubled.
	noStart = "。．，、；：？！）］｝】〗》〉」』〕”’·・～—…%％‰°℃ー々.,;:?!)]}»"
	noEnd   = "（［｛【〖《〈「『〔“‘¥￥$€£#＃@＠([{«"
	joined  = "…—－"
)

// mayBreak reports whether a line may end before text[at].
func mayBreak(text []rune, at int) bool {
	a, b := text[at-1], text[at]
	switch {
	case b == ' ' && at+1 < len(text): // as if the space were not there
		next := text[at+1]
		return !strings.ContainsRune(noStart, next) && !strings.ContainsRune(noEnd, a) && (!digit(a) || !wide(next))
	case a == ' ' && at > 1 && strings.ContainsRune(noEnd, text[at-2]):
		return false
	case a == ' ' && at > 1 && digit(text[at-2]) && wide(b):
		return false
	case strings.ContainsRune(noStart, b), strings.ContainsRune(noEnd, a):
		return false
	case a == b && strings.ContainsRune(joined, a):
		return false
	case a == ' ':
		return true
	case a == '-' && at > 1 && word(text[at-2]) && unicode.IsLetter(b):
		return true
	case digit(a) && wide(b):
		return false
	}
	return wide(a) || wide(b)
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

// wide reports whether a character is Chinese or stands like one, so that a line may end
// on either side of it.
func wide(r rune) bool {
	return r >= 0x2e80 && r <= 0xffef || r >= 0x20000 || strings.ContainsRune("…—“”‘’·", r) || r >= 0x2190 && r <= 0x27bf
}

// word reports whether a character is part of a word that is written in letters.
func word(r rune) bool {
	return !wide(r) && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
