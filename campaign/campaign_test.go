package campaign_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
)

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"9.9": 990, "9.90": 990, "199": 19900, "0.01": 1, "0": 0, "-5.05": -505, "92233720368547757.99": 9223372036854775799,
	} {
		got, err := campaign.ParseMoney(text, "CNY")
		if err != nil || got.Minor != want {
			t.Errorf("%s: %d %v, want %d", text, got.Minor, err, want)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "1.234", "1e3", "+1", "1,5", "９", "NaN", "1 ", "92233720368547759", "--1"} {
		if got, err := campaign.ParseMoney(text, "CNY"); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestMoneyRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := campaign.Money{Minor: rapid.Int64Range(-9223372036854775799, 9223372036854775799).Draw(rt, "minor"), Currency: "CNY"}
		data, err := json.Marshal(m)
		if err != nil {
			rt.Fatal(err)
		}
		var back campaign.Money
		if err := json.Unmarshal(data, &back); err != nil || back != m {
			rt.Fatalf("%s became %v, %v", data, back, err)
		}
	})
}

func TestDurations(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "15m": 15 * time.Minute, "48h": 48 * time.Hour, "7d": 7 * day, "2w": 14 * day, "1d12h": 36 * time.Hour,
	} {
		if got, err := campaign.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s %v", text, got, err)
		}
	}
	for _, text := range []string{"", "7", "d", "7 d", "1.5h", "-1h", "12h1d", "1h1h", "99999w", "9999999999s", "5y", "七天"} {
		if got, err := campaign.ParseDuration(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(3000*day/time.Second)).Draw(rt, "seconds")) * time.Second
		back, err := campaign.ParseDuration(campaign.FormatDuration(d))
		if err != nil || back != d {
			rt.Fatalf("%s is written %s and read as %s, %v", d, campaign.FormatDuration(d), back, err)
		}
	})
}

