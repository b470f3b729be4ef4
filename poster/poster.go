// Package poster draws the picture by which a member invites others: a title, what is offered,
// who invites, and a QR code of the link. It is upright, [Width] by [Height] pixels, as
// phones show and WeChat keeps it.
//
// The text may be Chinese and Latin. The fonts are parts of Noto Sans CJK SC (SIL Open Font
// License, fonts/OFL.txt): GB 2312, the first level of Big5, more characters of names, the
// Latin of western Europe, and some symbols. A picture needs no font, service or file of the machine that it is drawn on.
//
// Text that is too long is set smaller, then cut with an ellipsis. Emoji, which no font here
// has, are left out; another missing character becomes 〓, the mark that Chinese printers
// set for it (see [Missing]).
package poster

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/boombuler/barcode/qr"
)

//go:generate ./fonts/subset.sh

// The picture's size in pixels, 9 to 16.
const (
	Width  = 1080
	Height = 1920
)

// What a poster takes. Text beyond what can be seen is cut before that: these only bound
// the work.
const (
	MaxText = 1000 // bytes of a title or line
	MaxLine = 12   // lines of the offer
	MaxLink = 512  // bytes of the link; longer ones make a code too fine for a phone
)

// ErrContent says that a poster cannot be drawn of what was given; the error says why.
var ErrContent = errors.New("no poster can be drawn of this")

// Content is what stands on a poster. Only Title and Link are needed.
type Content struct {
	Inviter string   // who invites, such as "小林邀请你"; above the title. Nothing personal is needed: "朋友邀请你" will do
	Title   string   // what it is about; one to three lines
	Lines   []string // the offer and its conditions, each with a mark before it
	Link    string   // where the QR code leads: an address beginning with https:// or http://
	Code    string   // the code for those who type, as it is to be read; under the QR code
	Hint    string   // what to do, such as "长按识别二维码"; under the code
	Accent  string   // the colour, as #RRGGBB; the default is a deep green
}

// DefaultAccent is the colour of a poster that names none.
const DefaultAccent = "#0B6E4F"

// PNG draws a poster. The same content gives the same bytes, as long as the program is built
// with the same Go. It may be called by several goroutines at once.
func PNG(c Content) ([]byte, error) {
	img, err := render(c)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("write the poster: %w", err)
	}
	return b.Bytes(), nil
}

// Check says why a poster cannot be drawn, or nil.
func (c Content) Check() error {
	_, _, err := c.read()
	return err
}

// read checks the content.
func (c Content) read() (code [][]bool, accent color.RGBA, err error) {
	bad := func(format string, args ...any) ([][]bool, color.RGBA, error) {
		return nil, color.RGBA{}, fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrContent)
	}
	if len(c.Lines) > MaxLine {
		return bad("it has %d lines, at most %d are drawn", len(c.Lines), MaxLine)
	}
	for _, t := range append([]string{c.Inviter, c.Title, c.Code, c.Hint}, c.Lines...) {
		if len(t) > MaxText {
			return bad("a text of it has %d bytes, at most %d are read", len(t), MaxText)
		}
		if !utf8.ValidString(t) {
			return bad("a text of it is no UTF-8")
		}
	}
	if clean(c.Title) == "" {
		return bad("the title is missing")
	}
	u, err := url.Parse(c.Link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsFunc(c.Link, func(r rune) bool { return r <= ' ' }) {
		return bad("the link is no address that begins with https://")
	}
	if len(c.Link) > MaxLink {
		return bad("the link has %d bytes, at most %d fit into a code that a phone reads", len(c.Link), MaxLink)
	}
	if c.Accent == "" {
		c.Accent = DefaultAccent
	}
	rgb, err := strconv.ParseUint(strings.TrimPrefix(c.Accent, "#"), 16, 24)
	if err != nil || len(c.Accent) != 7 || c.Accent[0] != '#' {
		return bad("the accent %q is no colour such as %s", c.Accent, DefaultAccent)
	}
	accent = color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 0xff}
	if code, err = modules(c.Link); err != nil {
		return bad("the link: %v", err)
	}
	return code, accent, nil
}

// modules is the QR code of a link. Level M restores 15 percent: enough for a wet poster,
// and coarser than more.
func modules(link string) ([][]bool, error) {
	b, err := qr.Encode(link, qr.M, qr.Unicode)
	if err != nil {
		return nil, err
	}
	n := b.Bounds().Dx()
	code := make([][]bool, n)
	for y := range code {
		code[y] = make([]bool, n)
		for x := range code[y] {
			dark, _, _, _ := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			code[y][x] = dark == 0
		}
	}
	return code, nil
}

