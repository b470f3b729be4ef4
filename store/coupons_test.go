package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/codes"
	"github.com/banyanhq/banyan/store"
)

// coupons is a reward that gives coupons.
func coupons(from campaign.CodeSource) campaign.Reward {
	return campaign.Reward{Name: "welcome", Coupon: &campaign.Coupon{Codes: from, Length: 16}}
}

// fill imports n codes into a pool.
func (k *till) fill(tb testing.TB, name, prefix string, n int) store.Imported {
	tb.Helper()
	var file strings.Builder
	file.WriteString("code,what\n")
	for i := range n {
		fmt.Fprintf(&file, "%s-%06d,something\n", prefix, i)
	}
	out, err := k.ImportCoupons(tb.Context(), name, "welcome", strings.NewReader(file.String()), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func wishesOf(k *till, name string, reward *campaign.Reward) (wishes []wish) {
	for i, row := range k.rows {
		wishes = append(wishes, wish{row, fmt.Sprintf("%s/%d", name, i), reward})
	}
	return wishes
}

// More members than the pool has codes ask at the same time: as many are granted as there
// are codes, each gets one of her own, and the others hear why not. What is given back in
// between by transactions that break off is given to others.
func TestAPoolIsGivenToItsLastCode(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		name         string
		codes, asked int
		page         int
		budget       int64
		breaks       bool
	}{
		{name: "one by one", codes: 700, asked: 800, page: 1},
		{name: "in pages", codes: 1_000, asked: 1_100, page: 23},
		{name: "with a budget below it", codes: 500, asked: 600, page: 7, budget: 444},
		{name: "while transactions break off", codes: 400, asked: 700, page: 3, breaks: true},
		{name: "none at all", codes: 0, asked: 5, page: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			reward := coupons(campaign.CodesPool)
			reward.Budget = c.budget
			k, name := newTill(t, s, nil, c.asked, reward)
			if c.codes > 0 {
				k.fill(t, name, name, c.codes)
			}
			var mu sync.Mutex
			held := map[string]string{}
			refused := map[string]int{}
			broken := errors.New("broken off")
			clients(t, 32, wishesOf(k, name, &reward), c.page, func(list []wish) error {
				for try := 0; ; try++ {
					answers, err := k.grant(t.Context(), list, func() error {
						if c.breaks && try == 0 && rand.N(3) == 0 {
							return broken
						}
						return nil
					})
					if errors.Is(err, broken) {
						continue
					}
					if campaign.CodeOf(err) == campaign.CodeUnavailable && try < 20 {
						continue // as the worker tries a turn again
					}
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					for i, a := range answers {
						switch {
						case !a.OK:
							refused[a.Reason]++
						case held[a.Piece.Code] != "":
							return fmt.Errorf("%s and %s have the same code", held[a.Piece.Code], list[i].key)
						default:
							held[a.Piece.Code] = list[i].key
						}
					}
					return nil
				}
			})
			want, reason := c.codes, campaign.RefusedPool
			if c.budget > 0 {
				want, reason = int(c.budget), campaign.RefusedBudget
			}
			if len(held) != want || refused[reason] != c.asked-want || len(refused) != 1 {
				t.Errorf("%d were granted, %v refused; want %d and the others for %s", len(held), refused, want, reason)
			}
			if n := k.number(t, `select count(distinct member) from coupons where campaign = $1 and state = 'granted'`, name); n != int64(want) {
				t.Errorf("%d members hold one", n)
			}
			k.sound(t)
		})
	}
}

