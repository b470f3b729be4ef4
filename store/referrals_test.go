package store_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	rand2 "math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/fraud"
	"github.com/banyanhq/banyan/store"
	"github.com/banyanhq/banyan/turn"
)

const bringing = `
campaign: bringing
title: bringing
events:
  order.paid: {order: string, offer: string, amount: money}
  order.refunded: {order: string, amount: money}
  group.left: {}
roles: {keeper: }
rewards:
  bring: {points: 200, budget: 1000000}
  five: {points: 500}
  first: {points: 100}
referral:
  inviters: '!("banned" in member.tags)'
  invitees: '!("old" in member.tags)'
  qualifies: {on: order.paid, when: event.offer == "trial", within: 30d}
  hold: 48h
  claw_back: 10d
  rewards: {inviter: [{from: 1, reward: bring}, {from: 3, reward: five}], invitee: first}
  limit: {times: 4, every: 30d}
  fraud:
    review: {by: keeper, for: 24h, otherwise: reject}
    left: group.left
journeys:
  invited:
    start: {referral: bound}
    goal: {on: order.paid}
    on_goal: continue
    steps:
      - wait: 1h
      - grant: bring
        to: inviter
  inviter:
    start: {on: referral.vested}
    entry: every_time
    goal: {on: order.paid, when: "false"}
    steps:
      - wait: 1h
`

// school is a store with members who bring others.
type school struct {
	*store.Store
	t     testing.TB
	taker *turn.Taker
}

var springOf2027 = time.Date(2027, 3, 1, 2, 0, 0, 0, time.UTC)

func newSchool(t testing.TB, source string) *school {
	t.Helper()
	s := open(t)
	def, problems := definitions.Check("bringing.yaml", []byte(source))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	if _, err := s.Submit(t.Context(), def, []byte(source)); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), def.Name, &store.DemoClock{Factor: 2, From: springOf2027}); err != nil {
		t.Fatal(err)
	}
	return &school{Store: s, t: t, taker: &turn.Taker{Store: s, Programs: turn.NewCache(), Via: []string{"console"}}}
}

func (s *school) members(ids ...string) {
	s.t.Helper()
	puts := make([]store.MemberPut, len(ids))
	for i, id := range ids {
		puts[i] = store.MemberPut{ID: id}
	}
	if _, err := s.PutMembers(s.t.Context(), puts); err != nil {
		s.t.Fatal(err)
	}
}

// code is a member's code.
func (s *school) code(member string, marks ...store.ReferralMarks) string {
	s.t.Helper()
	c, err := s.issue(member, marks...)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Code
}

func (s *school) issue(member string, marks ...store.ReferralMarks) (out store.ReferralCode, err error) {
	m := store.ReferralMarks{}
	if len(marks) > 0 {
		m = marks[0]
	}
	err = s.InIssuing(s.t.Context(), "bringing", member, m, func(tx *store.ReferralTx) error {
		c, err := s.taker.Issue(s.t.Context(), tx, member, func(n int) (string, error) { return codes.New(rand.Reader, n) })
		if err == nil {
			out = *c
		}
		return err
	})
	return out, err
}

func (s *school) bind(code, invitee string, marks ...store.ReferralMarks) (out *store.Referral, err error) {
	b := &turn.Binding{Code: code, Invitee: invitee}
	if len(marks) > 0 {
		b.Marks = marks[0]
	}
	err = s.InBinding(s.t.Context(), code, invitee, b.Marks, func(tx *store.ReferralTx) error {
		out, err = s.taker.Bind(s.t.Context(), tx, b)
		return err
	})
	return out, err
}

// refused is the reason for which a binding was refused.
func refused(err error) string {
	var r *turn.RefusedBindingError
	if errors.As(err, &r) {
		return r.Reason
	}
	return fmt.Sprint(err)
}

func (s *school) count(sql string, args ...any) (n int) {
	s.t.Helper()
	if err := s.Pool().QueryRow(s.t.Context(), sql, args...).Scan(&n); err != nil {
		s.t.Fatal(sql, err)
	}
	return n
}

