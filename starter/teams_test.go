package starter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/turn"
)

const together = `
campaign: together
title: together
events:
  come: {team: string}
journeys:
  group:
    start: [{on: come}, {api: true}]
    goal: {on: come, when: "false"}
    steps:
      - team: {size: 2, within: 24h, join: start.team}
        label: here
`

// What the API says of a team: how it stands, whoever asks, and of no member; and for a
// member which teams are hers.
func TestTeams(t *testing.T) {
	t.Parallel()
	taker := &turn.Taker{Programs: turn.NewCache(), Via: []string{"console"}}
	a := serve(t, func(c *starter.Config) {
		taker.Store = c.Store
		c.Entrances = &starter.Router{Store: c.Store, Taker: taker}
	})
	a.must("POST", "/v1/campaigns", together)
	a.must("POST", "/v1/campaigns/together/start", "")
	come := func(member, code string) {
		t.Helper()
		a.must("PUT", "/v1/members/"+member, "{}")
		var entry starter.EntryAnswer
		a.must("POST", "/v1/campaigns/together/journeys/group/entries", fmt.Sprintf(`{"member":%q,"properties":{"team":%q}}`, member, code)).json(t, &entry)
		var row int64
		if _, err := fmt.Sscan(entry.Journey, &row); err != nil {
			t.Fatal(err)
		}
		if _, err := taker.Advance(t.Context(), row, 1); err != nil {
			t.Fatal(err)
		}
	}
	mine := func(member string) starter.MemberTeam {
		t.Helper()
		var list starter.TeamList
		a.must("GET", "/v1/members/"+member+"/teams", "").json(t, &list)
		if len(list.Teams) != 1 {
			t.Fatalf("%s is in %d teams", member, len(list.Teams))
		}
		return list.Teams[0]
	}
	come("somebody", "")
	code := mine("somebody").Code
	read := func(code string) (team starter.TeamAnswer, raw string) {
		t.Helper()
		r := a.must("GET", "/v1/teams/"+code, "")
		r.json(t, &team)
		return team, r.body
	}
	for _, written := range []string{code, strings.ToLower(code), code[:5] + "-" + code[5:], code[:5] + "%20" + code[5:]} {
		team, raw := read(written)
		if team.Code != code || team.Campaign != "together" || team.Journey != "group" || team.Step != "here" || team.State != campaign.TeamOpen ||
			team.Size != 2 || team.Joined != 1 || team.Missing != 1 || team.RemainingSeconds < 86_000 || team.RemainingSeconds > 86_400 || team.ClosedAt != nil {
			t.Errorf("%s: %+v", written, team)
		}
		if strings.Contains(raw, "somebody") {
			t.Errorf("it names a member: %s", raw)
		}
	}
	come("else", code)
	if team, _ := read(code); team.State != campaign.TeamFormed || team.Missing != 0 || team.RemainingSeconds != 0 || team.ClosedAt == nil {
		t.Errorf("%+v", team)
	}
	if m := mine("somebody"); !m.Leader || m.LeftAt != nil || m.State != campaign.TeamFormed {
		t.Errorf("%+v", m)
	}
	if m := mine("else"); m.Leader || m.Code != code || m.JoinedAt.IsZero() {
		t.Errorf("%+v", m)
	}
	for _, wrong := range []string{"CDFGHJKMNP", "short", strings.Repeat("X", 100), "../../v1", "%E9%98%9F"} {
		if r := a.do("GET", "/v1/teams/"+wrong, ""); r.status != 404 {
			t.Errorf("%s: %d %s", wrong, r.status, r.body)
		}
	}
	if r := a.do("GET", "/v1/members/nobody/teams", ""); r.status != 404 {
		t.Errorf("%d %s", r.status, r.body)
	}
	// Nobody tells from outside that a team is complete.
	for _, typ := range []string{campaign.EventTeamFormed, campaign.WordTeamFormed} {
		body, _ := json.Marshal(map[string]any{
			"id": "forged", "type": typ, "member": "somebody", "time": "2026-01-01T00:00:00Z", "properties": map[string]string{"team": code},
		})
		if r := a.do("POST", "/v1/events", string(body)); r.status != 422 {
			t.Errorf("%s: %d %s", typ, r.status, r.body)
		}
	}
}
