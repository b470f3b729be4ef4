package store_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const board = "  leaderboard: {periods: [day, week, all], groups: {city: member.city, group: event.group}}\n"

func TestLeaderboard(t *testing.T) {
	t.Parallel()
	h := newHall(t, open(t), "club", board, "", nil)
	if _, err := h.PutMembers(t.Context(), []store.MemberPut{{ID: "a", Attributes: map[string]json.RawMessage{"city": []byte(`"上海"`), "name": []byte(`"小林"`)}}, {ID: "b", Attributes: map[string]json.RawMessage{"city": []byte(`"上海"`)}}, {ID: "c"}}); err != nil {
		t.Fatal(err)
	}
	tuesday := noon.Add(24 * time.Hour)
	h.happens(t, bought("b-1", "a", "o-1", "100", noon), bought("b-2", "b", "o-2", "100", tuesday), bought("b-3", "c", "o-3", "300", tuesday.Add(7*24*time.Hour)),
		said("s-1", "a", "g-1", tuesday), said("s-2", "c", "g-1", tuesday), said("s-3", "c", "g-2", tuesday))
	read := func(r store.Ranking, top int, member string) (list []string) {
		t.Helper()
		r.Campaign = "club"
		b, err := h.Leaderboard(t.Context(), r, top, member)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range b.Top {
			list = append(list, fmt.Sprintf("%d %s %d", m.Rank, m.Member, m.Points))
		}
		if b.Own != nil {
			list = append(list, fmt.Sprintf("own %d %s %d", b.Own.Rank, b.Own.Member, b.Own.Points))
		}
		return list
	}
	for _, c := range []struct {
		what   string
		r      store.Ranking
		top    int
		member string
		want   []string
	}{
		{"all time", store.Ranking{Period: campaign.PeriodAll}, 10, "", []string{"1 c 34", "2 a 12", "3 b 10"}},
		{"the first", store.Ranking{Period: campaign.PeriodAll}, 1, "b", []string{"1 c 34", "own 3 b 10"}},
		{"a day", store.Ranking{Period: campaign.PeriodDay, At: tuesday}, 10, "c", []string{"1 b 10", "2 c 4", "3 a 2", "own 2 c 4"}},
		{"a week", store.Ranking{Period: campaign.PeriodWeek, At: tuesday}, 10, "", []string{"1 a 12", "2 b 10", "3 c 4"}},
		{"the next week", store.Ranking{Period: campaign.PeriodWeek, At: tuesday.Add(7 * 24 * time.Hour)}, 10, "a", []string{"1 c 30", "own 0 a 0"}},
		{"a city", store.Ranking{Period: campaign.PeriodAll, Board: "city", Part: "上海"}, 10, "", []string{"1 a 12", "2 b 10"}},
		{"a group", store.Ranking{Period: campaign.PeriodWeek, At: noon, Board: "group", Part: "g-1"}, 10, "", []string{"1 a 2", "1 c 2"}},
		{"another part", store.Ranking{Period: campaign.PeriodAll, Board: "city", Part: "北京"}, 10, "nobody", []string{"own 0 nobody 0"}},
	} {
		if have := read(c.r, c.top, c.member); !slices.Equal(have, c.want) {
			t.Errorf("%s: %v, want %v", c.what, have, c.want)
		}
	}
	// What was taken back does not count, in no ranking.
	h.happens(t, refunded("r-1", "c", "o-3", tuesday.Add(8*24*time.Hour)))
	if have := read(store.Ranking{Period: campaign.PeriodAll}, 10, ""); !slices.Equal(have, []string{"1 a 12", "2 b 10", "3 c 4"}) {
		t.Errorf("%v", have)
	}
	if have := read(store.Ranking{Period: campaign.PeriodWeek, At: tuesday.Add(7 * 24 * time.Hour)}, 10, ""); len(have) > 0 {
		t.Errorf("%v", have)
	}
	for _, r := range []store.Ranking{{Campaign: "none", Period: campaign.PeriodAll}, {Campaign: "club", Period: campaign.PeriodMonth}, {Campaign: "club", Period: campaign.PeriodAll, Board: "age", Part: "7"}} {
		if _, err := h.Leaderboard(t.Context(), r, 10, ""); campaign.CodeOf(err) != campaign.CodeNotFound {
			t.Errorf("%+v: %v", r, err)
		}
	}
	names, err := h.Names(t.Context(), []string{"a", "b"})
	if err != nil || len(names) != 1 || names["a"] != "小林" {
		t.Errorf("%v, %v", names, err)
	}
	h.sound(t)
}