// A reward whose codes came from a pool makes them since its next version. Members of both are in
// one page: those of the old one get what is left in the pool, and the others are refused nothing.
func TestAPoolThatRunsOutRefusesNobodyElse(t *testing.T) {
	s := open(t)
	pooled, made := coupons(campaign.CodesPool), coupons(campaign.CodesGenerated)
	for _, left := range []int{0, 2} {
		k, name := newTill(t, s, nil, 9, pooled)
		if left > 0 {
			k.fill(t, name, name, left)
		}
		k.submit(t, name, made)
		list := wishesOf(k, name, &pooled)
		for i := range list {
			if i%3 == 0 {
				list[i].reward = &made
			}
		}
		answers, err := k.grant(t.Context(), list, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for i, a := range answers {
			switch {
			case a.OK && list[i].reward == &made && codes.Valid(a.Piece.Code):
				got["made"]++
			case a.OK && strings.HasPrefix(a.Piece.Code, name):
				got["pooled"]++
			default:
				got[a.Reason]++
			}
		}
		if got["made"] != 3 || got["pooled"] != left || got[campaign.RefusedPool] != 6-left {
			t.Errorf("with %d codes left: %v", left, got)
		}
		k.sound(t)
	}
}

// A file is read in parts: what is known already is told by its lines and changes nothing,
// so it may be handed in again, and after it broke off.
func TestImportingCodes(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesPool)
	k, name := newTill(t, s, nil, 1, reward, campaign.Reward{Name: "points", Points: 5}, campaign.Reward{Name: "made", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated}})
	read := func(text string) (store.Imported, error) {
		return k.ImportCoupons(t.Context(), name, "welcome", strings.NewReader(text), nil)
	}
	out, err := read("\ufeffCode\r\nA-1\r\n \"A-2\" , x\r\n\r\nA-3\r\nA-1\r\n")
	if err != nil || out.Codes != 4 || out.Imported != 3 || out.Duplicates != 1 || fmt.Sprint(out.Lines) != "[6]" || out.Left != 3 {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = read("A-1\nA-2\nA-3\nA-4\n"); err != nil || out.Imported != 1 || out.Duplicates != 3 || fmt.Sprint(out.Lines) != "[1 2 3]" || out.Left != 4 {
		t.Errorf("again, with one more: %+v, %v", out, err)
	}
	if out := k.fill(t, name, "B", 25_000); out.Imported != 25_000 || out.Left != 25_004 {
		t.Errorf("several batches: %+v", out)
	}
	if out := k.fill(t, name, "B", 25_001); out.Imported != 1 || out.Duplicates != 25_000 || len(out.Lines) != 20 {
		t.Errorf("several batches again: %+v", out)
	}
	for _, c := range []struct{ what, text, says string }{
		{"a blank inside", "C-1\nC 2\n", "line 2"},
		{"no code", "C-1\n,x\n", "line 2: its first column is empty"},
		{"a quote that is not closed", "C-1\n\"C-2\n", "line 2"},
		{"too long", "C-1\n" + strings.Repeat("x", 129) + "\n", "128 bytes"},
		{"a line of a megabyte", "C-1\n" + strings.Repeat("x", 1<<20), "one code a line"},
		{"no text", "C-1\n\xff\xfe\n", "UTF-8"},
		{"a slash", "C-1\nC/2\n", "slashes"},
	} {
		if _, err := read(c.text); campaign.CodeOf(err) != campaign.CodeInvalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, c := range []struct {
		reward string
		code   campaign.Code
	}{{"nothing", campaign.CodeNotFound}, {"points", campaign.CodeConflict}, {"made", campaign.CodeConflict}} {
		if _, err := k.ImportCoupons(t.Context(), name, c.reward, strings.NewReader("X"), nil); campaign.CodeOf(err) != c.code {
			t.Errorf("into %s: %v", c.reward, err)
		}
	}
	if _, err := k.ImportCoupons(t.Context(), "none", "welcome", strings.NewReader("X"), nil); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("into no campaign: %v", err)
	}
	// Another campaign does not get a code that this one has.
	other, otherName := newTill(t, s, nil, 1, reward)
	if out, err := other.ImportCoupons(t.Context(), otherName, "welcome", strings.NewReader("A-1\nD-1\n"), nil); err != nil || out.Imported != 1 {
		t.Errorf("the same code twice: %+v, %v", out, err)
	}
	k.sound(t)
}

