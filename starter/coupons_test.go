package starter_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const vouchers = `
campaign: vouchers
title: Vouchers
events: {left: }
rewards:
  pooled: {coupon: {codes: pool, value: 20, expires: 30d}}
  made: {coupon: generated}
journeys:
  main:
    start: {api: true}
    goal: {on: left}
    steps: [{grant: pooled}, {grant: made}]
`

// A file larger than any other body is read while it arrives; what is wrong with it is said
// by its line, and what came before is stored.
func TestImportingCodes(t *testing.T) {
	a := serve(t)
	a.must("POST", "/v1/campaigns", vouchers, "Content-Type", "application/yaml")
	const path = "/v1/campaigns/vouchers/rewards/pooled/coupons"
	var file strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&file, "CODE-%06d,%s\n", i, strings.Repeat("x", 300))
	}
	if file.Len() < 9_000_000 {
		t.Fatal("the file is smaller than what other calls take")
	}
	var out store.Imported
	a.must("POST", path, file.String(), "Content-Type", "text/csv").json(t, &out)
	if out.Imported != 30_000 || out.Left != 30_000 {
		t.Errorf("%+v", out)
	}
	// An Idempotency-Key is not heeded: the same key with another file is another import.
	for i, codes := range []string{"A-1", "A-2"} {
		a.must("POST", path, codes, "Content-Type", "text/csv", "Idempotency-Key", "one").json(t, &out)
		if out.Imported != 1 || out.Left != int64(30_001+i) {
			t.Errorf("%+v", out)
		}
	}
	for _, c := range []struct {
		what, path, body string
		status           int
		says             string
	}{
		{"a blank in a code", path, "B-1\nB 2", 422, "line 2"},
		{"no reward", "/v1/campaigns/vouchers/rewards/none/coupons", "B-1", 404, "none"},
		{"no campaign", "/v1/campaigns/none/rewards/pooled/coupons", "B-1", 404, "none"},
		{"no pool", "/v1/campaigns/vouchers/rewards/made/coupons", "B-1", 409, "pool"},
	} {
		got := a.do("POST", c.path, c.body, "Content-Type", "text/csv")
		if got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	reader, _, err := a.store.CreateKey(t.Context(), "reader", []store.Scope{store.ScopeMembersRead}, time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.do("POST", path, "C-1", "Content-Type", "text/csv", "Authorization", "Bearer "+reader); got.status != http.StatusForbidden {
		t.Errorf("with a key that may only read: %d", got.status)
	}
}

// Codes that nobody was given, hostile ones and those of another state: a clear problem, and
// nothing stored.
func TestCoupons(t *testing.T) {
	var log bytes.Buffer
	a := serve(t, func(c *starter.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	a.must("POST", "/v1/campaigns", vouchers, "Content-Type", "application/yaml")
	a.must("POST", "/v1/campaigns/vouchers/start", "")
	a.must("POST", "/v1/campaigns/vouchers/rewards/pooled/coupons", "FREE-0001", "Content-Type", "text/csv")
	a.must("PUT", "/v1/members/m-1", "{}")
	conn, err := pgx.Connect(t.Context(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var row int64
	if err := conn.QueryRow(t.Context(), `
		insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, state, cursor, entered_by, entered_at)
		values ('vouchers', 1, '', 'main', 'm-1', 1, 'w', '{}', 0, 'api', now()) returning id`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	var code string
	if err := a.store.InTurns(t.Context(), []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err != nil {
			return err
		}
		made := &campaign.Reward{Name: "made", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Length: 16}}
		answers, err := page.Answer(t.Context(), []store.Question{{Of: tx, Turn: 1, Ask: &campaign.Ask{Key: "g-1", Grant: &campaign.GrantAsk{Reward: "made", Of: made}}}})
		if err == nil {
			code = answers[0].Piece.Code
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, method, path, body string
		status                   int
	}{
		{"a free code of a pool", "GET", "/v1/coupons/FREE-0001", "", 404},
		{"a free code of a pool", "POST", "/v1/coupons/FREE-0001/redemption", `{"order":"o"}`, 404},
		{"a code that is none", "GET", "/v1/coupons/'%20or%201=1", "", 404},
		{"a zero character", "GET", "/v1/coupons/a%00b", "", 404},
		{"a long code", "GET", "/v1/coupons/" + strings.Repeat("x", 600), "", 422},
		{"no order", "POST", "/v1/coupons/" + code + "/redemption", `{}`, 422},
		{"a negative span", "POST", "/v1/coupons/" + code + "/redemption", `{"order":"o","for":"-1h"}`, 422},
		{"too long", "POST", "/v1/coupons/" + code + "/redemption", `{"order":"o","for":"31d"}`, 422},
		{"an unknown key", "POST", "/v1/coupons/" + code + "/redemption", `{"order":"o","free":true}`, 422},
		{"not reserved", "POST", "/v1/coupons/" + code + "/redemption/capture", `{"order":"o-1"}`, 409},
		{"captured for no order", "POST", "/v1/coupons/" + code + "/redemption/capture", `{}`, 422},
		{"cancelled for no order", "POST", "/v1/coupons/" + code + "/redemption/cancel", `{"order":""}`, 422},
	} {
		got := a.do(c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(got.header.Get("Content-Type"), "problem+json") || strings.Contains(got.body, code) {
			t.Errorf("%s: %d %s", c.what, got.status, got.body)
		}
	}
	var answer starter.CouponAnswer
	a.must("GET", "/v1/coupons/"+strings.ToLower(code[:5])+"-"+code[5:], "").json(t, &answer)
	if answer.State != campaign.CouponGranted || answer.Order != "" || answer.Code != "…"+code[len(code)-4:] {
		t.Errorf("%+v", answer)
	}
	a.must("POST", "/v1/coupons/"+code+"/redemption", `{"order":"o-1","for":"1h"}`).json(t, &answer)
	if answer.ReservedUntil == nil || answer.Order != "o-1" {
		t.Errorf("%+v", answer)
	}
	for _, what := range []string{"capture", "cancel"} {
		if got := a.do("POST", "/v1/coupons/"+code+"/redemption/"+what, `{"order":"o-2"}`); got.status != 409 {
			t.Errorf("%s by another order: %d %s", what, got.status, got.body)
		}
	}
	a.must("POST", "/v1/coupons/"+code+"/redemption/capture", `{"order":"o-1"}`).json(t, &answer)
	if answer.State != campaign.CouponRedeemed || answer.ClosedAt == nil {
		t.Errorf("%+v", answer)
	}
	for _, path := range []string{"/v1/members/m-1/coupons", "/v1/members/m-1/explain", "/v1/campaigns/vouchers/report"} {
		if got := a.must("GET", path, ""); strings.Contains(got.body, code) || !strings.Contains(got.body, "made") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	a.http.Close() // nobody writes the log any more
	if lines := strings.ToUpper(log.String()); !strings.Contains(lines, "CAPTURE") || strings.Contains(lines, code[5:]) {
		t.Error("the log has the code")
	}
}

const spoken = `
campaign: spoken
title: Of what messages speak
events: {left: , ping: }
segments: {vips: '"vip" in member.benefits'}
rewards:
  pooled: {coupon: {codes: pool, value: 20, expires: 30d}}
  vip: {benefit: vip, for: 7d}
messages:
  before: '{{ reward("pooled").state }} {{ segment("vips") }}'
  now: '{{ reward("pooled").code }} {{ reward("pooled").value }} {{ reward("pooled").state }} {{ segment("vips") }}'
  none: 'nothing {{ reward("pooled").code }}'
journeys:
  main:
    start: {api: true}
    goal: {on: left}
    steps:
      - send: before
      - send: none
      - grant: pooled
      - grant: vip
      - send: now
      - await: ping
        for: 2d
      - send: now
      - await: ping
        for: 1d
      - send: now
`

// Messages of the turn in which a coupon was granted, and of later ones, speak of it as it
// stands then; and of one that was not granted nothing is sent.
func TestMessagesSpeakOfACoupon(t *testing.T) {
	var taker *turn.Taker
	a := serve(t, func(c *starter.Config) {
		taker = &turn.Taker{Store: c.Store, Programs: turn.NewCache(), Via: []string{"console"}}
		c.Entrances = &starter.Router{Store: c.Store, Taker: taker}
	})
	a.must("POST", "/v1/campaigns", spoken, "Content-Type", "application/yaml")
	a.must("POST", "/v1/campaigns/spoken/start", "")
	a.must("POST", "/v1/campaigns/spoken/rewards/pooled/coupons", "SUMMER-2027-7", "Content-Type", "text/csv")
	a.must("PUT", "/v1/members/m-1", "{}")
	var entry starter.EntryAnswer
	a.must("POST", "/v1/campaigns/spoken/journeys/main/entries", `{"member":"m-1"}`).json(t, &entry)
	row, err := strconv.ParseInt(entry.Journey, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	advance := func(n int) {
		t.Helper()
		// A turn that is asked for again is answered from its stored result: nothing is granted twice.
		for range 2 {
			if _, err := taker.Advance(t.Context(), row, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	ping := func(id string) {
		t.Helper()
		a.must("POST", "/v1/events", `{"id":"`+id+`","type":"ping","member":"m-1","time":"`+time.Now().UTC().Format(time.RFC3339Nano)+`"}`)
	}
	advance(1)
	ping("p-1")
	advance(2)
	if c, err := a.store.ReserveCoupon(t.Context(), "SUMMER-2027-7", "o-1", time.Hour); err != nil || c.Member != "m-1" {
		t.Fatalf("%+v, %v", c, err)
	}
	if _, err := a.store.CaptureCoupon(t.Context(), "SUMMER-2027-7", "o-1"); err != nil {
		t.Fatal(err)
	}
	ping("p-2")
	advance(3)
	conn, err := pgx.Connect(t.Context(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var bodies []string
	if err := conn.QueryRow(t.Context(), `select array_agg(bodies -> 0 ->> 'body' order by number) from messages`).Scan(&bodies); err != nil {
		t.Fatal(err)
	}
	want := []string{" false", "SUMMER-2027-7 ¥20.00 granted true", "SUMMER-2027-7 ¥20.00 granted true", "SUMMER-2027-7 ¥20.00 redeemed true"}
	if !slices.Equal(bodies, want) {
		t.Errorf("%q, want %q", bodies, want)
	}
	var kept string
	if err := conn.QueryRow(t.Context(), `select string_agg(j.state::text, ' ') || (select string_agg(params::text, ' ') from trace) || (select string_agg(result::text, ' ') from turns) from journeys j`).Scan(&kept); err != nil || strings.Contains(kept, "SUMMER") {
		t.Errorf("the code stands where no secret may stand: %v", err)
	}
	var benefits starter.BenefitList
	a.must("GET", "/v1/members/m-1/benefits", "").json(t, &benefits)
	if len(benefits.Benefits) != 1 || !benefits.Benefits[0].Lasts || benefits.Benefits[0].Until == nil {
		t.Errorf("%+v", benefits)
	}
}
