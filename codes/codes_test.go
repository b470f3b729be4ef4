package codes_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/codes"
)

func made(t testing.TB, length int) string {
	t.Helper()
	code, err := codes.New(rand.Reader, length)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestNew(t *testing.T) {
	t.Parallel()
	for length := codes.MinLength; length <= codes.MaxLength; length++ {
		code := made(t, length)
		if len(code) != length || strings.Trim(code, codes.Alphabet) != "" || !codes.Valid(code) {
			t.Errorf("%q of length %d", code, length)
		}
	}
	for _, length := range []int{-1, 0, codes.MinLength - 1, codes.MaxLength + 1, math.MaxInt} {
		if code, err := codes.New(rand.Reader, length); !errors.Is(err, codes.ErrLength) || code != "" {
			t.Errorf("length %d gives %q, %v", length, code, err)
		}
	}
	broken := errors.New("no entropy")
	if code, err := codes.New(iotest.ErrReader(broken), 10); !errors.Is(err, broken) || code != "" {
		t.Errorf("with a broken source: %q, %v", code, err)
	}
	// What the source gives decides, and bytes that would favour some characters are left out.
	if code, err := codes.New(bytes.NewReader([]byte{253, 0, 254, 23, 255, 22, 45, 230, 252, 7}), 8); err != nil || code[:7] != "22XX2X9" {
		t.Errorf("%q, %v", code, err)
	}
	if _, err := codes.New(bytes.NewReader(make([]byte, 8)), 10); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a source that ends: %v", err)
	}
}

// The alphabet is what the package says it is.
func TestAlphabet(t *testing.T) {
	t.Parallel()
	if len(codes.Alphabet) != 23 || strings.ContainsAny(codes.Alphabet, "AEIOUY01LZSGB") {
		t.Errorf("the alphabet is %s", codes.Alphabet)
	}
	for i := range len(codes.Alphabet) {
		if strings.Count(codes.Alphabet, codes.Alphabet[i:i+1]) != 1 {
			t.Errorf("%c is there twice", codes.Alphabet[i])
		}
	}
}

// Every character has the same chance at every place, the check character too. The bound is
// that of chi-squared with 22 degrees of freedom for one in a million; the source is fixed,
// so that the test says the same each time.
func TestCharactersAreEven(t *testing.T) {
	t.Parallel()
	const draws, length = 23_000, 10
	source := &counter{}
	var counts [length][128]int
	for range draws {
		code, err := codes.New(source, length)
		if err != nil {
			t.Fatal(err)
		}
		for place := range length {
			counts[place][code[place]]++
		}
	}
	for place := range counts {
		chi := 0.0
		for i := range len(codes.Alphabet) {
			d := float64(counts[place][codes.Alphabet[i]]) - draws/23
			chi += d * d / (draws / 23)
		}
		if chi > 74 {
			t.Errorf("place %d: chi-squared %.0f", place+1, chi)
		}
	}
}

// counter is a source of bytes that are spread evenly: a hash of their number.
type counter struct{ n uint64 }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		c.n++
		x := c.n * 0x9e3779b97f4a7c15 // SplitMix64
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		b[i] = byte(x ^ x>>31)
	}
	return len(b), nil
}

// The check character finds an error by how much the error changes the weighted sum, which
// does not depend on the rest of the code. So it is enough to try every pair of characters at
// every place of a code of each length, and this is exhaustive.
func TestEverySubstitutionAndTranspositionIsFound(t *testing.T) {
	t.Parallel()
	for length := codes.MinLength; length <= codes.MaxLength; length += step() {
		tried := 0
		try := func(wrong []byte, what string) {
			tried++
			if _, err := codes.Normalize(string(wrong)); !errors.Is(err, codes.ErrCheck) {
				t.Fatalf("%s in a code of %d: %s is accepted (%v)", what, length, wrong, err)
			}
		}
		for place := range length {
			for a := range len(codes.Alphabet) {
				// a code with character a at this place, whatever place it is
				right := withCharacter(t, length, place, codes.Alphabet[a])
				for b := range len(codes.Alphabet) {
					if a == b {
						continue
					}
					wrong := []byte(right)
					wrong[place] = codes.Alphabet[b]
					try(wrong, "a substitution")
				}
				for other := range length {
					if right[other] == right[place] {
						continue
					}
					wrong := []byte(right)
					wrong[place], wrong[other] = right[other], right[place]
					try(wrong, "a transposition")
				}
			}
		}
		if tried < length*23*22 {
			t.Errorf("only %d errors were tried", tried)
		}
	}
}