// Imports of the same codes at the same time, beside grants: each code comes in once, and
// nobody is refused while there is one.
func TestAPoolIsFilledWhileItIsGiven(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesPool)
	k, name := newTill(t, s, nil, 300, reward)
	k.fill(t, name, "x", 300)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { k.fill(t, name, "y", 12_000) })
	}
	clients(t, 8, wishesOf(k, name, &reward), 5, func(list []wish) error {
		answers, err := k.grant(t.Context(), list, nil)
		for _, a := range answers {
			if err == nil && !a.OK {
				err = fmt.Errorf("%+v", a)
			}
		}
		return err
	})
	all.Wait()
	if n := k.number(t, `select count(*) from coupons where campaign = $1`, name); n != 12_300 {
		t.Errorf("%d codes, want 12300", n)
	}
	k.sound(t)
}

// A generated code can be typed as people type, and one that nobody was given is not found.
// A coupon is reserved, captured and cancelled as points are.
func TestCouponRedemption(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesGenerated)
	reward.Coupon.Value, reward.Coupon.Holds = campaign.Money{Minor: 2000, Currency: "CNY"}, 3
	k, name := newTill(t, s, nil, 2, reward)
	ctx := t.Context()
	give := func(key string) string {
		t.Helper()
		a, err := k.grant(ctx, []wish{{k.rows[0], key, &reward}}, nil)
		if err != nil || !a[0].OK {
			t.Fatalf("%+v, %v", a, err)
		}
		return a[0].Piece.Code
	}
	code := give("a")
	if !codes.Valid(code) || len(code) != 16 {
		t.Fatalf("code of %d characters, valid: %v", len(code), codes.Valid(code))
	}
	typed := strings.ToLower(code[:4]) + " - " + code[4:]
	c, err := s.Coupon(ctx, typed)
	if err != nil || c.State != campaign.CouponGranted || c.Member != name+"-1" || c.Value.Minor != 2000 || strings.Contains(fmt.Sprintf("%+v", c), code) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := s.ReserveCoupon(ctx, typed, "o-1", time.Hour); err != nil || c.Order != "o-1" || c.HeldUntil.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := s.ReserveCoupon(ctx, code, "o-1", time.Hour); err != nil {
		t.Errorf("the same again: %v", err)
	}
	for _, order := range []string{"o-2", "o-1"} {
		if _, err := s.ReserveCoupon(ctx, code, order, time.Minute); campaign.CodeOf(err) != campaign.CodeConflict {
			t.Errorf("%s beside it: %v", order, err)
		}
	}
	for range 2 {
		if c, err := s.CaptureCoupon(ctx, code, "o-1"); err != nil || c.State != campaign.CouponRedeemed || c.Order != "o-1" || c.ClosedAt.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
	}
	for what, do := range map[string]func() error{
		"cancelled":       func() error { _, err := s.CancelCoupon(ctx, code, "o-1"); return err },
		"by another":      func() error { _, err := s.CaptureCoupon(ctx, code, "o-9"); return err },
		"another's order": func() error { _, err := s.ReserveCoupon(ctx, code, "o-9", time.Hour); return err },
		"not reserved":    func() error { _, err := s.CaptureCoupon(ctx, give("b"), "o-1"); return err },
	} {
		if err := do(); campaign.CodeOf(err) != campaign.CodeConflict {
			t.Errorf("%s: %v", what, err)
		}
	}
	back := give("c")
	if _, err := s.ReserveCoupon(ctx, back, "o-3", time.Hour); err != nil {
		t.Error(err)
	}
	for range 2 {
		if c, err := s.CancelCoupon(ctx, back, "o-3"); err != nil || c.State != campaign.CouponGranted || c.Order != "" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	// A reservation that is over holds nobody up.
	if _, err := s.ReserveCoupon(ctx, back, "o-3", time.Second); err != nil {
		t.Error(err)
	}
	if _, err := s.Pool().Exec(ctx, `update coupons set held_until = now() - interval '1 second' where held_until is not null`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CaptureCoupon(ctx, back, "o-3"); campaign.CodeOf(err) != campaign.CodeConflict {
		t.Errorf("captured after its time: %v", err)
	}
	if c, err := s.ReserveCoupon(ctx, back, "o-4", time.Hour); err != nil || c.Order != "o-4" {
		t.Errorf("%+v, %v", c, err)
	}
	// And an order whose time was over, and that is told of late, leaves the next one's alone.
	for what, late := range map[string]func(context.Context, string, string) (store.Coupon, error){"captured": s.CaptureCoupon, "cancelled": s.CancelCoupon} {
		if _, err := late(ctx, back, "o-3"); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "another order") {
			t.Errorf("%s by the order before: %v", what, err)
		}
	}
	if c, err := s.Coupon(ctx, back); err != nil || c.State != campaign.CouponGranted || c.Order != "o-4" || c.HeldUntil.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	last := code[len(code)-1:]
	wrong := code[:len(code)-1] + strings.NewReplacer("2", "3", last, "2").Replace(last)
	for _, unknown := range []string{"", "nothing", wrong, strings.Repeat("2", 16)} {
		if _, err := s.Coupon(ctx, unknown); campaign.CodeOf(err) != campaign.CodeNotFound {
			t.Errorf("an unknown code: %v", err)
		}
	}
	list, err := s.MemberCoupons(ctx, name+"-1")
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	if data, err := json.Marshal(list); err != nil || strings.Contains(string(data), code) || strings.Contains(string(data), back) {
		t.Errorf("a list tells a code: %v", err)
	}
	k.sound(t)
}

