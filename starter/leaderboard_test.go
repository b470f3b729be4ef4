package starter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const readers = `
campaign: readers
title: Readers
member:
  city: string
events:
  order.paid: {order: string, offer: string, amount: money}
points:
  rules:
    purchase: {on: order.paid, amount: 'event.amount / money("10.00")'}
  levels: {silver: {at: 10}}
  leaderboard: {periods: [all], groups: {city: member.city}}
journeys:
  silver:
    start: {on: level.changed, when: event.up}
    goal: {on: order.paid, when: event.order == "none"}
    steps: [{tag: silver}]
`

// Names of members come only for a key that may read members; what Banyan itself tells
// nobody else does.
func TestLeaderboardOverHTTP(t *testing.T) {
	t.Parallel()
	a := serve(t)
	for _, call := range [][3]string{
		{http.MethodPost, "/v1/campaigns", readers},
		{http.MethodPost, "/v1/campaigns/readers/start", ""},
		{http.MethodPut, "/v1/members/m-1", `{"attributes": {"name": "小林", "city": "上海"}}`},
		{http.MethodPost, "/v1/events", `{"id": "e-1", "type": "order.paid", "member": "m-1", "time": "2026-11-20T10:00:00+08:00", "properties": {"order": "o-1", "offer": "x", "amount": {"amount": "129.90", "currency": "CNY"}}}`},
	} {
		headers := []string{}
		if strings.HasSuffix(call[1], "/campaigns") {
			headers = append(headers, "Content-Type", "application/yaml")
		}
		if r := a.do(call[0], call[1], call[2], headers...); r.status >= 300 {
			t.Fatalf("%s: %d %s", call[1], r.status, r.body)
		}
	}
	taker := &turn.Taker{Store: a.store, Programs: turn.NewCache(), Via: []string{"console"}}
	for range 2 { // the event, and the change of level
		if _, err := a.store.Route(t.Context(), 500, func(tx *store.RouteTx) error { return taker.Route(t.Context(), tx, func(*turn.BrokenError) {}) }); err != nil {
			t.Fatal(err)
		}
	}
	const path = "/v1/campaigns/readers/leaderboard"
	var board starter.LeaderboardAnswer
	a.do(http.MethodGet, path+"?member=m-1&group=city&of=上海", "").json(t, &board)
	if len(board.Top) != 1 || board.Top[0].Points != 12 || board.Top[0].Name != "小林" || board.Member == nil || board.Member.Rank != 1 {
		t.Errorf("%+v", board)
	}
	admin := a.key
	a.key = a.newKey(store.ScopeReportsRead)
	board = starter.LeaderboardAnswer{}
	r := a.do(http.MethodGet, path+"?member=m-1", "")
	if r.json(t, &board); len(board.Top) != 1 || board.Top[0].Member != "m-1" || strings.Contains(r.body, "小林") {
		t.Errorf("without members:read: %s", r.body)
	}
	a.key = a.newKey(store.ScopeMembersRead)
	if r := a.do(http.MethodGet, path, ""); r.status != http.StatusForbidden {
		t.Errorf("without reports:read: %d", r.status)
	}
	a.key = admin
	for query, status := range map[string]int{
		"?period=week": http.StatusNotFound, "?period=year": http.StatusUnprocessableEntity, "?group=age&of=7": http.StatusNotFound, "?group=city": http.StatusUnprocessableEntity,
		"?top=-1": http.StatusUnprocessableEntity, "?top=1001": http.StatusUnprocessableEntity, "?at=yesterday": http.StatusUnprocessableEntity, "?top=0": http.StatusOK,
	} {
		if r := a.do(http.MethodGet, path+query, ""); r.status != status {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	var member starter.MemberAnswer
	a.do(http.MethodGet, "/v1/members/m-1", "").json(t, &member)
	if member.Levels["readers"] != "silver" || member.Points != 12 {
		t.Errorf("%+v", member)
	}
	told := `{"id": "e-2", "type": "level.changed", "member": "m-1", "time": "2026-11-20T10:00:00+08:00", "properties": {"campaign": "readers", "from": "", "to": "silver", "up": true}}`
	if r := a.do(http.MethodPost, "/v1/events", told); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a change of level was told: %d %s", r.status, r.body)
	}
	var explained struct {
		Journeys []struct{ Journey string }
	}
	r = a.do(http.MethodGet, "/v1/members/m-1/explain", "")
	if r.json(t, &explained); len(explained.Journeys) != 1 || explained.Journeys[0].Journey != "silver" || !strings.Contains(r.body, `"rule":"purchase"`) {
		t.Errorf("%s", r.body)
	}
}
