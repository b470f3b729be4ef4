package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/rules"
	"github.com/banyanhq/banyan/store"
)

// audienceNow does not lie on one of PostgreSQL's microseconds, as a demo clock may not.
var audienceNow = time.Date(2026, 12, 3, 4, 5, 6, 789_012_345, time.UTC)

func audienceCampaign() *campaign.Definition {
	return &campaign.Definition{
		Language: 1, Name: "audience", Title: "Audience", Timezone: "Asia/Shanghai", Currency: "CNY",
		Member: []campaign.Property{
			{Name: "city", Type: campaign.TypeString},
			{Name: "source", Type: campaign.TypeString},
			{Name: "visits", Type: campaign.TypeInt},
			{Name: "score", Type: campaign.TypeNumber},
			{Name: "vip", Type: campaign.TypeBool},
			{Name: "birthday", Type: campaign.TypeTime},
			{Name: "spent", Type: campaign.TypeMoney},
		},
		Events: []campaign.EventType{{Name: "lesson.attended", Properties: []campaign.Property{{Name: "minutes", Type: campaign.TypeInt}}}},
		Segments: []campaign.Segment{
			{Name: "new", When: `now - member.joined_at < duration("168h")`},
			{Name: "keen", When: `count("lesson.attended", duration("30d")) >= 2 && !segment("new")`},
			{Name: "odd", When: `10 / member.points > 1 || member.vip`}, // no value for those without points
			{Name: "named", When: `member.city.matches("^[a-z]") || segment("keen")`},
		},
	}
}

// jsonValues are attributes as callers, spreadsheets and other campaigns may have left
// them: of any type, at the edges of what a type holds, in any spelling.
var jsonValues = []string{
	`""`, `"c1"`, `"C1"`, `"c10"`, `"北京"`, `"é"`, `"e\u0301"`, `"a\"b\\"`, `"3"`, `"true"`, `"null"`, `"😀"`, `"2026-01-01T00:00:00Z"`,
	`0`, `-0`, `1`, `3`, `3.0`, `2.5`, `-1`, `7`, `1e2`, `0.1`, `0.10000000000000000001`, `0.30000000000000004`, `0.3`,
	`3.00000000000000000001`, `2.99999999999999999999`, `9007199254740991`, `9007199254740992`, `9007199254740993`, `9007199254740993.0`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `1e308`, `1.8e308`, `1e400`, `5e-324`, `1e-323`, `1e-400`, `-1e-400`,
	`true`, `false`, `null`, `[]`, `[3]`, `["c1"]`, `{}`, `{"amount":"9.90","currency":"CNY"}`,
}

var audienceTags = []string{"vip", "Vip", "家长", "a b", ""}

// crowd makes members of every kind, and their events.
func crowd(t *testing.T, s *store.Store, size int) map[string][]time.Time {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a crowd that is the same every time
	happened := make(map[string][]time.Time)
	joined := []time.Time{
		audienceNow.Truncate(time.Microsecond), audienceNow.Truncate(time.Microsecond).Add(time.Microsecond),
		audienceNow.Add(-168 * time.Hour).Truncate(time.Microsecond), audienceNow.Add(-168 * time.Hour).Truncate(time.Microsecond).Add(time.Microsecond),
		time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), audienceNow.Add(400 * 24 * time.Hour),
	}
	var events []campaign.Event
	var members pgx.Batch
	for i := range size {
		id := fmt.Sprintf("m-%03d", i)
		attributes := map[string]json.RawMessage{}
		for _, name := range []string{"city", "source", "level", "visits", "score", "vip", "birthday", "spent"} {
			if r.IntN(5) > 0 {
				attributes[name] = json.RawMessage(jsonValues[r.IntN(len(jsonValues))])
			}
		}
		object, err := json.Marshal(attributes)
		if err != nil {
			t.Fatal(err)
		}
		tags := []string{}
		for _, tag := range audienceTags {
			if r.IntN(3) == 0 {
				tags = append(tags, tag)
			}
		}
		members.Queue("insert into members (id, attributes, tags, joined_at, source, inviter, points) values ($1, $2::jsonb, $3, $4, $5, $6, $7)",
			id, string(object), tags, joined[r.IntN(len(joined))], []string{"", "c1", "poster"}[r.IntN(3)], []string{"", "m-001", "北京"}[r.IntN(3)],
			[]int64{0, 1, 3, 5, -2, 1 << 53, 1<<53 + 1, 1<<63 - 1}[r.IntN(8)])
		for n := range r.IntN(5) {
			at := []time.Time{
				audienceNow.Add(-time.Hour), audienceNow.Add(-30 * 24 * time.Hour).Truncate(time.Microsecond), audienceNow.Add(-60 * 24 * time.Hour),
				audienceNow.Add(-30 * 24 * time.Hour).Truncate(time.Microsecond).Add(time.Microsecond), audienceNow.Add(time.Hour),
			}[r.IntN(5)].Truncate(time.Microsecond)
			happened[id] = append(happened[id], at)
			events = append(events, campaign.Event{ID: fmt.Sprintf("e-%s-%d", id, n), Type: "lesson.attended", Member: id, Time: at})
		}
	}
	if err := s.Pool().SendBatch(t.Context(), &members).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StoreEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	return happened
}

