package journey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const granting = `
campaign: granting
title: Rewards of every kind
events: {ping: , order.paid: {order: string, offer: string, amount: money}}
segments: {vips: '"vip" in member.benefits'}
rewards:
  gift: {points: 10}
  code: {coupon: {codes: generated, value: 20, expires: 2d}}
  vip: {benefit: vip, for: 3d}
  rise: {steps: [{at: 1, points: 100}, {at: 3, points: 400}], count: member.points}
messages:
  here: '{{ reward("code").code }} {{ reward("code").value }} {{ local(reward("code").ends_at) }} {{ reward("code").state }}'
journeys:
  j:
    start: {on: ping}
    goal: {on: order.paid}
    steps:
      - send: here
      - grant: gift
      - grant: code
      - grant: vip
      - grant: rise
      - send: here
      - choose:
          - when: segment("vips") && member.points == 410
            steps: [{wait: 1d}, {end: right}]
        otherwise: [{end: wrong}]
`

const secret = "K7QDW3RM9XHCF5T2"

// What was granted is there for the rest of the turn; the code stands in the message, and
// neither in the story nor in the state that is kept.
func TestGrantsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := enter(t, compile(t, granting), "j", event("p", "ping", noon, `{}`))
	in := journey.Input{
		ID: w.id, Version: 1, Now: noon, Member: &w.member, Events: w.events, Answers: map[string]campaign.Answer{}, Via: []string{"console"},
	}
	if !w.p.ReadsRewards() {
		t.Error("the program is not told of what was granted")
	}
	var asked []string
	var d campaign.Decision
	for {
		decision, ask, err := w.p.Turn(w.state, in)
		if err != nil {
			t.Fatal(err)
		}
		if ask == nil {
			d = decision
			break
		}
		value := "–"
		if ask.Grant.Value != nil {
			value = fmt.Sprint(*ask.Grant.Value)
		}
		asked = append(asked, ask.Grant.Reward+" "+value+" "+string(ask.Grant.Of.Gift().Kind()))
		answer := campaign.Answer{OK: true}
		switch ask.Grant.Of.Gift().Kind() {
		case campaign.RewardCoupon:
			answer.Piece = &campaign.Piece{Code: secret, State: campaign.CouponGranted, From: noon, Until: noon.Add(2 * day)}
		case campaign.RewardBenefit:
			answer.Piece = &campaign.Piece{State: campaign.CouponGranted, From: noon.Add(time.Hour), Until: noon.Add(3 * day), Extended: true}
		case campaign.RewardSteps:
			answer.Points = 400
		case campaign.RewardPoints:
		}
		in.Answers[ask.Key] = answer
	}
	if got := strings.Join(asked, ", "); got != "gift – points, code – coupon, vip – benefit, rise 10 steps" {
		t.Errorf("asked %s", got)
	}
	if len(d.Sends) != 1 || d.Sends[0].Bodies[0].Body != secret+" ¥20.00 12-03 12:00 granted" {
		t.Errorf("sends %+v", d.Sends)
	}
	if d.Outcome != "" || !d.WaitUntil.Equal(noon.Add(day)) {
		t.Errorf("outcome %q: what was granted is not seen by the condition", d.Outcome)
	}
	var story []string
	for _, l := range d.Trace {
		if l.Kind == campaign.TraceGranted || l.Kind == campaign.TraceNotSent {
			story = append(story, l.Words(campaign.English))
			if strings.Contains(l.Words(campaign.Chinese), "points") {
				t.Errorf("not Chinese: %s", l.Words(campaign.Chinese))
			}
		}
	}
	want := []string{
		"granted gift: 10 points", "granted code: coupon …F5T2, good until 12-03 12:00",
		"granted vip: benefit vip goes on until 12-04 12:00", "granted rise: 400 points",
	}
	if len(story) != 5 || !strings.Contains(story[0], "NOT sent") || strings.Join(story[1:], "; ") != strings.Join(want, "; ") {
		t.Errorf("story %q", story)
	}
	if text := fmt.Sprintf("%+v", d.Trace) + string(d.State); strings.Contains(text, secret) {
		t.Error("the story or the state has the code")
	}
}
