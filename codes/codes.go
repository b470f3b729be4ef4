// Package codes makes and reads the codes that people type: of an invitation, of a coupon.
//
// A code is written with the 23 characters of [Alphabet]. The last one is a check
// character, so that a code of n characters holds n-1 random ones of log2(23) = 4.52 bits
// each, and a random code that is well formed is a live one with these odds:
//
//	length   codes of that length   bits   one guess hits, with 100,000 live codes
//	     8               3.4e9        31   1 in 34,000
//	    10               1.8e12       40   1 in 18 million
//	    12               9.5e14       49   1 in 9.5 billion
//	    16               2.7e20       67   1 in 2.7e15
//
// A code of an invitation is printed for everybody and only leads to an offer: [Length]
// characters and a limit of guesses (see package fraud) are enough. One that is worth money
// by itself should have 16.
//
// Two codes drawn at random may be equal: of a million of ten characters, a pair is to be
// expected in one case of four. Whoever keeps codes has a unique index and draws again.
package codes

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Alphabet is what codes are written with. Of characters that look alike in print or in a
// hurry one stays (2 Z, 5 S, 6 G, 8 B) or none (0 O, 1 I L), and 4 without A. There is no
// vowel and no Y, so that a code spells no word.
//
// There are 23, a prime number: see [Check].
const Alphabet = "23456789CDFHJKMNPQRTVWX"

const (
	// Length is how long a code is unless somebody has a reason.
	Length = 10
	// MinLength is the shortest that is made: 23 bits, of use only behind a limit of guesses.
	MinLength = 6
	// MaxLength is the longest for which the check character finds every error that it is
	// for: the weights 1 to 22 differ.
	MaxLength = 22

	maxTyped = 4 * 4 * MaxLength // four bytes a character, and as many separators again; more is no typing error
)

// What is wrong with a code that somebody typed. The errors of Normalize say where.
var (
	ErrLength    = errors.New("a code has 6 to 22 characters")
	ErrCharacter = errors.New("this character is in no code")
	ErrCheck     = errors.New("a character is wrong, or two have changed places")
)

var values = func() (v [128]int8) {
	for i := range v {
		v[i] = -1
	}
	for i := range len(Alphabet) {
		v[Alphabet[i]] = int8(i)
	}
	return v
}()

// mistaken are letters that are in no code and look like one that is. Reading them as such
// is safe, because the check character finds a wrong guess.
var mistaken = map[rune]byte{'Z': '2', 'S': '5', 'G': '6', 'B': '8', 'U': 'V'}

// New draws a code of length characters, the last of which is the check character. Whoever
// must not guess codes needs a random that he cannot guess: [crypto/rand.Reader].
func New(random io.Reader, length int) (string, error) {
	if length < MinLength || length > MaxLength {
		return "", fmt.Errorf("a code of %d characters: %w", length, ErrLength)
	}
	code := make([]byte, 0, length)
	// A byte below 253 = 11·23 gives every character with the same chance; the others
	// are drawn again.
	const fair = 256 - 256%len(Alphabet)
	var drawn [2 * MaxLength]byte
	for len(code) < length-1 {
		b := drawn[:length-1-len(code)]
		if _, err := io.ReadFull(random, b); err != nil {
			return "", fmt.Errorf("draw a code: %w", err)
		}
		for _, x := range b {
			if int(x) < fair {
				code = append(code, Alphabet[int(x)%len(Alphabet)])
			}
		}
	}
	c, err := Check(string(code))
	if err != nil {
		return "", err
	}
	return string(append(code, c)), nil
}

