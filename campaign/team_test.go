package campaign_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

// A code is read back however people type it, and has none of the letters that look alike.
func TestTeamCode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "seed")
		code := campaign.TeamCode(seed)
		if len(code) != 10 || strings.ContainsAny(code, "01OILZSBAEU") || code != campaign.TeamCode(seed) {
			rt.Fatalf("code %q", code)
		}
		wide := strings.Map(func(r rune) rune { return r - '!' + '！' }, code[5:])
		for _, typed := range []string{code, strings.ToLower(code), " " + code[:5] + "-" + code[5:] + "\n", code[:3] + "　" + code[3:], code[:5] + wide} {
			if back, ok := campaign.ReadTeamCode(typed); !ok || back != code {
				rt.Fatalf("%q is read as %q, %v", typed, back, ok)
			}
		}
	})
	for _, typed := range []string{"", "CDFG", "CDFGHJKMN0", "CDFGHJKMNPQ", strings.Repeat(" ", 200) + "CDFGHJKMNP", "队伍码队伍码队伍码队", "CDFGHJKMÑ"} {
		if code, ok := campaign.ReadTeamCode(typed); ok {
			t.Errorf("%q is read as %q", typed, code)
		}
	}
}

// Codes of different seeds differ, and every letter stands in every place.
func TestTeamCodesAreSpread(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	letters := make([]map[byte]bool, 10)
	for i := range 20_000 {
		code := campaign.TeamCode(binary.BigEndian.AppendUint64(nil, uint64(i)))
		if seen[code] {
			t.Fatalf("%s comes twice", code)
		}
		seen[code] = true
		for k := range letters {
			if letters[k] == nil {
				letters[k] = map[byte]bool{}
			}
			letters[k][code[k]] = true
		}
	}
	for k, of := range letters {
		if len(of) != 25 {
			t.Errorf("%d letters stand in place %d", len(of), k)
		}
	}
}

func TestFormationOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ, properties, team string
	}{
		{campaign.EventTeamFormed, `{"team":"X"}`, "X"},
		{campaign.EventTeamFormed, `{}`, ""},
		{campaign.EventTeamFormed, `[]`, ""},
		{campaign.WordTeamFormed, `{"team":"X"}`, ""},
	} {
		f, ok := campaign.FormationOf(&campaign.Event{Type: c.typ, Properties: json.RawMessage(c.properties)})
		if f.Team != c.team || ok != (c.team != "") {
			t.Errorf("%+v: %+v, %v", c, f, ok)
		}
	}
}
