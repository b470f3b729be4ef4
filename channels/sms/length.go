package sms

import (
	"strings"
	"unicode/utf8"
)

// How much one part of a message holds. A message of several parts has a header in each,
// by which phones put them together (3GPP TS 23.040, 9.2.3.24.1): six bytes of 140.
const (
	gsmAlone, gsmPart = 160, 153 // septets of the alphabet of GSM (3GPP TS 23.038)
	ucsAlone, ucsPart = 70, 67   // units of UCS-2; what lies above U+FFFF takes two
)

// Those of GSM's alphabet that take one septet, and those that take two.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€\f"
)

// Parts counts the parts in which a text travels, each of which is paid for. To a number
// in mainland China every character counts alike and a part holds 70, or 67 of several; to
// others a text of GSM's alphabet alone has 160 and 153.
func Parts(text string, mainland bool) int {
	alone, part, size := ucsAlone, ucsPart, ucsSize
	if !mainland && inGSM(text) {
		alone, part, size = gsmAlone, gsmPart, gsmSize
	}
	total := 0
	for _, r := range text {
		total += size(r)
	}
	if total <= alone {
		return 1
	}
	// A character is never torn: one of two units that has no room opens the next part.
	parts, room := 1, part
	for _, r := range text {
		n := size(r)
		if n > room {
			parts, room = parts+1, part
		}
		room -= n
	}
	return parts
}

// Characters counts a text as the providers limit it: each character is one, in any script.
func Characters(text string) int { return utf8.RuneCountInString(text) }

func inGSM(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return gsmSize(r) == 0 })
}

func gsmSize(r rune) int {
	switch {
	case strings.ContainsRune(gsmBasic, r):
		return 1
	case strings.ContainsRune(gsmExtended, r):
		return 2
	}
	return 0
}

func ucsSize(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