// Pairs of neighbours, all of them, in every length: of all 23·23 pairs at each place.
func TestEveryAdjacentPairIsFound(t *testing.T) {
	t.Parallel()
	for length := codes.MinLength; length <= codes.MaxLength; length += step() {
		for place := range length - 1 {
			for a := range len(codes.Alphabet) {
				for b := range len(codes.Alphabet) {
					if a == b {
						continue
					}
					right := withPair(t, length, place, codes.Alphabet[a], codes.Alphabet[b])
					wrong := []byte(right)
					wrong[place], wrong[place+1] = right[place+1], right[place]
					if codes.Valid(string(wrong)) {
						t.Fatalf("%s is as good as %s", wrong, right)
					}
					if length > 11 || right[place] != codes.Alphabet[a] {
						continue
					}
					// aa for bb
					twin := []byte(withPair(t, length, place, codes.Alphabet[a], codes.Alphabet[a]))
					twin[place], twin[place+1] = codes.Alphabet[b], codes.Alphabet[b]
					if codes.Valid(string(twin)) {
						t.Fatalf("%s has a pair that was mistaken and is accepted", twin)
					}
				}
			}
		}
	}
}

// step is how many lengths to go on: under the race detector not every length is tried.
func step() int {
	if testing.Short() {
		return 8
	}
	return 1
}

// withCharacter is a code that has c at a place, and characters that differ elsewhere.
func withCharacter(t testing.TB, length, place int, c byte) string {
	t.Helper()
	return solve(t, length, func(code []byte) bool { return code[place] == c }, func(code []byte) {
		if place < length-1 {
			code[place] = c
		}
	}, place)
}

func withPair(t testing.TB, length, place int, a, b byte) string {
	t.Helper()
	return solve(t, length, func(code []byte) bool { return code[place] == a && code[place+1] == b }, func(code []byte) {
		code[place] = a
		if place+1 < length-1 {
			code[place+1] = b
		}
	}, place, place+1)
}