// One coupon, reserved by many orders and captured at the same time: one order has it.
func TestACouponIsRedeemedOnce(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesGenerated)
	k, name := newTill(t, s, nil, 20, reward)
	answers, err := k.grant(t.Context(), wishesOf(k, name, &reward), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for _, a := range answers {
				if _, err := s.ReserveCoupon(t.Context(), a.Piece.Code, fmt.Sprint("o-", i), time.Hour); err == nil {
					if _, err := s.CaptureCoupon(t.Context(), a.Piece.Code, fmt.Sprint("o-", i)); err != nil {
						t.Error(err)
					}
				} else if campaign.CodeOf(err) != campaign.CodeConflict {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := k.number(t, `select count(*) from ledger_postings where kind = 'redeem'`); n != 20 {
		t.Errorf("%d were redeemed, want 20", n)
	}
	k.sound(t)
}

// A member holds as many open coupons as the reward allows; a used one makes room.
func TestHowManyCouponsAMemberHolds(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesGenerated)
	reward.Coupon.Holds = 2
	k, name := newTill(t, s, nil, 1, reward)
	ctx := t.Context()
	var got []string
	ask := func(want string) {
		t.Helper()
		a, err := k.grant(ctx, []wish{{k.rows[0], fmt.Sprint(name, len(got), want, rand.Int64()), &reward}}, nil)
		if err != nil || a[0].Reason != want {
			t.Fatalf("%+v, %v; want %q", a, err, want)
		}
		if want == "" {
			got = append(got, a[0].Piece.Code)
		}
	}
	ask("")
	ask("")
	ask(campaign.RefusedHeld)
	if _, err := s.ReserveCoupon(ctx, got[0], "o", time.Hour); err != nil {
		t.Error(err)
	}
	ask(campaign.RefusedHeld)
	if _, err := s.CaptureCoupon(ctx, got[0], "o"); err != nil {
		t.Error(err)
	}
	ask("")
	ask(campaign.RefusedHeld)
	k.sound(t)
}

// What has ended expires, once, after its grace; a code of a pool goes back where the reward says
// so and is given to somebody else. A demo clock lets the time pass.
func TestCouponsExpire(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesPool)
	reward.Coupon.Expires, reward.Coupon.Returns = time.Hour, true
	keep := campaign.Reward{Name: "kept", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Expires: time.Hour, Length: 12}}
	k, name := newTill(t, s, &store.DemoClock{Factor: 3600, From: time.Now()}, 3, reward, keep)
	ctx := t.Context()
	k.fill(t, name, name, 1)
	grant := func(row int, key string, of *campaign.Reward) campaign.Answer {
		t.Helper()
		a, err := k.grant(ctx, []wish{{k.rows[row], key, of}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a[0]
	}
	first, second := grant(0, "a", &reward), grant(1, "b", &keep)
	if !first.OK || !second.OK || first.Piece.Until.Sub(first.Piece.From) != time.Hour {
		t.Fatalf("%+v, %+v", first, second)
	}
	if a := grant(1, "c", &reward); a.Reason != campaign.RefusedPool {
		t.Errorf("%+v", a)
	}
	// It is reserved while it ends: then it is kept until that is over.
	if _, err := s.ReserveCoupon(ctx, second.Piece.Code, "o-1", time.Hour); err != nil {
		t.Error(err)
	}
	for {
		n, err := s.ExpireCoupons(ctx, 100)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond) // an hour and ten minutes of the demo clock
	}
	if c, err := s.CaptureCoupon(ctx, second.Piece.Code, "o-1"); err != nil || c.State != campaign.CouponRedeemed {
		t.Errorf("reserved in time: %+v, %v", c, err)
	}
	if _, err := s.Coupon(ctx, first.Piece.Code); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("a code that went back is nobody's: %v", err)
	}
	k.sound(t)
	if a := grant(2, "d", &reward); !a.OK || a.Piece.Code != first.Piece.Code {
		t.Errorf("the code that went back is not given again: %+v", a.OK)
	}
	k.sound(t)
	report, err := s.Report(ctx, name)
	if err != nil || len(report.Coupons) != 2 || report.Coupons[1].Pool == nil || report.Coupons[1].Expired != 1 || report.Coupons[1].Open != 1 || !report.Coupons[1].Pool.Low || report.Coupons[0].Redeemed != 1 {
		t.Errorf("%+v, %v", report.Coupons, err)
	}
}

