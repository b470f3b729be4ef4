package poster

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// Each line break is one of GB/T 15834-2011, at a size where twelve characters fit.
func TestWrap(t *testing.T) {
	t.Parallel()
	const size, room = 10, 120
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"one line", "带朋友来练", []string{"带朋友来练"}},
		{"as wide as the line", "一二三四五六七八九十百千", []string{"一二三四五六七八九十百千"}},
		{"one more", "一二三四五六七八九十百千万", []string{"一二三四五六七八九十百千", "万"}},
		{"no comma begins a line", "一二三四五六七八九十百千，万", []string{"一二三四五六七八九十百", "千，万"}},
		{"nor two marks", "一二三四五六七八九十百千」。万", []string{"一二三四五六七八九十百", "千」。万"}},
		{"no opening mark ends one", "一二三四五六七八九十百《千万》", []string{"一二三四五六七八九十百", "《千万》"}},
		{"an ellipsis is whole", "一二三四五六七八九十百……", []string{"一二三四五六七八九十", "百……"}},
		{"a dash is whole", "一二三四五六七八九十百——千", []string{"一二三四五六七八九十", "百——千"}},
		{"a number and its unit", "一二三四五六七八九十百48小时", []string{"一二三四五六七八九十百", "48小时"}},
		{"also with a space", "一二三四五六七八九十百 48 小时", []string{"一二三四五六七八九十百", "48 小时"}},
		{"money and its sign", "一二三四五六七八九十百¥19.90", []string{"一二三四五六七八九十百", "¥19.90"}},
		{"a percent sign", "一二三四五六七八九十百9%千", []string{"一二三四五六七八九十百", "9%千"}},
		{"words stay whole", "Bring a friend and train together", []string{"Bring a friend and train", "together"}},
		{"words between Chinese", "一二三四五六七八九十Banyan活动", []string{"一二三四五六七八九十", "Banyan活动"}},
		{"a comma after a word", "一二三四五六七八九十百a，千", []string{"一二三四五六七八九十百", "a，千"}},
		{"a word wider than a line", "Donaudampfschifffahrtselektrizität", []string{"Donaudampfschifffahrtse", "lektrizität"}},
		{"marks wider than a line", strings.Repeat("！", 13), []string{strings.Repeat("！", 12), "！"}},
		{"a hyphen", "abcdefghij-klmnopqrstuvwx", []string{"abcdefghij-", "klmnopqrstuvwx"}},
	} {
		if got := wrap(regular, c.text, size, room, false); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q is broken into %q, want %q", c.name, c.text, got, c.want)
		}
	}
	if got, want := wrap(regular, "一二三四五六七八，九十百千万", size, room, true), []string{"一二三四五六七八，", "九十百千万"}; !slices.Equal(got, want) {
		t.Errorf("by clauses: %q, want %q", got, want)
	}
}

// Of random text no character is lost, no line is too wide, and no line begins or ends as it
// must not, unless a run of such marks fills a line.
func TestWrapLosesNothing(t *testing.T) {
	t.Parallel()
	char := rapid.SampledFrom([]rune("一二三四五六七八九十榕树abcXYZ0189 　  ，。、：；！？）》」（《「…—¥%-'.,é"))
	rapid.Check(t, func(rt *rapid.T) {
		text := clean(string(rapid.SliceOfN(char, 0, 80).Draw(rt, "text")))
		room := rapid.Float64Range(40, 400).Draw(rt, "room")
		clauses := rapid.Bool().Draw(rt, "clauses")
		const size = 20
		lines := wrap(regular, text, size, room, clauses)
		without := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := without(strings.Join(lines, "")); got != without(text) {
			rt.Fatalf("%q became %q", text, lines)
		}
		rest := text
		for i, l := range lines {
			apart := strings.HasPrefix(rest, " ")
			rest = strings.TrimPrefix(strings.TrimLeft(rest, " "), l)
			r := []rune(l)
			if w := regular.width(l, size); w > room+1e-6 && len(r) > 1 {
				rt.Fatalf("%q is %.1f wide, the room is %.1f", l, w, room)
			}
			if i == 0 {
				continue
			}
			before := []rune(lines[i-1])
			a, b := before[len(before)-1], r[0]
			if strings.ContainsRune(noStart, b) || strings.ContainsRune(noEnd, a) || !apart && (word(a) && word(b) || a == b && strings.ContainsRune(joined, a)) {
				// Only if the line before could have ended nowhere else.
				joined := append(slices.Clone(before), r...)
				for at := 1; at < len(before); at++ {
					if mayBreak(joined, at) {
						rt.Fatalf("%q is followed by %q, and could have ended before %q", lines[i-1], l, string(before[at:]))
					}
				}
			}
		}
		if len(lines) > 1 {
			even := balanced(regular, text, size, room, lines)
			if len(even) > len(lines) || without(strings.Join(even, "")) != without(text) {
				rt.Fatalf("%q was made %q", lines, even)
			}
			for _, l := range even {
				if w := regular.width(l, size); w > room+1e-6 && len([]rune(l)) > 1 {
					rt.Fatalf("%q is %.1f wide, the room is %.1f", l, w, room)
				}
			}
		}
	})
}