// Every kind of step survives JSON, has a name, and stands in the lists; one that a
// build does not know is refused.
func TestStepsRoundTrip(t *testing.T) {
	t.Parallel()
	inner := campaign.Steps{&campaign.End{StepCommon: campaign.StepCommon{ID: "1"}, Outcome: "x"}}
	steps := campaign.Steps{
		&campaign.Send{Message: "m", Via: []string{"a", "b"}},
		&campaign.Wait{For: time.Hour},
		&campaign.Await{Events: []string{"a", "b"}, When: "true", For: time.Hour, Grace: time.Minute, Otherwise: inner},
		&campaign.MakeOffer{Offer: "o", Announce: "m", Remind: []campaign.Reminder{{Before: time.Hour, Send: "m"}}, Taken: inner, Lapsed: inner},
		&campaign.Choose{Cases: []campaign.Case{{When: "true", Steps: inner}}, Otherwise: inner},
		&campaign.Split{Name: "s", Arms: []campaign.Arm{{Name: "A", Share: 5000, Steps: inner}, {Name: "B", Share: 5000}}},
		&campaign.Repeat{Times: 3, Every: time.Hour, Until: "true", Steps: inner},
		&campaign.Tag{Tags: []string{"t"}},
		&campaign.Untag{Tags: []string{"t"}},
		&campaign.Set{Assign: []campaign.Assign{{Attribute: "a", Value: "1"}}},
		&campaign.Grant{Reward: "r"},
		&campaign.AskQuestion{
			Message: "m", Again: "n", Via: []string{"a"}, For: time.Hour, Grace: time.Minute, Repeat: 1, Otherwise: inner,
			Answers: []campaign.AnswerForm{
				{Name: "a", Type: campaign.TypeString, OneOf: []campaign.Choice{{Value: "x", Words: []string{"y"}}}}, {Name: "b", Type: campaign.TypeInt, Min: new(float64)},
			},
		},
		&campaign.OpenReview{By: "r", About: "a", For: time.Hour, Otherwise: campaign.Reject, Approved: inner, Rejected: inner},
		&campaign.FormTeam{
			Size: 3, Within: time.Hour, Join: "start.team", Announce: "m", Remind: []campaign.Reminder{{Before: time.Minute, Send: "m"}},
			Via: []string{"a"}, Formed: inner, Failed: inner,
		},
		&campaign.CallService{
			URL: "https://crm.example.com/levels", Body: "{}", SaveAs: "crm", For: time.Hour, Timeout: time.Second, Otherwise: inner,
			Returns: []campaign.CallField{{Name: "a", Type: campaign.TypeString, OneOf: []string{"x"}}, {Name: "b", Type: campaign.TypeMoney, Optional: true}},
		},
		&campaign.Goto{Target: "l"},
		&campaign.End{StepCommon: campaign.StepCommon{ID: "9", Label: "l", Line: 7}, Outcome: "o"},
	}
	kinds := campaign.StepKinds()
	if len(steps) != len(kinds) {
		t.Fatalf("%d steps here, %d kinds: a kind is not tested", len(steps), len(kinds))
	}
	for i, s := range steps {
		if s.Kind() != kinds[i] {
			t.Errorf("step %d is a %s, want %s", i, s.Kind(), kinds[i])
		}
		if name := campaign.StepName(s); !strings.HasPrefix(name, string(s.Kind())) {
			t.Errorf("a %s is named %q", s.Kind(), name)
		}
	}
	data, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	var back campaign.Steps
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(steps, back) {
		t.Errorf("read back as %#v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`[{"kind":"dance"}]`), &back); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("an unknown kind: %v", err)
	}
}

// Every trace kind and every reason has words in both languages.
func TestTraceWords(t *testing.T) {
	t.Parallel()
	for _, kind := range campaign.TraceKinds() {
		line := campaign.TraceLine{Kind: kind, Params: map[string]string{
			"message": "hi", "reason": campaign.ReasonCap, "offer": "card", "order": "o-1", "event": "e-1", "until": "12-03 20:15",
			"channel": "console", "what": "it", "price": "¥1.00", "paid": "¥0.50", "points": "10", "reward": "gift", "type": "ping",
			"where": "exit", "detail": "why", "name": "send hi", "tags": "vip", "attribute": "city", "case": "true", "label": "again",
			"outcome": "done", "value": "¥1.00", "by": "ping", "split": "s", "arm": "A", "round": "2", "times": "3",
			"role": "coach", "answer": "goal", "call": "crm", "backup": "owner", "decided": "approved", "why": "good",
			"from_version": "1", "to_version": "2", "from": "1", "to": "2", "team": "23CD", "size": "3", "joined": "2", "rule": "speak",
			"success": "3",
		}}
		for _, lang := range []campaign.Lang{campaign.English, campaign.Chinese} {
			words := line.Words(lang)
			if words == "" || strings.Contains(words, "map[") || strings.Contains(words, string(campaign.ReasonCap)+" ") || strings.Contains(words, "  ") {
				t.Errorf("%s in %s: %q", kind, lang, words)
			}
		}
		if line.Words(campaign.English) == line.Words(campaign.Chinese) {
			t.Errorf("%s has the same words in both languages", kind)
		}
	}
	unknown := campaign.TraceLine{Kind: "future", Params: map[string]string{"a": "b"}}
	if !strings.Contains(unknown.Words(campaign.English), "future") {
		t.Error("a kind of a later build is not told")
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	shows := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	c := campaign.Clock{Factor: 7200, Real: at, Start: shows}
	if got := c.At(at.Add(12 * time.Second)); !got.Equal(shows.Add(24 * time.Hour)) {
		t.Errorf("after 12 s it shows %s", got)
	}
	if got := (campaign.Clock{Factor: 1}).At(at.Add(1500)); !got.Equal(at.Add(time.Microsecond)) {
		t.Errorf("a real clock shows %s", got)
	}
	// Whoever sleeps for the real span never wakes before the moment.
	rapid.Check(t, func(rt *rapid.T) {
		c := campaign.Clock{Factor: rapid.Int64Range(1, campaign.MaxClockFactor).Draw(rt, "factor"), Real: at, Start: shows}
		now := at.Add(time.Duration(rapid.Int64Range(0, int64(1000*time.Hour/time.Microsecond)).Draw(rt, "now")) * time.Microsecond)
		d := time.Duration(rapid.Int64Range(1, int64(10000*time.Hour/time.Microsecond)).Draw(rt, "span")) * time.Microsecond
		due := c.At(now).Add(d)
		if woken := c.At(now.Add(c.RealSpan(d) + time.Microsecond)); woken.Before(due) {
			rt.Fatalf("woken at %s, %s before %s", woken, due.Sub(woken), due)
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	id := campaign.JourneyID{Campaign: "fitness-trial", Journey: "trial-to-card", Member: "m-1024", Entry: 1}
	if got := id.WorkflowID(); got != "journey/fitness-trial/trial-to-card/m-1024/1" {
		t.Errorf("workflow id %s", got)
	}
	if got := id.EffectKey(3, "2.taken.1", 7, "announce"); got != "fitness-trial/v3/trial-to-card/m-1024/1/2.taken.1/7/announce" {
		t.Errorf("effect key %s", got)
	}
	seen := map[string]string{}
	for _, member := range []string{"a/b", "a%2Fb", "张三", strings.Repeat("张", 42), strings.Repeat("张", 41) + "三", strings.Repeat("x", 128)} {
		id.Member = member
		for _, s := range []string{id.WorkflowID(), id.EffectKey(1, "1", 1, "")} {
			if other, ok := seen[s]; ok {
				t.Errorf("%q and %q share %s", member, other, s)
			}
			seen[s] = member
			if len(s) > 220 {
				t.Errorf("%d characters: %s", len(s), s)
			}
			for _, r := range s {
				if r > 126 || r < 33 {
					t.Errorf("%q in %s", r, s)
				}
			}
		}
	}
	if a, b := campaign.OfferID("k1"), campaign.OfferID("k2"); a == b || !strings.HasPrefix(a, "of_") || len(a) != 23 {
		t.Errorf("offer ids %s %s", a, b)
	}
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	inner := campaign.Errorf(campaign.CodeNotFound, "no %s", "such thing")
	outer := campaign.Errorf(campaign.CodeUnavailable, "while reading: %w", inner)
	if campaign.CodeOf(outer) != campaign.CodeUnavailable || campaign.CodeOf(nil) != campaign.CodeInternal {
		t.Error("codes")
	}
	if outer.Error() != "while reading: no such thing" {
		t.Error(outer)
	}
}