// solve finds a code with the characters that are wanted; where the last one is the check
// character, another character is turned until it comes out.
func solve(t testing.TB, length int, wanted func([]byte) bool, set func([]byte), places ...int) string {
	t.Helper()
	body := make([]byte, length-1)
	for i := range body {
		body[i] = codes.Alphabet[(i*7+3)%23]
	}
	free := 0
	for slices.Contains(places, free) {
		free++
	}
	for i := range len(codes.Alphabet) {
		whole := append(append([]byte{}, body...), 0)
		whole[free] = codes.Alphabet[i]
		set(whole)
		c, err := codes.Check(string(whole[:length-1]))
		if err != nil {
			t.Fatal(err)
		}
		whole[length-1] = c
		if wanted(whole) {
			if !codes.Valid(string(whole)) {
				t.Fatalf("%s should be valid", whole)
			}
			return string(whole)
		}
	}
	t.Fatalf("no code of length %d with places %v as wanted", length, places)
	return ""
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	const body = "7KQM4X2HP"
	c, err := codes.Check(body)
	if err != nil {
		t.Fatal(err)
	}
	good := body + string(c)
	for _, typed := range []string{
		good, strings.ToLower(good), " " + good + "\n", codes.Grouped(good), strings.Join(strings.Split(good, ""), " "),
		"７ＫＱＭ４Ｘ２ＨＰ" + string(c), "７ｋｑｍ－４ｘ２ｈ　ｐ" + strings.ToLower(string(c)), "7KQM–4X2H—P" + string(c), "\ufeff7KQM\u200b4X2H\u00a0P" + string(c),
		"7KQM4XZHP" + string(c), // Z for 2
	} {
		if got, err := codes.Normalize(typed); err != nil || got != good {
			t.Errorf("%q is read as %q, %v; want %s", typed, got, err, good)
		}
	}
	for _, c := range []struct {
		typed string
		want  error
		says  string
	}{
		{"", codes.ErrLength, "0 characters"},
		{"   ", codes.ErrLength, "0 characters"},
		{good[:5], codes.ErrLength, "5 characters"},
		{strings.Repeat("2", 23), codes.ErrLength, "more than 22"},
		{strings.Repeat(" ", 1000), codes.ErrLength, "1000 bytes"},
		{"7KOM4X2HPV", codes.ErrCharacter, "'O' at place 3"},
		{"7KOM4X2HPV", codes.ErrCharacter, "look alike"},
		{"7K0M4X2HPV", codes.ErrCharacter, "look alike"},
		{"7KQMAX2HPV", codes.ErrCharacter, "may be a 4"},
		{"7K榕M4X2HPV", codes.ErrCharacter, "'榕' at place 3"},
		{"7K\xffM4X2HPV", codes.ErrCharacter, "byte 3"},
		{"7K;M4X2HPV", codes.ErrCharacter, "';'"},
		{"7K\x00M4X2HPV", codes.ErrCharacter, `'\x00'`},
		{"Ｋ7" + good[2:], codes.ErrCheck, "K7QM4-X2HP"},
	} {
		got, err := codes.Normalize(c.typed)
		if !errors.Is(err, c.want) || got != "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %q, %v; want %v, saying %s", c.typed, got, err, c.want, c.says)
		}
	}
}

func TestGrouped(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"": "", "234567": "234-567", "2345678": "234-5678", "23456789": "2345-6789", "23456789CD": "23456-789CD", "23456789CDF": "234-5678-9CDF", "23456789CDFH": "2345-6789-CDFH",
	} {
		if got := codes.Grouped(code); got != want {
			t.Errorf("%s is grouped %s, want %s", code, got, want)
		}
	}
}

// However a person types a code, it is the same code; and what is read is a code.
func TestTypingChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 200, 200).Draw(rt, "random")
		code, err := codes.New(bytes.NewReader(seed), rapid.IntRange(codes.MinLength, codes.MaxLength).Draw(rt, "length"))
		if err != nil {
			rt.Skip("too few fair bytes")
		}
		var typed strings.Builder
		for _, r := range code {
			typed.WriteString(rapid.SampledFrom([]string{"", "", " ", "-", "　", "－", "—", "\u200b"}).Draw(rt, "between"))
			if rapid.Bool().Draw(rt, "lower") {
				r = []rune(strings.ToLower(string(r)))[0]
			}
			if rapid.Bool().Draw(rt, "full width") {
				r += '！' - '!'
			}
			typed.WriteRune(r)
		}
		got, err := codes.Normalize(typed.String())
		if err != nil || got != code {
			rt.Fatalf("%q is read as %q, %v; want %s", typed.String(), got, err, code)
		}
	})
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"", "7KQM4X2HPV", "７ｋｑｍ－４", "7KQM-4X2H", "\xff\xfe", strings.Repeat("2", 22), "2222222222"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, err := codes.Normalize(s)
		if err != nil {
			if code != "" || !errors.Is(err, codes.ErrLength) && !errors.Is(err, codes.ErrCharacter) && !errors.Is(err, codes.ErrCheck) {
				t.Fatalf("%q: %q, %v", s, code, err)
			}
			return
		}
		if !codes.Valid(code) || len(code) < codes.MinLength || len(code) > codes.MaxLength || strings.Trim(code, codes.Alphabet) != "" {
			t.Fatalf("%q is read as %q", s, code)
		}
		if again, err := codes.Normalize(codes.Grouped(code)); err != nil || again != code {
			t.Fatalf("%s grouped and read again is %q, %v", code, again, err)
		}
	})
}