// Check gives the character that follows body, which is a code without its last character.
//
// It is that of ISBN-10 (ISO 2108:2005, annex A) over 23 instead of 11: with the places
// counted from the right, beginning with 1 for the check character, the sum of place times
// value is a multiple of 23. Because 23 is prime and all places are below it, the sum
// changes with any single character, and with any two different ones that change
// places, neighbours or not. With up to 11 characters it changes also when a pair is mistaken
// for another (44 for 77). And unlike that of ISBN-10, the check character is always
// one of the alphabet.
func Check(body string) (byte, error) {
	if len(body) < MinLength-1 || len(body) > MaxLength-1 {
		return 0, fmt.Errorf("a code of %d characters: %w", len(body)+1, ErrLength)
	}
	sum := 0
	for i := range len(body) {
		v := value(body[i])
		if v < 0 {
			return 0, fmt.Errorf("%q at place %d: %w", body[i], i+1, ErrCharacter)
		}
		sum += (len(body) + 1 - i) * v
	}
	n := len(Alphabet)
	return Alphabet[(n-sum%n)%n], nil
}

// Normalize reads what a person typed or pasted, and gives the code as it is kept: upper
// case, without anything between the characters. It takes lower case, spaces, hyphens and
// dashes, and the full-width forms of Chinese keyboards (ＡＢＣ１２３); it reads letters that no
// code has as those they look like (Z as 2, S as 5, G as 6, B as 8, U as V). The error says
// which character is wrong, in words for whoever typed it, and is one of ErrLength,
// ErrCharacter and ErrCheck.
//
// A code that Normalize accepts is well formed. Whether it was given out only its keeper
// knows.
func Normalize(s string) (string, error) {
	if len(s) > maxTyped {
		return "", fmt.Errorf("%d bytes: %w", len(s), ErrLength)
	}
	code := make([]byte, 0, MaxLength)
	for i, r := range s {
		if between(r) {
			continue
		}
		c, ok := read(r)
		if !ok {
			if r == utf8.RuneError {
				return "", fmt.Errorf("byte %d is no text: %w", i+1, ErrCharacter)
			}
			return "", fmt.Errorf("%q at place %d: %w%s", r, len(code)+1, ErrCharacter, hint(r))
		}
		if len(code) == MaxLength {
			return "", fmt.Errorf("more than %d characters: %w", MaxLength, ErrLength)
		}
		code = append(code, c)
	}
	if len(code) < MinLength {
		return "", fmt.Errorf("%d characters: %w", len(code), ErrLength)
	}
	last := len(code) - 1
	c, err := Check(string(code[:last]))
	if err != nil {
		return "", err
	}
	if c != code[last] {
		return "", fmt.Errorf("%s is no code: %w", Grouped(string(code)), ErrCheck)
	}
	return string(code), nil
}

// Valid reports whether code is a code as New makes it and as it is kept.
func Valid(code string) bool {
	n, err := Normalize(code)
	return err == nil && n == code
}

// Grouped is a code as people read and type it best: in groups of three to five
// characters with hyphens between them. Normalize reads it.
func Grouped(code string) string {
	groups := (len(code) + 4) / 5
	var b strings.Builder
	for i := range groups {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(code[i*len(code)/groups : (i+1)*len(code)/groups])
	}
	return b.String()
}

func value(c byte) int {
	if int(c) >= len(values) {
		return -1
	}
	return int(values[c])
}

// read gives the character of the alphabet that r stands for.
func read(r rune) (byte, bool) {
	if r >= '！' && r <= '～' { // full-width forms of ! to ~
		r -= '！' - '!'
	}
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	if c, ok := mistaken[r]; ok {
		return c, true
	}
	if r >= 0 && r < 128 && values[r] >= 0 {
		return byte(r), true
	}
	return 0, false
}

// between reports whether r may stand between the characters of a code and means nothing:
// spaces, hyphens and dashes of all kinds, and what is invisible and comes along with a
// pasted text.
func between(r rune) bool {
	switch r {
	case '−', '_', '＿', '·', '・':
		return true
	case utf8.RuneError:
		return false
	}
	return unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf)
}

func hint(r rune) string {
	switch r {
	case '0', 'O', 'o', '０', 'Ｏ', 'ｏ', '1', 'I', 'i', 'L', 'l', '１', 'Ｉ', 'ｉ', 'Ｌ', 'ｌ':
		return "; codes have no 0, O, 1, I or L, because they look alike"
	case 'A', 'a', 'Ａ', 'ａ':
		return "; it may be a 4"
	}
	return ""
}