// million makes the test below as large as its name says; it takes a minute.
var million = flag.Bool("million", false, "let a million members stand in the leaderboard of TestLeaderboardOfAMillion, and not 50,000")

// A million members make neither reading a leaderboard nor giving points slower: what is read
// is counted, which does not depend on the machine, and the times are printed.
func TestLeaderboardOfAMillion(t *testing.T) {
	h := newHall(t, open(t), "club", board, "", nil)
	h.happens(t, bought("b-1", "me", "o-1", "100", noon))
	give := func(from int) time.Duration {
		var events []campaign.Event
		for i := range 500 {
			events = append(events, bought(fmt.Sprint("buy-", from+i), fmt.Sprint("m-", from+i), fmt.Sprint("order-", from+i), "100", noon))
		}
		h.tell(t, events...)
		began := time.Now()
		if err := h.route(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	few := min(give(0), give(500), give(1000))
	many := 50_000
	if *million {
		many = 1_000_000
	}
	for from := 5000; from < 5000+many; from += 50_000 {
		h.exec(t, `insert into point_scores (campaign, board, part, period, begins, member, points)
			select 'club', '', '', 'all', '1970-01-01', 'm-' || n, 1 + (n * 7919::bigint) % 100000 from generate_series($1::int, $1::int + 49999) n`, from)
	}
	conn, err := h.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"set statement_timeout = 0", "vacuum analyze point_scores", "reset statement_timeout"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Release()
	after := min(give(1500), give(2000), give(2500))
	ranking := store.Ranking{Campaign: "club", Period: campaign.PeriodAll}
	for _, member := range []string{"", "me", "m-5000", "m-500000"} {
		began := time.Now()
		b, err := h.Leaderboard(t.Context(), ranking, 100, member)
		if err != nil || len(b.Top) != 100 {
			t.Fatalf("%+v, %v", b, err)
		}
		t.Logf("the first hundred of %d, and where %q stands (%+v): %s", many, member, b.Own, time.Since(began).Round(time.Microsecond))
		if b.Own == nil {
			continue
		}
		before := h.number(t, `select count(*) from point_scores where campaign = 'club' and board = '' and period = 'all' and points > $1`, b.Own.Points)
		if want := before + 1; before >= store.MaxRank && b.Own.Rank != 0 || before < store.MaxRank && b.Own.Rank != want {
			t.Errorf("%s: rank %d, %d are before her", member, b.Own.Rank, before)
		}
	}
	t.Logf("giving points for 500 events: %s with few members in the ranking, %s with %d", few.Round(time.Millisecond), after.Round(time.Millisecond), many)
	// The plans read a part of the index that the answer bounds.
	for sql, most := range map[string]int64{
		`select member, points from point_scores where campaign = 'club' and board = '' and part = '' and period = 'all' and begins = '1970-01-01' and points > 0
		  order by points desc, member limit 100`: 200,
		`select count(*) from (select from point_scores where campaign = 'club' and board = '' and part = '' and period = 'all' and begins = '1970-01-01' and points > 2
		  order by points desc limit 10000) x`: 400,
	} {
		var plan []struct {
			Plan struct {
				Hit  int64 `json:"Shared Hit Blocks"`
				Read int64 `json:"Shared Read Blocks"`
			}
		}
		if err := h.Pool().QueryRow(t.Context(), "explain (analyze, buffers, format json) "+sql).Scan(&plan); err != nil {
			t.Fatal(err)
		}
		if n := plan[0].Plan.Hit + plan[0].Plan.Read; n > most {
			t.Errorf("%d pages were read: %s", n, sql)
		}
	}
}