// Where things stand, in pixels.
const (
	margin = 84

	inviterTop, inviterBottom = 128, 216
	titleTop, titleBottom     = 232, 592
	cardLeft, cardTop         = 60, 640
	cardRight, cardBottom     = Width - 60, 1840
	cardRound                 = 44
	tear                      = 1172 // where the ticket is torn off
	notch                     = 30
	linesTop, linesBottom     = cardTop + 36, tear - 32
	qrTop, qrSide             = tear + 46, 420
	qrAlone                   = 640 // its side on a card without an offer
	codeHigh, hintHigh        = 84, 56
)

var (
	ink    = color.RGBA{0x1B, 0x24, 0x2E, 0xff}
	grey   = color.RGBA{0x5C, 0x67, 0x73, 0xff}
	hair   = color.RGBA{0xC9, 0xD0, 0xD6, 0xff}
	white  = color.RGBA{0xff, 0xff, 0xff, 0xff}
	shadow = color.RGBA{0, 0, 0, 0x06}
)

func render(c Content) (*image.RGBA, error) {
	code, accent, err := c.read()
	if err != nil {
		return nil, err
	}
	p := newPainter(Width, Height)
	on := ink // the colour of text on the accent
	if contrast(white, accent) >= 3 {
		on = white
	}
	deep := mix(accent, color.RGBA{0, 0, 0, 0xff}, 0.28)
	if on == ink {
		deep = mix(accent, white, 0.25) // lighter, so that dark text stays readable
	}
	for y := range Height {
		p.fill(image.Rect(0, y, Width, y+1), mix(accent, deep, float64(y)/Height))
	}
	veil := fade(on, 0.07)
	p.circle(Width-90, 120, 330, veil)
	p.circle(Width-90, 120, 210, veil)
	p.circle(40, 560, 180, veil)

	top := inviterTop
	if t := clean(c.Inviter); t != "" {
		p.text(regular, block{text: []string{t}, left: margin, right: Width - margin, top: inviterTop, bottom: inviterBottom, largest: 48, least: 32, lines: 1, centre: true, ink: fade(on, 0.92)})
		top = titleTop
	}
	p.text(bold, block{text: []string{clean(c.Title)}, left: margin, right: Width - margin, top: top, bottom: titleBottom, largest: 112, least: 56, lines: 3, centre: true, ink: on})

	p.shade()
	p.rounded(cardLeft, cardTop, cardRight, cardBottom, cardRound, white)
	var lines []string
	for _, l := range c.Lines {
		if l = clean(l); l != "" {
			lines = append(lines, l)
		}
	}
	codeText, hint := clean(c.Code), clean(c.Hint)
	y, side := qrTop, qrSide
	if len(lines) == 0 {
		high := qrAlone
		if codeText+hint != "" {
			high += 160
		}
		y, side = (cardTop+cardBottom-high)/2, qrAlone
	} else {
		p.ticket(mix(accent, deep, float64(tear)/Height))
		dot := accent
		if contrast(dot, white) < 1.6 {
			dot = grey
		}
		p.text(regular, block{text: lines, left: cardLeft + 72, right: cardRight - 64, top: linesTop, bottom: linesBottom, largest: 54, least: 34, lines: 10, ink: ink, mark: dot})
	}
	p.code(code, Width/2, y+side/2, side)
	below := block{left: cardLeft + 60, right: cardRight - 60, top: y + side + 20, lines: 1, centre: true}
	if codeText != "" {
		below.text, below.bottom, below.largest, below.least, below.ink = []string{codeText}, below.top+codeHigh, 58, 30, ink
		p.text(bold, below)
		below.top = below.bottom + 4
	} else {
		below.top += 16
	}
	if hint != "" {
		below.text, below.bottom, below.largest, below.least, below.ink = []string{hint}, below.top+hintHigh, 38, 26, grey
		p.text(regular, below)
	}
	return p.img, nil
}

// shade draws the soft shadow of the card, but where the card will hide it.
func (p *painter) shade() {
	whole := p.clip
	inner := image.Rect(cardLeft, cardTop, cardRight, cardBottom).Inset(cardRound)
	for _, strip := range []image.Rectangle{
		image.Rect(0, 0, Width, inner.Min.Y), image.Rect(0, inner.Max.Y, Width, Height),
		image.Rect(0, inner.Min.Y, inner.Min.X, inner.Max.Y), image.Rect(inner.Max.X, inner.Min.Y, Width, inner.Max.Y),
	} {
		p.clip = strip
		for i := range 10 {
			p.rounded(cardLeft-14+2*i, cardTop+4+2*i, cardRight+14-2*i, cardBottom+32-2*i, cardRound, shadow)
		}
	}
	p.clip = whole
}

// ticket draws where the card would be torn: a notch on each side, and a dashed line.
func (p *painter) ticket(behind color.RGBA) {
	p.circle(cardLeft, tear, notch, behind)
	p.circle(cardRight, tear, notch, behind)
	for x := cardLeft + notch + 22; x < cardRight-notch-22; x += 26 {
		p.fill(image.Rect(x, tear-2, x+14, tear+1), hair)
	}
}
