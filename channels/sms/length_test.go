package sms_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/channels/sms"
)

func TestParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text                string
		mainland, elsewhere int
	}{
		{"", 1, 1},
		{strings.Repeat("月", 70), 1, 1},
		{strings.Repeat("月", 71), 2, 2},
		{strings.Repeat("月", 134), 2, 2},
		{strings.Repeat("月", 135), 3, 3},
		{strings.Repeat("a", 160), 3, 1}, // in mainland China letters count as characters do
		{strings.Repeat("a", 161), 3, 2},
		{strings.Repeat("a", 306), 5, 2},
		{strings.Repeat("a", 307), 5, 3},
		{strings.Repeat("€", 80), 2, 1}, // two septets
		{strings.Repeat("€", 81), 2, 2},
		{strings.Repeat("a", 159) + "€", 3, 2},
		{strings.Repeat("a", 152) + strings.Repeat("€", 77), 4, 3}, // the first of them opens the second part
		{strings.Repeat("a", 69) + "月", 1, 1},
		{strings.Repeat("a", 70) + "月", 2, 2},
		{strings.Repeat("😀", 35), 1, 1}, // two units
		{strings.Repeat("😀", 36), 2, 2},
		{strings.Repeat("😀", 67), 3, 3}, // 33 to a part: none is torn
	} {
		if got := sms.Parts(c.text, true); got != c.mainland {
			t.Errorf("%.20q…: %d parts in mainland China, want %d", c.text, got, c.mainland)
		}
		if got := sms.Parts(c.text, false); got != c.elsewhere {
			t.Errorf("%.20q…: %d parts elsewhere, want %d", c.text, got, c.elsewhere)
		}
	}
}

// A longer text never has fewer parts, each has room for what is in it, and none is wasted.
func TestPartsGrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("a€月😀 ")), 0, 500, -1).Draw(t, "text")
		more := rapid.StringOfN(rapid.SampledFrom([]rune("a€月😀 ")), 0, 20, -1).Draw(t, "more")
		mainland := rapid.Bool().Draw(t, "mainland")
		parts := sms.Parts(text, mainland)
		units := 0
		for _, r := range text {
			units++
			if r > 0xffff {
				units++
			}
		}
		if mainland && (parts*70 < units || units > 70 && (parts-1)*66 >= units) {
			t.Fatalf("%d units in %d parts", units, parts)
		}
		if sms.Parts(text+more, mainland) < parts {
			t.Fatalf("%q has fewer parts than %q", text+more, text)
		}
	})
}

func TestCharacters(t *testing.T) {
	t.Parallel()
	if got := sms.Characters("月卡 9¥😀"); got != 6 {
		t.Errorf("%d characters", got)
	}
}