func TestTooLongTextShrinksThenIsCut(t *testing.T) {
	t.Parallel()
	b := block{left: 0, right: 900, top: 0, bottom: 360, largest: 112, least: 56, lines: 3, centre: true}
	cut := false
	for n := 1; n < 100; n += 3 {
		b.text = []string{strings.Repeat("榕", n)}
		s := b.fit(bold)
		if s.size > 112 || s.size < 56 || s.count() > 3 || s.height() > 360 {
			t.Fatalf("%d characters: %d lines of %.0f", n, s.count(), s.size)
		}
		end := s.paras[0][s.count()-1]
		if strings.HasSuffix(end, "…") {
			cut = true
			if s.size != 56 || s.count() != 3 {
				t.Fatalf("%d characters are cut at size %.0f in %d lines", n, s.size, s.count())
			}
		} else if cut {
			t.Fatalf("%d characters are not cut, fewer are", n)
		}
		for _, l := range s.paras[0] {
			if bold.width(l, s.size) > 900 {
				t.Fatalf("%q is too wide", l)
			}
		}
	}
	if !cut {
		t.Error("nothing was cut")
	}
	// Paragraphs are left out from the end, and what was left out is shown.
	many := block{left: 0, right: 800, top: 0, bottom: 200, largest: 54, least: 34, lines: 10, text: []string{"第一条，", "第二条：", "第三条", "第四条", "第五条", "第六条"}}
	if s := many.fit(regular); s.count() != 3 || s.paras[2][0] != "第三条…" {
		t.Errorf("%q", s.paras)
	}
	for line, want := range map[string]string{"free for both": "free for both...", "免费，": "免费…", "价值 ¥": "价值…", "，，，": "…"} {
		if got := ellipsis(regular, line, 10, 1000); got != want {
			t.Errorf("%q is cut to %q, want %q", line, got, want)
		}
	}
	if got := ellipsis(regular, "宽宽宽", 10, 5); got != "…" {
		t.Errorf("with no room: %q", got)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", " \t\n ": "", "  带  朋友\r\n来 练　吧 ": "带 朋友 来 练 吧", "小林🎉邀请你👨‍👩‍👧‍👦": "小林邀请你", "a\u202eb\u200b\u0000c": "abc",
		"𠮷野家": "〓野家", "👍🏽好": "好", "❤️": "", "Ünïcödé": "Ünïcödé", "1️⃣ 第一": "1 第一", "\ufeffx": "x", "สวัสดี": "〓〓〓〓〓〓",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q is drawn as %q, want %q", text, got, want)
		}
	}
	if got := string(Missing("𠮷野家 🎉🎉 x ❤️")); got != "𠮷🎉❤" {
		t.Errorf("missing are %q", got)
	}
}

// Both fonts have every character of the list that they were made from, with an outline that
// can be read.
func TestFonts(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("fonts/characters.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := newPainter(1, 1)
	for _, f := range []*face{regular, bold} {
		for _, r := range string(list) {
			if r == '\n' {
				continue
			}
			g, ok := f.glyph(r)
			if !ok {
				t.Errorf("%q is missing", r)
				continue
			}
			segments, err := f.font.LoadGlyph(&p.glyphs, g.index, 64, nil)
			if err != nil || len(segments) == 0 && !unicode.IsSpace(r) && !invisible(r) {
				t.Errorf("%q has %d segments, %v", r, len(segments), err)
			}
			if wide(r) && r >= 0x4e00 && r <= 0x9fff && g.advance != 1 {
				t.Errorf("%q is %v wide", r, g.advance)
			}
		}
	}
	for _, r := range "榕树活动邀请喆堃龙龍国國々〇，。！？「」《》—…￥¥€①★ABCabc019éüß" {
		if _, ok := regular.glyph(r); !ok {
			t.Errorf("%q is missing", r)
		}
	}
}

func TestABrokenFontIsNoticed(t *testing.T) {
	t.Parallel()
	broken := []byte("no font")
	defer func() {
		if recover() == nil {
			t.Error("a broken font was read")
		}
	}()
	(&face{file: &broken}).read()
}