// An order that was paid with a coupon redeems it, once, whoever pays, by the order's own time.
func TestAPaidOrderRedeemsACoupon(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesGenerated)
	k, name := newTill(t, s, nil, 3, reward)
	ctx := t.Context()
	answers, err := k.grant(ctx, wishesOf(k, name, &reward), nil)
	if err != nil {
		t.Fatal(err)
	}
	paid := func(id, member, order, code string, at time.Time) campaign.Event {
		properties, err := json.Marshal(map[string]string{"order": order, "coupon": code})
		if err != nil {
			t.Fatal(err)
		}
		return campaign.Event{ID: id, Type: campaign.EventOrderPaid, Member: member, Time: at, Properties: properties}
	}
	now := time.Now()
	if _, err := s.Pool().Exec(ctx, `update coupons set ends_at = $2 where key = $1`, name+"/2", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StoreEvents(ctx, []campaign.Event{
		paid("e-1", name+"-2", "o-1", strings.ToLower(answers[0].Piece.Code), now), // somebody else's, typed by hand
		paid("e-2", name+"-1", "o-2", answers[0].Piece.Code, now.Add(time.Second)), // once more
		paid("e-3", name+"-2", "o-3", "nothing that we know", now),
		paid("e-4", name+"-3", "o-4", answers[2].Piece.Code, now), // after its end
		{ID: "e-5", Type: "lesson.attended", Member: name + "-2", Time: now, Properties: json.RawMessage(`{"coupon": "` + answers[1].Piece.Code + `"}`)},
		{ID: "e-6", Type: campaign.EventOrderPaid, Member: name + "-2", Time: now, Properties: json.RawMessage(`{"coupon": 17}`)},
	}); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := s.Route(ctx, 100, func(*store.RouteTx) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	var got []string
	for _, a := range answers {
		c, err := s.Coupon(ctx, a.Piece.Code)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(c.State)+c.Order)
	}
	if fmt.Sprint(got) != "[redeemedo-1 granted expired]" {
		t.Errorf("%v", got)
	}
	k.sound(t)
}