// did answers the questions of an expression, by counting here.
func did(questions []campaign.Behaviour, happened []time.Time) map[campaign.Behaviour]campaign.BehaviourValue {
	answers := make(map[campaign.Behaviour]campaign.BehaviourValue)
	now := audienceNow.Truncate(time.Microsecond) // as PostgreSQL is asked
	for _, q := range questions {
		var v campaign.BehaviourValue
		for _, at := range happened {
			if at.After(now) || q.Within > 0 && !at.After(audienceNow.Add(-q.Within).Truncate(time.Microsecond)) {
				continue
			}
			if v.Count++; at.After(v.Last) {
				v.Last = at
			}
		}
		answers[q] = v
	}
	return answers
}

// condition writes an expression of whatever PostgreSQL can and cannot be asked.
func condition(rt *rapid.T, depth int) string {
	if depth > 0 {
		switch rapid.IntRange(0, 5).Draw(rt, "form") {
		case 0:
			return "(" + condition(rt, depth-1) + " && " + condition(rt, depth-1) + ")"
		case 1:
			return "(" + condition(rt, depth-1) + " || " + condition(rt, depth-1) + ")"
		case 2:
			return "!(" + condition(rt, depth-1) + ")"
		case 3:
			return "(" + condition(rt, depth-1) + " ? " + condition(rt, depth-1) + " : " + condition(rt, depth-1) + ")"
		}
	}
	one := func(list ...string) string { return rapid.SampledFrom(list).Draw(rt, "part") }
	compare := func(left, right string) string {
		if rapid.Bool().Draw(rt, "turned") {
			left, right = right, left
		}
		return left + " " + one("==", "!=", "<", "<=", ">", ">=") + " " + right
	}
	text := func() string {
		return strconv.Quote(one("", "c1", "C1", "c10", "北京", "é", "e\u0301", "a\"b\\", "3", "b", "m-050", "😀", "poster", "true", "🐎", "a\x00"))
	}
	whole := func() string {
		return one("0", "1", "2", "3", "7", "100", "-1", "9007199254740992", "9007199254740993", "9223372036854775807", "-9223372036854775808")
	}
	number := func() string {
		return one("0.0", "0.1", "0.3", "2.5", "3.0", "-1.0", "100.0", "5e-324", "9007199254740992.0", "9223372036854775808.0", "1e308")
	}
	texts := []string{"member.city", "member.source", "member.level", "member.inviter", "member.id"}
	switch rapid.IntRange(0, 17).Draw(rt, "kind") {
	case 0:
		return compare(one("member.points", "member.visits", "size(member.tags)", "member.tags.size()"), whole())
	case 1:
		// CEL compares numbers of two kinds, but asks whether they are equal of one alone.
		return one("member.points", "member.visits", "size(member.tags)") + " " + one("<", "<=", ">", ">=") + " " + number()
	case 2:
		return compare("member.score", number())
	case 3:
		return "member.score " + one("<", "<=", ">", ">=") + " " + whole()
	case 4, 5:
		return compare(one(texts...), text())
	case 6:
		return one(texts...) + "." + one("contains", "startsWith", "endsWith") + "(" + text() + ")"
	case 7:
		return one(texts...) + " in [" + text() + ", " + text() + "]"
	case 8:
		return "member." + one("points", "visits") + " in [" + whole() + ", " + whole() + "]"
	case 9:
		tag := strconv.Quote(one(audienceTags...))
		return one(tag+" in member.tags", "member.tags.exists(t, t == "+tag+")", "member.tags.exists(t, "+tag+" == t)",
			"member.tags.all(t, t != "+tag+")", "member.tags.exists_one(t, t == "+tag+")")
	case 10:
		return one("member.vip", "member.vip == true", "member.vip != true", "false == member.vip", "true", "false")
	case 11:
		return "has(member." + one("city", "source", "level", "inviter", "id", "visits", "score", "vip", "tags", "points", "joined_at", "birthday", "spent") + ")"
	case 12:
		return compare("member.joined_at", one("now", `timestamp("2026-11-01T00:00:00Z")`, `timestamp("1600-01-01T00:00:00Z")`,
			`now - duration("168h")`, `timestamp("0001-01-01T00:00:00Z")`, `timestamp("9999-12-31T00:00:00Z") + duration("72h")`))
	case 13:
		return compare(one("now - member.joined_at", "member.joined_at - now", `timestamp("2026-11-01T00:00:00Z") - member.joined_at`),
			one(`duration("168h")`, `duration("0s")`, `duration("-9600h")`, `duration("2540400h")`))
	case 14:
		return compare(one(`member.joined_at + duration("168h")`, `duration("72h") + member.joined_at`, `member.joined_at - duration("24h")`),
			one("now", `timestamp("9999-12-31T00:00:00Z")`, `timestamp("0001-01-01T00:00:00Z")`))
	case 15:
		return compare(one(`count("lesson.attended")`, `count("lesson.attended", duration("30d"))`), one("0", "1", "2", "3", "-1"))
	case 16:
		return `segment("` + one("new", "keen", "odd", "named") + `")`
	default:
		return one(`member.city.matches("^c")`, `member.birthday < now`, `member.spent > money("1.00")`, `10 / member.points > 1`,
			`size(member.city) > 2`, `last("lesson.attended") > member.joined_at`, `sum("lesson.attended", "minutes") > 10.0`,
			`member.source == member.city`, `member.tags[0] == "vip"`, `member.points * member.points >= 0`, `member.joined_at.getHours() < 12`)
	}
}