// later moves the demo clock on.
func (s *school) later(by time.Duration) {
	s.t.Helper()
	if _, err := s.Pool().Exec(s.t.Context(), `update campaigns set clock_start = clock_start + $1::interval`, by.String()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *school) now() time.Time {
	s.t.Helper()
	list, err := s.RunningCampaigns(s.t.Context())
	if err != nil || len(list) != 1 {
		s.t.Fatal(list, err)
	}
	return list[0].Now
}

func (s *school) tell(id, typ, member string, properties map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(properties)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.StoreEvents(s.t.Context(), []campaign.Event{{ID: id, Type: typ, Member: member, Time: s.now(), Properties: raw}}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *school) pays(member, order string) {
	s.t.Helper()
	s.tell("paid-"+order, "order.paid", member, map[string]any{"order": order, "offer": "trial", "amount": map[string]string{"amount": "9.90", "currency": "CNY"}})
}

func (s *school) refunds(member, order string) {
	s.t.Helper()
	s.tell("refund-"+order, "order.refunded", member, map[string]any{"order": order})
}

// work routes what is stored and takes a turn of every journey, as long as that does
// anything.
func (s *school) work() {
	s.t.Helper()
	ctx := s.t.Context()
	for {
		n, err := s.Route(ctx, 500, func(tx *store.RouteTx) error {
			return s.taker.Route(ctx, tx, func(b *turn.BrokenError) { s.t.Error(b) })
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if n > 0 {
			continue
		}
		moved := false
		rows, err := s.Pool().Query(ctx, `
			select j.id, j.turn, j.status = 'done' from journeys j join members m on m.id = j.member join campaigns c on c.name = j.campaign
			 where j.turn = 0 or j.cursor < m.event_seq and exists (select from events e where e.member = m.id and e.seq > j.cursor and e.type = any(j.listens))
			    or j.status = 'active' and j.wait_until <= c.clock_start + (clock_timestamp() - c.clock_real) * c.clock_factor
			 order by j.id`)
		if err != nil {
			s.t.Fatal(err)
		}
		type one struct {
			id   int64
			turn int
			done bool
		}
		var list []one
		for rows.Next() {
			var o one
			if err := rows.Scan(&o.id, &o.turn, &o.done); err != nil {
				s.t.Fatal(err)
			}
			list = append(list, o)
		}
		if rows.Close(); rows.Err() != nil {
			s.t.Fatal(rows.Err())
		}
		for _, o := range list {
			if o.done {
				if err := s.taker.After(ctx, o.id); err != nil {
					s.t.Fatal(err)
				}
				continue
			}
			r, err := s.taker.Advance(ctx, o.id, o.turn+1)
			if err != nil {
				s.t.Fatal(err)
			}
			moved = moved || r.Turn > o.turn
		}
		if !moved {
			return
		}
	}
}

// summary is what the Temporal web UI shows of the journey that follows a referral.
func (s *school) summary(invitee string) (step, summary string) {
	s.t.Helper()
	if err := s.Pool().QueryRow(s.t.Context(), `select step_name, summary from journeys where journey = 'referral' and member = $1`, invitee).Scan(&step, &summary); err != nil {
		s.t.Fatal(err)
	}
	return step, summary
}

func (s *school) referral(invitee string) store.Referral {
	s.t.Helper()
	list, err := s.Referrals(s.t.Context(), "bringing", store.ReferralFilter{}, 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r store.Referral) bool { return r.Invitee == invitee })
	if i < 0 {
		s.t.Fatalf("%s was brought by nobody", invitee)
	}
	return list[i]
}

func (s *school) points(member string) int {
	s.t.Helper()
	return s.count(`select points from members where id = $1`, member)
}

// sound asks the doctor, and holds what must be so of all referrals.
func (s *school) sound() {
	s.t.Helper()
	findings, err := s.Examine(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range findings {
		if !f.OK && f.Check != "router" {
			s.t.Errorf("%s: %s", f.Check, f.Detail)
		}
	}
	for what, sql := range map[string]string{
		"sides that were rewarded twice": `select count(*) from (select from grants where step = '1' and state = 'granted'
			and journey in (select id from journeys where journey = 'referral') group by journey, member having count(*) > 1) x`,
		"grants of referrals that never vested": `select count(*) from grants g join journeys j on j.id = g.journey join referrals r on r.invitee = j.member
			where j.journey = 'referral' and g.state = 'granted' and r.state not in ('vested', 'clawed-back')`,
		"grants of clawed-back referrals that were not taken back": `select count(*) from grants g join journeys j on j.id = g.journey join referrals r on r.invitee = j.member
			where j.journey = 'referral' and g.state = 'granted' and r.state = 'clawed-back' and not exists (select from clawbacks v where v.grant_key = g.key)`,
		"rewards of referrals that stand, taken back whole": `select count(*) from (select v.grant_key, sum(v.points) as points from clawbacks v group by v.grant_key) v
			join grants g on g.key = v.grant_key join journeys j on j.id = g.journey join referrals r on r.invitee = j.member
			where j.journey = 'referral' and r.state <> 'clawed-back' and v.points >= g.worth`,
		"journeys whose state is not that of their referral": `select count(*) from journeys j join referrals r on r.invitee = j.member
			where j.journey = 'referral' and j.state #>> '{referral,state}' is not null and j.state #>> '{referral,state}' <> r.state`,
	} {
		if n := s.count(sql); n != 0 {
			s.t.Errorf("%d %s", n, what)
		}
	}
}

// One referral through all its states, with what is seen of it at each.
func TestReferralLife(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old", "new")
	code := s.code("old")
	if again := s.code("old"); again != code || len(code) != codes.Length {
		t.Fatalf("codes %s and %s", code, again)
	}
	bound, err := s.bind(code, "new")
	if err != nil || bound.State != campaign.ReferralBound || bound.Inviter != "old" {
		t.Fatalf("%+v %v", bound, err)
	}
	if again, err := s.bind(code, "new"); err != nil || again.ID != bound.ID {
		t.Fatalf("the same again: %+v %v", again, err)
	}
	if n := s.count(`select count(*) from journeys where member = 'new'`); n != 2 {
		t.Fatalf("%d journeys began with the binding", n)
	}
	s.work()
	if step, summary := s.summary("new"); step != "referral bound" || summary != "waits for order.paid until 03-31 10:00" {
		t.Errorf("bound: %q, %q", step, summary)
	}
	if n := s.count(`select count(*) from members where id = 'new' and inviter = 'old' and source = 'referral'`); n != 1 {
		t.Error("nobody knows who brought her")
	}
	s.later(time.Hour + time.Minute)
	s.work() // her own journey thanks the inviter
	if n := s.points("old"); n != 200 {
		t.Errorf("the inviter has %d points from the step `to: inviter`", n)
	}
	s.later(24 * time.Hour)
	s.pays("new", "o-1")
	s.work()
	if step, summary := s.summary("new"); step != "referral qualified" || !strings.HasPrefix(summary, "the rewards are held until 03-04 11:01") {
		t.Errorf("qualified: %q, %q", step, summary)
	}
	if r := s.referral("new"); r.State != campaign.ReferralQualified || r.Order != "o-1" {
		t.Errorf("%+v", r)
	}
	s.later(48 * time.Hour)
	s.work()
	if step, summary := s.summary("new"); step != "referral vested" || !strings.HasPrefix(summary, "a refund takes the rewards back until 03-14 11:01") {
		t.Errorf("vested: %q, %q", step, summary)
	}
	r := s.referral("new")
	if r.State != campaign.ReferralVested || r.Success != 1 || r.InviterReward != "bring" || r.InviteeReward != "first" || !r.ClosedAt.Equal(r.QualifiedAt.Add(48*time.Hour)) {
		t.Errorf("%+v", r)
	}
	if old, fresh := s.points("old"), s.points("new"); old != 400 || fresh != 100 {
		t.Errorf("%d and %d points", old, fresh)
	}
	if n := s.count(`select count(*) from journeys where member = 'old' and journey = 'inviter'`); n != 1 {
		t.Errorf("the inviter's journey began %d times", n)
	}
	s.sound()
	s.refunds("new", "another")
	s.work()
	if r := s.referral("new"); r.State != campaign.ReferralVested {
		t.Errorf("another order's refund: %+v", r)
	}
	s.refunds("new", "o-1")
	s.work()
	if step, summary := s.summary("new"); step != "ended" || summary != "clawed-back" {
		t.Errorf("clawed back: %q, %q", step, summary)
	}
	if old, fresh := s.points("old"), s.points("new"); old != 200 || fresh != 0 {
		t.Errorf("%d and %d points", old, fresh)
	}
	s.sound()
	var told []string
	rows, err := s.Pool().Query(t.Context(), `select type from events where member = 'old' order by seq`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var typ string
		_ = rows.Scan(&typ)
		told = append(told, typ)
	}
	if want := []string{"referral.qualified", "referral.vested", "referral.clawed_back"}; !slices.Equal(told, want) {
		t.Errorf("the inviter was told %v", told)
	}
	leaders, err := s.ReferralLeaders(t.Context(), "bringing", time.Unix(0, 0), 10)
	if err != nil || len(leaders) != 1 || leaders[0].Vested != 0 || leaders[0].Qualified != 1 {
		t.Errorf("%+v %v", leaders, err)
	}
}

// What ends a referral otherwise: the time, a refund in the hold, a person's no.
func TestReferralEndings(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old", "late", "back", "early", "held")
	code := s.code("old", store.ReferralMarks{Device: "tablet"})
	for _, m := range []string{"late", "back", "early"} {
		if _, err := s.bind(code, m); err != nil {
			t.Fatal(err)
		}
	}
	held, err := s.bind(code, "held", store.ReferralMarks{Device: "tablet"})
	if err != nil || !held.Held {
		t.Fatalf("%+v %v", held, err)
	}
	s.refunds("early", "o-early") // a shop may tell of the refund first
	s.pays("early", "o-early")
	s.pays("back", "o-back")
	s.pays("held", "o-held")
	s.work()
	if r := s.referral("early"); r.State != campaign.ReferralBound {
		t.Errorf("refunded before it was paid: %+v", r)
	}
	s.later(47 * time.Hour)
	s.refunds("back", "o-back")
	s.work()
	if r := s.referral("back"); r.State != campaign.ReferralRejected || r.Reason != campaign.RefusedRefunded {
		t.Errorf("refunded in the hold: %+v", r)
	}
	// Nobody has decided about the tablet within a day.
	if r := s.referral("held"); r.State != campaign.ReferralRejected || r.Reason != campaign.ReasonReviewed {
		t.Errorf("held: %+v", r)
	}
	s.later(30 * 24 * time.Hour)
	s.work()
	for _, m := range []string{"late", "early"} {
		if r := s.referral(m); r.State != campaign.ReferralExpired {
			t.Errorf("%s: %+v", m, r)
		}
	}
	s.sound()
}

// A referral that is held vests when a person approves, and not before.
func TestReferralApproved(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old", "new")
	code := s.code("old", store.ReferralMarks{Payment: "alipay-1"})
	if _, err := s.bind(code, "new", store.ReferralMarks{Payment: "alipay-1"}); err != nil {
		t.Fatal(err)
	}
	s.pays("new", "o-1")
	s.work()
	if step, summary := s.summary("new"); step != "referral qualified" || !strings.HasPrefix(summary, "waits for keeper to decide until") {
		t.Errorf("%q, %q", step, summary)
	}
	list, err := s.Reviews(t.Context(), store.ReviewFilter{State: campaign.ReviewOpen}, 0, 10)
	if err != nil || len(list) != 1 || list[0].Detail["inviter"] != "old" {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := s.DecideReview(t.Context(), list[0].ID, campaign.Approve, "lin", "a couple"); err != nil {
		t.Fatal(err)
	}
	s.work()
	if r := s.referral("new"); r.State != campaign.ReferralQualified {
		t.Errorf("approved within the hold: %+v", r)
	}
	s.later(48 * time.Hour)
	s.work()
	if r := s.referral("new"); r.State != campaign.ReferralVested {
		t.Errorf("%+v", r)
	}
	s.sound()
}

// Steps count the successes of the inviter, and her limit ends her rewards but not those of
// whom she brings.
func TestReferralStepsAndLimit(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old")
	code := s.code("old")
	for i := range 6 {
		m := fmt.Sprintf("new-%d", i)
		s.members(m)
		if _, err := s.bind(code, m); err != nil {
			t.Fatal(err)
		}
		s.pays(m, "o-"+m)
		s.work()
		s.later(48*time.Hour + time.Minute)
		s.work()
	}
	want := []string{"bring", "bring", "five", "five", "", ""}
	for i := range 6 {
		m := fmt.Sprintf("new-%d", i)
		if r := s.referral(m); r.State != campaign.ReferralVested || r.Success != i+1 || r.InviterReward != want[i] || s.points(m) != 100 {
			t.Errorf("%d: %+v, %d points", i, r, s.points(m))
		}
	}
	if n := s.count(`select count(*) from trace where kind = 'not_granted' and params ->> 'reason' = $1`, campaign.RefusedLimit); n != 2 {
		t.Errorf("%d were refused by the limit", n)
	}
	s.sound()
}

// Every kind of reward is given to both sides, is booked as such, and is taken back from both
// with the whole of the order; a part of it takes a part of the points alone.
func TestReferralRewardsOfEveryKind(t *testing.T) {
	t.Parallel()
	const kinds = "  coupon: {coupon: {codes: generated, expires: 30d}, budget: 10}\n  vip: {benefit: vip, for: 30d}\n  ladder: {steps: [{at: 1, points: 100}, {at: 2, points: 400}], budget: 1000}\n"
	for _, c := range []struct{ inviter, invitee string }{{"coupon", "vip"}, {"vip", "coupon"}, {"ladder", "coupon"}} {
		t.Run(c.inviter+" and "+c.invitee, func(t *testing.T) {
			t.Parallel()
			source := strings.Replace(bringing, "  first: {points: 100}\n", "  first: {points: 100}\n"+kinds, 1)
			source = strings.Replace(source, "{inviter: [{from: 1, reward: bring}, {from: 3, reward: five}], invitee: first}", "{inviter: "+c.inviter+", invitee: "+c.invitee+"}", 1)
			s := newSchool(t, source)
			s.members("old", "new")
			if _, err := s.bind(s.code("old"), "new"); err != nil {
				t.Fatal(err)
			}
			s.pays("new", "o-1")
			s.work()
			s.later(48*time.Hour + time.Minute)
			s.work()
			if r := s.referral("new"); r.State != campaign.ReferralVested || r.InviterReward != c.inviter || r.InviteeReward != c.invitee {
				t.Fatalf("%+v", r)
			}
			thanked := 200 // of the step `to: inviter`
			has := func(member, reward string) bool {
				switch reward {
				case "coupon":
					return s.count(`select count(*) from coupons where member = $1 and state = 'granted'`, member) == 1
				case "vip":
					return s.count(`select count(*) from members where id = $1 and benefits ? 'vip'`, member) == 1
				}
				return s.points(member) == thanked+100
			}
			if !has("old", c.inviter) || !has("new", c.invitee) {
				t.Errorf("the inviter has it: %t, the invitee: %t", has("old", c.inviter), has("new", c.invitee))
			}
			s.sound()
			s.tell("part", "order.refunded", "new", map[string]any{"order": "o-1", "amount": map[string]string{"amount": "0.99", "currency": "CNY"}})
			s.work()
			if r := s.referral("new"); r.State != campaign.ReferralVested {
				t.Errorf("a part of the order went back: %+v", r)
			}
			want := thanked
			if c.inviter == "ladder" {
				want += 90
			}
			if n := s.points("old"); n != want {
				t.Errorf("the inviter has %d points after a tenth of the order went back, want %d", n, want)
			}
			s.refunds("new", "o-1")
			s.work()
			if r := s.referral("new"); r.State != campaign.ReferralClawedBack || has("old", c.inviter) || has("new", c.invitee) || s.points("old") != thanked {
				t.Errorf("%+v, the inviter has it: %t, the invitee: %t, %d points", r, has("old", c.inviter), has("new", c.invitee), s.points("old"))
			}
			s.sound()
		})
	}
}

// A reward in steps is paid by the number of successes, and a step that was taken back is paid
// again when it is reached again.
func TestReferralLadder(t *testing.T) {
	t.Parallel()
	source := strings.Replace(bringing, "  first: {points: 100}\n", "  first: {points: 100}\n  ladder: {steps: [{at: 1, points: 100}, {at: 3, points: 400}], budget: 2000}\n", 1)
	source = strings.Replace(source, "inviter: [{from: 1, reward: bring}, {from: 3, reward: five}], ", "inviter: ladder, ", 1)
	source = strings.Replace(source, "      - wait: 1h\n      - grant: bring\n        to: inviter\n", "      - wait: 1h\n", 1)
	source = strings.Replace(source, "  limit: {times: 4, every: 30d}\n", "", 1)
	s := newSchool(t, source)
	s.members("old")
	code := s.code("old")
	for i, want := range []int{100, 100, 400, 400} {
		m := fmt.Sprintf("new-%d", i)
		s.members(m)
		if _, err := s.bind(code, m); err != nil {
			t.Fatal(err)
		}
		s.pays(m, "o-"+m)
		s.work()
		s.later(48*time.Hour + time.Minute)
		s.work()
		if n := s.points("old"); n != want {
			t.Errorf("after success %d she has %d points, want %d", i+1, n, want)
		}
		if i == 2 {
			s.refunds(m, "o-"+m)
			s.work()
			if n := s.points("old"); n != 100 {
				t.Errorf("after the third was taken back she has %d points, want 100", n)
			}
		}
	}
	s.sound()
}

// Who leaves at once was brought for the reward alone: neither side gets one. Leaving is what
// the campaign says it is, opting out of an address, or a refund.
func TestInviteeWhoLeavesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(bringing, "    left: group.left\n", "    left: group.left\n    rules: {inviter-velocity: off, burst: off}\n", 1))
	names := []string{"stays", "leaves", "opts-out", "left-before", "opted-out-before", "leaves-later", "leaves-after-paying"}
	s.members(append([]string{"old"}, names...)...)
	code := s.code("old")
	optOut := func(member string) {
		t.Helper()
		if err := s.PutIdentities(t.Context(), store.IdentityPut{Member: member, Kind: campaign.IdentityMail, Address: member + "@example.com", State: campaign.IdentityOptedOut}); err != nil {
			t.Fatal(err)
		}
	}
	s.tell("left-1", "group.left", "left-before", map[string]any{})
	optOut("opted-out-before")
	s.later(time.Hour)
	for _, m := range names {
		if _, err := s.bind(code, m); err != nil {
			t.Fatal(err)
		}
		if m != "leaves-after-paying" {
			s.pays(m, "o-"+m)
		}
	}
	s.work()
	optOut("opts-out")
	s.later(time.Hour)
	s.tell("left-2", "group.left", "leaves", map[string]any{})
	s.later(24 * time.Hour)
	s.tell("left-3", "group.left", "leaves-later", map[string]any{})
	s.later(24 * time.Hour)
	s.pays("leaves-after-paying", "o-leaves-after-paying")
	s.work()
	s.later(time.Hour)
	s.tell("left-4", "group.left", "leaves-after-paying", map[string]any{})
	s.later(48 * time.Hour)
	s.work()
	gone := []string{"leaves", "opts-out", "leaves-after-paying"}
	for _, m := range names {
		r := s.referral(m)
		found := slices.ContainsFunc(r.Verdict.Reasons, func(x fraud.Reason) bool { return x.Rule == fraud.LeftAtOnce })
		if left := slices.Contains(gone, m); left && (r.State != campaign.ReferralRejected || r.Reason != campaign.ReasonFraud || !found) || !left && (r.State != campaign.ReferralVested || found) {
			t.Errorf("%s: %s %s, %s", m, r.State, r.Reason, r.Verdict.Words(campaign.English))
		}
	}
	if n := s.count(`select count(*) from grants g join journeys j on j.id = g.journey where j.journey = 'referral' and j.member = any($1)`, gone); n != 0 {
		t.Errorf("%d rewards for who left", n)
	}
	s.sound()
}

// Of an inviter most of whose invitees left at once a person looks at the next one.
func TestInviterWhoseInviteesLeave(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(bringing, "    left: group.left\n", "    left: group.left\n    rules: {inviter-velocity: off, burst: off}\n", 1))
	for _, c := range []struct {
		inviter string
		leave   int
		want    campaign.ReferralState
	}{{"friend", 3, campaign.ReferralVested}, {"dealer", 4, campaign.ReferralQualified}} {
		s.members(c.inviter)
		code := s.code(c.inviter)
		for i := range c.leave {
			m := fmt.Sprintf("%s-%d", c.inviter, i)
			s.members(m)
			if _, err := s.bind(code, m); err != nil {
				t.Fatal(err)
			}
			switch i % 3 {
			case 0:
				s.tell("left-"+m, "group.left", m, map[string]any{})
			case 1:
				if err := s.PutIdentities(t.Context(), store.IdentityPut{Member: m, Kind: campaign.IdentityMail, Address: m + "@example.com", State: campaign.IdentityOptedOut}); err != nil {
					t.Fatal(err)
				}
			case 2:
				s.pays(m, "o-"+m)
				s.work()
				s.refunds(m, "o-"+m)
			}
		}
		s.members(c.inviter + "-last")
		if _, err := s.bind(code, c.inviter+"-last"); err != nil {
			t.Fatal(err)
		}
		s.pays(c.inviter+"-last", "o-"+c.inviter+"-last")
		s.work()
		s.later(48*time.Hour + time.Minute)
		s.work()
		if r := s.referral(c.inviter + "-last"); r.State != c.want || r.Held != (c.want == campaign.ReferralQualified) {
			t.Errorf("%s: %+v", c.inviter, r)
		}
	}
	if _, summary := s.summary("dealer-last"); !strings.HasPrefix(summary, "waits for keeper to decide until") {
		t.Error(summary)
	}
	list, err := s.Reviews(t.Context(), store.ReviewFilter{State: campaign.ReviewOpen}, 0, 10)
	if err != nil || len(list) != 1 || list[0].Detail["inviter"] != "dealer" {
		t.Fatalf("%+v %v", list, err)
	}
	if _, err := s.DecideReview(t.Context(), list[0].ID, campaign.Approve, "lin", "she runs a branch"); err != nil {
		t.Fatal(err)
	}
	s.work()
	if r := s.referral("dealer-last"); r.State != campaign.ReferralVested {
		t.Errorf("approved: %+v", r)
	}
	s.sound()
}

// The first account of a farm looks like anybody until the others have come: when it is to
// vest, what has come since counts.
func TestReferralJudgedByWhatCameSince(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(bringing, "    left: group.left\n", "    left: group.left\n    rules: {inviter-velocity: off, burst: off}\n", 1))
	s.members("old", "first", "alone")
	code := s.code("old")
	phone := store.ReferralMarks{Device: "farm"}
	if r, err := s.bind(code, "first", phone); err != nil || r.Held {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err := s.bind(code, "alone", store.ReferralMarks{Device: "her own"}); err != nil || r.Held {
		t.Fatalf("%+v %v", r, err)
	}
	for _, m := range []string{"first", "alone"} {
		s.pays(m, "o-"+m)
	}
	s.work()
	for i := range 3 {
		m := fmt.Sprintf("farm-%d", i)
		s.members(m)
		if _, err := s.bind(code, m, phone); err != nil {
			t.Fatal(err)
		}
	}
	s.later(48*time.Hour + time.Minute)
	s.work()
	first, alone := s.referral("first"), s.referral("alone")
	if first.State != campaign.ReferralQualified || !first.Held || alone.State != campaign.ReferralVested {
		t.Errorf("%+v\n%+v", first, alone)
	}
	s.sound()
}

// Why a binding is refused.
func TestBindingRefused(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("a", "b", "c", "d", "bystander")
	if _, err := s.PutMembers(t.Context(), []store.MemberPut{{ID: "old", Tags: []string{"old"}}, {ID: "banned", Tags: []string{"banned"}}}); err != nil {
		t.Fatal(err)
	}
	a, b, c, d := s.code("a"), s.code("b"), s.code("c"), s.code("d")
	for _, of := range []struct{ code, invitee, reason string }{
		{a, "a", turn.BindSelf},
		{a, "old", turn.BindInvitee},
		{a, "b", ""},
		{b, "a", turn.BindCircle},
		{c, "b", turn.BindBound},
		{b, "c", ""},
		{c, "d", ""},
		{d, "a", turn.BindCircle}, // of four
		{a, "bystander", ""},
	} {
		_, err := s.bind(of.code, of.invitee)
		if got := refused(err); of.reason != "" && got != of.reason || of.reason == "" && err != nil {
			t.Errorf("%s by the code of %s: %v, want %q", of.invitee, of.code, err, of.reason)
		}
	}
	if _, err := s.issue("banned"); refused(err) != turn.BindInviter {
		t.Errorf("a code for one who may not invite: %v", err)
	}
	if _, err := s.SwitchReferralCode(t.Context(), "bringing", a, false); err != nil {
		t.Fatal(err)
	}
	s.members("e")
	if _, err := s.bind(a, "e"); refused(err) != turn.BindClosed {
		t.Errorf("a closed code: %v", err)
	}
	if _, err := s.SwitchReferralCode(t.Context(), "bringing", a, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.bind(a, "nobody"); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("a member whom nobody knows: %v", err)
	}
	before := s.count(`select count(*) from referrals`)
	if _, err := s.bind("AAAAAAAAAA", "e"); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("a code that there is not: %v", err)
	}
	if n := s.count(`select count(*) from referrals`); n != before {
		t.Errorf("%d referrals, there were %d", n, before)
	}
	if _, err := s.bind(a, "e", store.ReferralMarks{Phone: "+8613800000001"}); err != nil {
		t.Error(err)
	}
	s.members("f")
	if _, err := s.bind(a, "f", store.ReferralMarks{Phone: "+8613800000001"}); refused(err) != turn.BindFraud {
		t.Errorf("a phone that was bound: %v", err)
	}
	if n := s.count(`select count(*) from referral_marks where encode(hash, 'escape') like '%138%'`); n != 0 {
		t.Error("a phone stands there in clear")
	}
}

// An inviter's phone is known by her identities: that it is her own is found without her
// telling it again.
func TestBindingWithTheInvitersPhone(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old", "new")
	if err := s.PutIdentities(t.Context(), store.IdentityPut{Member: "old", Kind: campaign.IdentityPhone, Address: "+8613800000009"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.bind(s.code("old"), "new", store.ReferralMarks{Phone: "+8613800000009"}); refused(err) != turn.BindFraud {
		t.Errorf("%v", err)
	}
}

// Ten wrong codes lock out whoever tried them, and nobody else.
func TestGuessedCodesLockOut(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	s.members("old", "guesser", "honest", "neighbour")
	code := s.code("old")
	machine := store.ReferralMarks{Device: "machine", Address: netip.MustParseAddr("203.0.113.7")}
	for i := range 10 {
		if _, err := s.bind(fmt.Sprintf("XXXXXXXX%02d", i), "guesser", machine); campaign.CodeOf(err) != campaign.CodeNotFound {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	var locked *store.LockedOutError
	for name, try := range map[string]func() error{
		"the member, from elsewhere": func() error { _, err := s.bind(code, "guesser"); return err },
		"another with the device":    func() error { _, err := s.bind(code, "neighbour", store.ReferralMarks{Device: "machine"}); return err },
		"one that is not written so": func() error { return s.MissedCode(t.Context(), "guesser", machine) },
	} {
		if err := try(); !errors.As(err, &locked) || locked.After <= 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// From the same network, with another device: ten are not many for a network.
	if _, err := s.bind(code, "honest", store.ReferralMarks{Device: "phone", Address: netip.MustParseAddr("203.0.113.9")}); err != nil {
		t.Errorf("the honest neighbour: %v", err)
	}
}

// Many inviters at once want the same invitee: one gets her.
func TestOneInviterWins(t *testing.T) {
	t.Parallel()
	s := newSchool(t, bringing)
	const inviters = 24
	s.members("new")
	list := make([]string, inviters)
	for i := range list {
		m := fmt.Sprintf("old-%d", i)
		s.members(m)
		list[i] = s.code(m)
	}
	var (
		crowd sync.WaitGroup
		mu    sync.Mutex
		won   []string
	)
	for _, code := range list {
		crowd.Go(func() {
			_, err := s.bind(code, "new")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, code)
			} else if refused(err) != turn.BindBound {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	if len(won) != 1 || s.count(`select count(*) from referrals`) != 1 || s.count(`select count(*) from journeys where journey = 'referral'`) != 1 {
		t.Errorf("%d won", len(won))
	}
	s.sound()
}

// Members who all bring each other in a ring, at the same moment, again and again: whatever
// the order, no circle comes about.
func TestNoCircleAtOnce(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(bringing, "  fraud:\n", "  fraud:\n    rules: {inviter-velocity: off, burst: off}\n", 1))
	for round := range 12 {
		size := 2 + round%5
		ring := make([]string, size)
		of := make([]string, size)
		for i := range ring {
			ring[i] = fmt.Sprintf("r%d-%d", round, i)
			s.members(ring[i])
			of[i] = s.code(ring[i])
		}
		var crowd sync.WaitGroup
		circles := 0
		var mu sync.Mutex
		for i := range ring {
			crowd.Go(func() {
				if _, err := s.bind(of[(i+1)%size], ring[i]); err != nil {
					mu.Lock()
					defer mu.Unlock()
					if circles++; refused(err) != turn.BindCircle {
						t.Error(err)
					}
				}
			})
		}
		crowd.Wait()
		if circles != 1 {
			t.Errorf("a ring of %d: %d were refused", size, circles)
		}
	}
	if n := s.count(`
		with recursive up as (
			select id, invitee, inviter from referrals
			union all select u.id, u.invitee, r.inviter from up u join referrals r on r.invitee = u.inviter
		) cycle inviter set round using way
		select count(*) from up where inviter = invitee`); n != 0 {
		t.Errorf("%d circles", n)
	}
}

// Two referrals of one inviter vest at the same moment, and she takes a turn of her own
// meanwhile: everybody locks the members in one order, and each success has its number.
func TestVestTogether(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(strings.Replace(bringing, "  limit: {times: 4, every: 30d}\n", "", 1), "{from: 3, reward: five}", "{from: 9, reward: five}", 1))
	const friends = 12
	s.members("m-old")
	code := s.code("m-old")
	for i := range friends {
		m := fmt.Sprintf("%c-new", 'a'+i*2) // on both sides of the inviter
		s.members(m)
		if _, err := s.bind(code, m); err != nil {
			t.Fatal(err)
		}
		s.pays(m, "o-"+m)
	}
	s.work()
	s.later(48*time.Hour + time.Minute)
	var crowd sync.WaitGroup
	rows, err := s.Pool().Query(t.Context(), `select id, turn from journeys where status = 'active'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id int64
		var taken int
		if err := rows.Scan(&id, &taken); err != nil {
			t.Fatal(err)
		}
		for range 2 { // each is asked for twice, as after a lost answer
			crowd.Go(func() {
				if _, err := s.taker.Advance(t.Context(), id, taken+1); err != nil {
					t.Error(err)
				}
			})
		}
	}
	rows.Close()
	crowd.Wait()
	s.work()
	if n := s.count(`select count(distinct success) from referrals where state = 'vested' and success between 1 and $1`, friends); n != friends {
		t.Errorf("%d numbers of successes", n)
	}
	if n := s.count(`select deadlocks from pg_stat_database where datname = current_database()`); n != 0 {
		t.Errorf("%d transactions were broken off because of each other", n)
	}
	if got, want := s.points("m-old"), friends*200+8*200+4*500; got != want {
		t.Errorf("%d points, want %d", got, want)
	}
	s.sound()
}

// Random interleavings of bindings, orders, refunds, waits, lost answers and crashes: each
// side is rewarded at most once, states only move forward, and all sums balance.
func TestReferralInterleavings(t *testing.T) {
	t.Parallel()
	s := newSchool(t, strings.Replace(bringing, "  fraud:\n", "  fraud:\n    rules: {inviter-velocity: off, burst: off}\n", 1))
	round := 0
	seen := map[string]campaign.ReferralState{}
	rapid.Check(t, func(rt *rapid.T) {
		round++
		people := make([]string, 4)
		of := make([]string, 4)
		for i := range people {
			people[i] = fmt.Sprintf("p%d-%d", round, i)
			s.members(people[i])
			of[i] = s.code(people[i])
		}
		orders := 0
		for range rapid.IntRange(4, 12).Draw(rt, "steps") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			switch rapid.IntRange(0, 6).Draw(rt, "do") {
			case 0, 1:
				_, _ = s.bind(rapid.SampledFrom(of).Draw(rt, "code"), who)
			case 2:
				orders++
				s.pays(who, fmt.Sprintf("%s-%d", who, orders%3))
			case 3:
				s.refunds(who, fmt.Sprintf("%s-%d", who, rapid.IntRange(0, 2).Draw(rt, "order")))
			case 4:
				s.later(time.Duration(rapid.IntRange(1, 60).Draw(rt, "hours")) * time.Hour)
			case 5:
				s.crash()
			case 6:
				s.work()
			}
			s.forward(rt, seen)
		}
		s.work()
		s.forward(rt, seen)
	})
	s.sound()
}

// crash takes turns that are broken off before they are committed.
func (s *school) crash() {
	s.t.Helper()
	rows, err := s.Pool().Query(s.t.Context(), `select id, turn from journeys where status = 'active' order by id desc limit 6`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var taken int
		if err := rows.Scan(&id, &taken); err != nil {
			s.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(rand2.IntN(6))*time.Millisecond)
		_, _ = s.taker.Advance(ctx, id, taken+1)
		cancel()
	}
}

// forward holds that states only move forward.
func (s *school) forward(rt *rapid.T, seen map[string]campaign.ReferralState) {
	list, err := s.Referrals(s.t.Context(), "bringing", store.ReferralFilter{}, 0, 1000)
	if err != nil {
		rt.Fatal(err)
	}
	reaches := func(from, to campaign.ReferralState) bool {
		if from == to {
			return true
		}
		for _, a := range campaign.ReferralStates() {
			if a.Follows(from) {
				if a == to {
					return true
				}
				for _, b := range campaign.ReferralStates() {
					if b.Follows(a) && (b == to || to.Follows(b)) {
						return true
					}
				}
			}
		}
		return false
	}
	for _, r := range list {
		if before, known := seen[r.Invitee]; known && !reaches(before, r.State) {
			rt.Fatalf("%s went from %s to %s", r.Invitee, before, r.State)
		}
		seen[r.Invitee] = r.State
	}
}