// An order that is told of late, and was paid with a code that has gone back to its pool since,
// leaves the member alone who has it now; and an event is held against coupons once, although
// some of it is left for later.
func TestALateOrderLeavesAnothersCoupon(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesPool)
	reward.Coupon.Returns = true
	k, name := newTill(t, s, nil, 2, reward)
	ctx := t.Context()
	k.fill(t, name, name, 1)
	code := name + "-000000"
	give := func(row int64, key string) {
		t.Helper()
		if a, err := k.grant(ctx, []wish{{row, key, &reward}}, nil); err != nil || !a[0].OK || a[0].Piece.Code != code {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	tell := func(id, order string, at time.Time) {
		t.Helper()
		properties := json.RawMessage(`{"order": "` + order + `", "coupon": "` + code + `"}`)
		if _, err := s.StoreEvents(ctx, []campaign.Event{{ID: id, Type: campaign.EventOrderPaid, Member: name + "-1", Time: at, Properties: properties}}); err != nil {
			t.Fatal(err)
		}
	}
	route := func(later bool) {
		t.Helper()
		for n := 1; n > 0; {
			var err error
			if n, err = s.Route(ctx, 100, func(tx *store.RouteTx) error {
				for i := range tx.Intents {
					if later {
						tx.Later(&tx.Intents[i])
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	stands := func(want string) {
		t.Helper()
		if c, err := s.Coupon(ctx, code); err != nil || string(c.State)+" "+c.Member+" "+c.Order != want {
			t.Errorf("%s %s %s, %v; want %s", c.State, c.Member, c.Order, err, want)
		}
	}
	give(k.rows[0], "a")
	hers := time.Now()
	if _, err := s.Pool().Exec(ctx, `select close_coupons(array(select id from coupons where key = 'a'), 'expired', '', clock_timestamp())`); err != nil {
		t.Fatal(err)
	}
	give(k.rows[1], "b")
	tell("e-1", "o-1", hers)
	route(false)
	stands("granted " + name + "-2 ")
	// Of two orders in a batch the one counts that could use it, though the other was before.
	tell("e-2", "o-2", hers)
	tell("e-3", "o-3", time.Now())
	// But it is reserved for another at that time; when that is over, nobody comes back to it.
	if _, err := s.ReserveCoupon(ctx, code, "o-4", time.Hour); err != nil {
		t.Fatal(err)
	}
	route(true)
	if _, err := s.CancelCoupon(ctx, code, "o-4"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(ctx, `update intents set due_at = clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	route(false)
	stands("granted " + name + "-2 ")
	// Nor does what a campaign has still to give points for.
	tell("e-4", "o-5", time.Now())
	if _, err := s.Pool().Exec(ctx, `update intents set kind = 'points', campaign = $1`, name); err != nil {
		t.Fatal(err)
	}
	route(false)
	stands("granted " + name + "-2 ")
	tell("e-5", "o-6", hers)
	tell("e-6", "o-7", time.Now().Add(time.Second))
	tell("e-7", "o-8", time.Now())
	route(false)
	stands("redeemed " + name + "-2 o-8")
	k.sound(t)
}

// Where there is a key, codes stand sealed in the database and are found all the same.
func TestCodesAreSealed(t *testing.T) {
	s := open(t)
	store.WithAddressKeys(s, []store.AddressKey{{1, 2, 3}})
	made, pooled := campaign.Reward{Name: "made", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Length: 16}}, coupons(campaign.CodesPool)
	k, name := newTill(t, s, nil, 1, made, pooled)
	k.fill(t, name, "SECRET", 1)
	a, err := k.grant(t.Context(), []wish{{k.rows[0], "a", &made}, {k.rows[0], "b", &pooled}}, nil)
	if err != nil || !a[0].OK || !a[1].OK || a[1].Piece.Code != "SECRET-000000" {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, answer := range a {
		if n := k.number(t, `select count(*) from coupons c where c::text like '%' || encode(convert_to($1, 'utf8'), 'hex') || '%' or c::text like '%' || $1 || '%'`, answer.Piece.Code); n != 0 {
			t.Errorf("a code stands in the database as it is")
		}
		if c, err := s.Coupon(t.Context(), answer.Piece.Code); err != nil || c.State != campaign.CouponGranted {
			t.Errorf("%+v, %v", c, err)
		}
		if text := fmt.Sprintf("%v %+v %#v", *answer.Piece, answer.Piece, *answer.Piece); strings.Contains(text, answer.Piece.Code) {
			t.Error("a piece that is printed tells its code")
		}
	}
}

// A key that is set later seals the codes that were stored before, and none of them is lost: they
// are found meanwhile and afterwards, and the same file gives nothing new.
func TestAKeyThatIsSetLaterSealsCodes(t *testing.T) {
	s := open(t)
	made, pooled := campaign.Reward{Name: "made", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Length: 16}}, coupons(campaign.CodesPool)
	k, name := newTill(t, s, nil, 2, made, pooled)
	ctx := t.Context()
	k.fill(t, name, "OLD", 1_100)
	a, err := k.grant(ctx, []wish{{k.rows[0], "a", &made}, {k.rows[0], "b", &pooled}}, nil)
	if err != nil || !a[0].OK || !a[1].OK {
		t.Fatalf("%+v, %v", a, err)
	}
	store.WithAddressKeys(s, []store.AddressKey{{1, 2, 3}})
	for _, sealed := range []bool{false, true} {
		if sealed {
			for range 2 {
				if err := s.SealAddresses(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := k.number(t, `select count(*) from coupons where not sealed or code like 'OLD%'`); n == 0 != sealed {
			t.Errorf("sealed: %v, and %d codes stand as they are", sealed, n)
		}
		for _, answer := range a {
			if c, err := s.Coupon(ctx, answer.Piece.Code); err != nil || c.State != campaign.CouponGranted {
				t.Errorf("sealed: %v: %+v, %v", sealed, c, err)
			}
		}
		if out := k.fill(t, name, "OLD", 1_100); out.Imported != 0 || out.Duplicates != 1_100 {
			t.Errorf("sealed: %v: the same file again: %+v", sealed, out)
		}
		if list, err := s.MemberCoupons(ctx, name+"-1"); err != nil || len(list) != 2 {
			t.Errorf("sealed: %v: %+v, %v", sealed, list, err)
		}
	}
	b, err := k.grant(ctx, []wish{{k.rows[1], "c", &pooled}}, nil)
	if err != nil || !b[0].OK || !strings.HasPrefix(b[0].Piece.Code, "OLD-") || b[0].Piece.Code == a[1].Piece.Code {
		t.Errorf("%+v, %v", b[0].OK, err)
	}
	k.sound(t)
}

// What a grant gave is taken back once: a coupon that is not used yet is voided, one that was
// redeemed stays so.
func TestAGrantOfACouponIsVoided(t *testing.T) {
	s := open(t)
	reward := coupons(campaign.CodesGenerated)
	k, name := newTill(t, s, nil, 2, reward)
	ctx := t.Context()
	a, err := k.grant(ctx, wishesOf(k, name, &reward), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReserveCoupon(ctx, a[1].Piece.Code, "o", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CaptureCoupon(ctx, a[1].Piece.Code, "o"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"voided", "", "", ""} {
		key := name + "/" + fmt.Sprint(i/2)
		if done, err := s.VoidGrant(ctx, key, time.Now()); err != nil || done != want {
			t.Errorf("%s: %q, %v; want %q", key, done, err, want)
		}
	}
	if _, err := s.ReserveCoupon(ctx, a[0].Piece.Code, "o", time.Hour); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "voided") {
		t.Errorf("a voided coupon: %v", err)
	}
	if _, err := s.VoidGrant(ctx, "none", time.Now()); campaign.CodeOf(err) != campaign.CodeNotFound {
		t.Errorf("no grant: %v", err)
	}
	k.sound(t)
}

// A reward gives the same kind of thing in every version.
func TestARewardKeepsItsKind(t *testing.T) {
	s := open(t)
	k, name := newTill(t, s, nil, 1, campaign.Reward{Name: "gift", Points: 100})
	for _, other := range []campaign.Reward{
		{Name: "gift", Coupon: &campaign.Coupon{Codes: campaign.CodesGenerated, Length: 16}}, {Name: "gift", Benefit: &campaign.BenefitGrant{Benefit: "vip"}},
	} {
		if err := k.change(context.Background(), name, []campaign.Reward{other}); campaign.CodeOf(err) != campaign.CodeConflict || !strings.Contains(err.Error(), "gift was points") {
			t.Errorf("%v", err)
		}
	}
	k.submit(t, name, campaign.Reward{Name: "gift", Points: 50}, campaign.Reward{Name: "other", Benefit: &campaign.BenefitGrant{Benefit: "vip"}})
}