// Whatever the expression and whoever the members: PostgreSQL turns nobody away for whom
// the expression is true, and where the translation calls itself exact it lets nobody
// else through.
func TestAudienceHoldsEverybody(t *testing.T) {
	t.Parallel()
	s := open(t)
	happened := crowd(t, s, 250)
	env, issues := rules.New(audienceCampaign())
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	everybody, err := s.Audience(t.Context(), store.Condition{SQL: "true"}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	asked, exact, failed := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 10 {
			src := condition(rt, rapid.IntRange(0, 3).Draw(rt, "depth"))
			x, issues := env.Compile(src, rules.SegmentScope(), rules.WantBool)
			if len(issues) > 0 {
				continue // too dear, or a mistake that the checker finds
			}
			asked++
			audience := x.Audience(audienceNow)
			ids, err := s.AudienceIDs(t.Context(), store.Condition{SQL: audience.SQL, Args: audience.Args}, "", 1000)
			if err != nil {
				rt.Fatalf("%s\n%s\n%v", src, audience.SQL, err)
			}
			if audience.Exact {
				exact++
			}
			for i := range everybody {
				m := &everybody[i]
				f := &rules.Facts{Now: audienceNow, Member: m, Behaviour: did(x.Behaviours(), happened[m.ID])}
				in, err := x.Bool(f)
				if err != nil {
					failed++
				}
				through := slices.Contains(ids, m.ID)
				if in && !through || audience.Exact && through != in {
					rt.Fatalf("%s\nof %s %s %v, joined %v, %d points, did %v\nis %v (%v), let through %v, exact %v\n%s\n%v", src, m.ID, m.Attributes, m.Tags,
						m.JoinedAt, m.Points, happened[m.ID], in, err, through, audience.Exact, audience.SQL, audience.Args)
				}
			}
		}
	})
	if asked < 100 || exact < asked/4 || exact > asked*19/20 || failed == 0 {
		t.Errorf("of %d expressions %d were exact and %d answers had no value: the test tries too little", asked, exact, failed)
	}
}

// A segment that asks others many times over does not grow into a text without end.
func TestAudienceIsBounded(t *testing.T) {
	t.Parallel()
	def := audienceCampaign()
	for i := range 40 {
		name, before := fmt.Sprintf("s%d", i), "new"
		if i > 0 {
			before = fmt.Sprintf("s%d", i-1)
		}
		def.Segments = append(def.Segments, campaign.Segment{Name: name, When: fmt.Sprintf(`segment("%s") != segment("%s") || segment("%s") && member.points > %d || segment("%s")`, before, before, before, i, before)})
	}
	for i := range def.Segments {
		def.Segments[i].When = strings.ReplaceAll(def.Segments[i].When, ") != segment(", ") || segment(")
	}
	env, issues := rules.New(def)
	if len(issues) > 0 {
		t.Fatal(issues)
	}
	x, ok := env.Segment("s39")
	if !ok {
		t.Fatal("there is no segment s39")
	}
	audience := x.Audience(audienceNow)
	if len(audience.SQL) > 100_000 {
		t.Fatalf("the condition has %d bytes", len(audience.SQL))
	}
	s := open(t)
	if _, err := s.CountAudience(t.Context(), store.Condition{SQL: audience.SQL, Args: audience.Args}); err != nil {
		t.Fatal(err)
	}
}

// The pages of an audience are everybody in it, once, and its count is theirs.
func TestAudienceByPages(t *testing.T) {
	t.Parallel()
	s := open(t)
	crowd(t, s, 100)
	c := store.Condition{SQL: "m.points > $1::bigint", Args: []any{int64(0)}}
	var ids, whole []string
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := s.AudienceIDs(t.Context(), c, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, page...)
		if len(page) < 7 {
			break
		}
	}
	if err := s.EachInAudience(t.Context(), c, func(m *campaign.Member) error {
		whole = append(whole, m.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(whole)
	n, err := s.CountAudience(t.Context(), c)
	if err != nil || n == 0 || int(n) != len(ids) || !slices.Equal(ids, whole) {
		t.Errorf("%d counted (%v), %d in pages, %d at once", n, err, len(ids), len(whole))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.CountAudience(ctx, c); campaign.CodeOf(err) != campaign.CodeUnavailable {
		t.Errorf("counting for somebody who has gone: %v", err)
	}
}
