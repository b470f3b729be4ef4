package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/fraud"
	"github.com/banyanhq/banyan/store/db"
)

// newsOfReferral begins the ids of the events that tell of referrals. The number of the
// referral and its state follow, so that each is told once.
var newsOfReferral = campaign.OwnEventID("referral/")

// others finds out whom the questions change besides the members of their journeys, and
// asks for those to be locked too. One who has been asked for and does not exist is not asked
// for again.
func (p *PageTx) others(questions []Question) error {
	asked := map[string]bool{}
	for _, m := range p.with {
		asked[m] = true
	}
	var need []string
	want := func(member string) {
		if member != "" && !p.held[member] && !asked[member] {
			need, asked[member] = append(need, member), true
		}
	}
	for i := range questions {
		ask := questions[i].Ask
		switch {
		case ask.Grant != nil:
			want(ask.Grant.To)
		case ask.Vest != nil:
			want(ask.Vest.Inviter)
		case ask.ClawBack != nil:
			for _, m := range ask.ClawBack.Others {
				want(m)
			}
		}
	}
	if len(need) > 0 {
		return &othersNeededError{need}
	}
	return nil
}

// vest judges the referral once more and, if it is let, counts under the lock of the inviter
// which success of hers this is.
func (t *TurnTx) vest(ctx context.Context, ask *campaign.VestAsk) (campaign.Answer, error) {
	after := time.Unix(0, 0)
	if ask.Limit != nil {
		after = since(ask.Limit.Every, ask.At)
	}
	if err := t.page.q.QualifyReferral(ctx, ask.Qualified.At, ask.Qualified.Event, ask.Qualified.Order, ask.Referral); err != nil {
		return campaign.Answer{}, err
	}
	if ask.Fraud != nil {
		v, err := t.judgeAgain(ctx, ask)
		switch {
		case err != nil:
			return campaign.Answer{}, err
		case v.Rejected():
			return campaign.Answer{Reason: campaign.ReasonFraud}, nil
		case v.Held() && !ask.Approved:
			return campaign.Answer{Held: true}, nil
		}
	}
	row, err := t.page.q.VestReferral(ctx, ask.At, ask.Referral, ask.Inviter, after)
	if errors.Is(err, pgx.ErrNoRows) {
		return campaign.Answer{}, campaign.Errorf(campaign.CodeInternal, "referral %d is not one that can vest", ask.Referral)
	}
	t.vested = true
	answer := campaign.Answer{OK: true, Success: int(row.Success)}
	if ask.Limit != nil && int(row.Rewarded) >= ask.Limit.Times {
		answer.Reason = campaign.RefusedLimit
	}
	return answer, err
}

// latestInvitees is how many invitees of an inviter are looked at to find out whether they
// stay.
const latestInvitees = 200

// judgeAgain judges a referral that is to vest: by what was known at the binding, what has
// come since, and who has left. What it finds stands with the referral from then on.
func (t *TurnTx) judgeAgain(ctx context.Context, ask *campaign.VestAsk) (v fraud.Verdict, err error) {
	row, err := t.page.q.ReferralFactsOf(ctx, ask.Referral)
	if err != nil {
		return v, err
	}
	var f fraud.Facts
	if err := json.Unmarshal(row, &f); err != nil {
		return v, campaign.Errorf(campaign.CodeInternal, "the facts of referral %d cannot be read", ask.Referral)
	}
	rules := fraud.Of(ask.Fraud)
	g, err := t.page.q.ReferralFactsSince(ctx, db.ReferralFactsSinceParams{
		Referral: ask.Referral, Now: ask.At, Events: notNull(ask.Fraud.Left), Factor: float64(t.row.ClockFactor), Most: latestInvitees,
		LeftSeconds: rules.Within(fraud.LeftAtOnce).Seconds(), DeviceSeconds: rules.Within(fraud.DeviceVelocity).Seconds(),
		InviterSeconds: rules.Within(fraud.InviterVelocity).Seconds(), NetworkSeconds: rules.Within(fraud.InviterNetwork).Seconds(),
		BurstSeconds: rules.Within(fraud.Burst).Seconds(),
	})
	if err != nil {
		return v, err
	}
	f.SamePhone, f.SamePayment, f.SameDevice = f.SamePhone || g.SamePhone, f.SamePayment || g.SamePayment, f.SameDevice || g.SameDevice
	f.DeviceMembers, f.InviterNetwork = max(f.DeviceMembers, int(g.DeviceMembers)), max(f.InviterNetwork, int(g.InviterNetwork))
	if n := int(g.InviterBinds); n > f.InviterBinds {
		f.InviterBinds, f.InviterNetworks = n, int(g.InviterNetworks)
	}
	if n := int(g.BurstBinds); n > f.BurstBinds {
		f.BurstBinds, f.BurstNetworks = n, int(g.BurstNetworks)
	}
	f.InviterOld, f.InviterLeft = int(g.InviterOld), int(g.InviterLeft)
	if f.Left = g.LeftSeconds >= 0; f.Left {
		f.LeftAfter = time.Duration(g.LeftSeconds * float64(time.Second))
	}
	v = fraud.Judge(rules, f)
	verdict, err := json.Marshal(v)
	if err != nil {
		return v, err
	}
	return v, t.page.q.SetVerdict(ctx, verdict, v.Held(), ask.Referral)
}

// saveReferrals queues what the referral came to, and the news of it for the inviter. The
// table lets it only move forward, so a turn that would do otherwise fails as a whole.
func (t *TurnTx) saveReferrals(_ int, d *campaign.Decision) error {
	for _, e := range d.Referrals {
		if e.State != campaign.ReferralQualified || !t.vested { // or it has been written with the vesting
			if err := t.page.queued.MoveReferral(context.Background(), db.MoveReferralParams{
				ID: e.Referral, State: string(e.State), At: e.At, Event: e.Event, OrderID: e.Order, Reason: e.Reason, InviterReward: e.Inviter, InviteeReward: e.Invitee,
			}); err != nil {
				return err
			}
		}
		if err := t.page.queued.NewsOfReferral(context.Background(), t.row.ID, newsOfReferral, string(e.State), e.Referral); err != nil {
			return err
		}
		t.page.news = true
	}
	return nil
}

// ReferralCode is by what a member brings others.
type ReferralCode struct {
	ID        int64
	Code      string
	Campaign  string
	Member    string
	Open      bool
	Clicks    int64
	CreatedAt time.Time
	ClosedAt  time.Time
}

func referralCodeOf(r db.ReferralCode) ReferralCode {
	return ReferralCode{
		ID: r.ID, Code: r.Code, Campaign: r.Campaign, Member: r.Member, Open: r.State == "open", Clicks: r.Clicks, CreatedAt: r.CreatedAt, ClosedAt: orZero(r.ClosedAt),
	}
}

// ReferralMarks are what is told of somebody in a referral. They are kept as keyed hashes
// alone; what they are is forgotten with the request.
type ReferralMarks struct {
	Device  string
	Address netip.Addr // on the network
	Phone   string     // as campaign.ParseAddress gives it
	Payment string     // the account with which she pays
	Request string     // the caller's own id of the request, which nobody uses twice
}

// hashed are the marks as they are kept.
type hashed struct {
	kinds                     []string
	hashes                    [][]byte
	device, network, phone    []byte
	guessers, guessingNetwork [][]byte
}

func (s *sealer) markHash(kind, value string) []byte {
	mac := hmac.New(sha256.New, s.hash)
	mac.Write([]byte("referral\x00" + kind + "\x00" + value))
	return mac.Sum(nil)
}

func (s *sealer) marks(member string, m *ReferralMarks) hashed {
	var h hashed
	add := func(kind string, hash []byte) []byte {
		h.kinds, h.hashes = append(h.kinds, kind), append(h.hashes, hash)
		return hash
	}
	if m.Device != "" {
		h.device = add("device", s.markHash("device", m.Device))
		h.guessers = append(h.guessers, h.device)
	}
	if block, ok := fraud.Network(m.Address); ok {
		h.network = add("network", s.markHash("network", block.String()))
		h.guessingNetwork = [][]byte{h.network}
	}
	if m.Phone != "" {
		h.phone = add("phone", s.hashOf(campaign.IdentityPhone, "", m.Phone)) // as identities have it
	}
	if m.Payment != "" {
		add("payment", s.markHash("payment", m.Payment))
	}
	if m.Request != "" {
		add("request", s.markHash("request", m.Request))
	}
	if member != "" {
		h.guessers = append(h.guessers, s.markHash("member", member))
	}
	return h
}

// ReferralTx is an open transaction about members in referrals: their rows are locked, and
// the campaign's clock was read after that.
type ReferralTx struct {
	EntryTx
	Campaign RunningCampaign
	Code     ReferralCode // of a binding; otherwise what she has already
	Bound    *Referral    // the invitee's, in this campaign
	marks    hashed
}

// Limits of guessed codes: so many wrong ones within a span, from one member, device or
// network, and no code of theirs is looked at for a while. A network is a whole firm or a
// carrier's gateway, so it has more room.
const (
	guessMost, guessNetworkMost = 10, 200
	guessSpan                   = 15 * time.Minute
	guessLockout                = 15 * time.Minute
)

// LockedOutError says that too many wrong codes came from somebody.
type LockedOutError struct{ After time.Duration }

// Error says so, without saying what was locked.
func (*LockedOutError) Error() string {
	return "too many wrong codes came from this member, device or network; wait before the next one"
}

// checkGuesses answers how long nobody of these may try a code.
func checkGuesses(ctx context.Context, q *db.Queries, h *hashed) error {
	subjects := append(append([][]byte{}, h.guessers...), h.guessingNetwork...)
	if len(subjects) == 0 {
		return nil
	}
	lock, err := q.GuessLock(ctx, subjects)
	if err == nil && lock.Until.After(lock.Now) {
		err = &LockedOutError{After: lock.Until.Sub(lock.Now)}
	}
	return err
}

func missed(ctx context.Context, q *db.Queries, h *hashed) error {
	for _, of := range []struct {
		subjects [][]byte
		most     int32
	}{{h.guessers, guessMost}, {h.guessingNetwork, guessNetworkMost}} {
		if len(of.subjects) == 0 {
			continue
		}
		if err := q.GuessMissed(ctx, of.subjects, guessSpan.Seconds(), of.most, guessLockout.Seconds()); err != nil {
			return err
		}
	}
	return nil
}

// noSuchCode is the same for every code that is not one, whatever is wrong with it.
func noSuchCode() error { return campaign.Errorf(campaign.CodeNotFound, "there is no such code") }

// MissedCode notes a wrong code that need not be looked up, because none is written so.
func (s *Store) MissedCode(ctx context.Context, member string, m ReferralMarks) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	h := sealer.marks(member, &m)
	err = s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		if err := checkGuesses(ctx, q, &h); err != nil {
			return err
		}
		return missed(ctx, q, &h)
	})
	return errOr(lockedOut(err, "note a wrong code"), noSuchCode())
}

// InBinding opens a transaction in which an invitee may be bound to the inviter whose code
// it is. The two members are locked, in one order. A code that there is not is noted.
func (s *Store) InBinding(ctx context.Context, code, invitee string, m ReferralMarks, do func(*ReferralTx) error) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	h := sealer.marks(invitee, &m)
	var refused error
	err = s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		refused = nil
		if err := checkGuesses(ctx, q, &h); err != nil {
			return err
		}
		row, err := q.ReferralCodeBy(ctx, code)
		if errors.Is(err, pgx.ErrNoRows) {
			refused = noSuchCode()
			return missed(ctx, q, &h)
		}
		if err != nil {
			return err
		}
		t := &ReferralTx{EntryTx: EntryTx{tx: tx, q: q}, Code: referralCodeOf(row), marks: h}
		if err := t.lock(ctx, []string{row.Member, invitee}); err != nil {
			return err
		}
		if t.Entrant(invitee) == nil {
			return campaign.Errorf(campaign.CodeNotFound, "there is no member %q: import her first, or tell an event of hers", invitee)
		}
		if t.Entrant(row.Member) == nil {
			return noSuchCode() // she was erased
		}
		if t.Campaign, err = campaignNow(ctx, q, row.Campaign); err != nil {
			return err
		}
		switch row, err := q.ReferralOfInvitee(ctx, row.Campaign, invitee); {
		case err == nil:
			if t.Bound, err = referralOf(row, t.Code.Code); err != nil {
				return err
			}
			if row.Code != t.Code.ID {
				t.Bound.Code = ""
			}
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		return do(t)
	})
	if err == nil && refused == nil {
		s.Notify()
	}
	return errOr(lockedOut(err, "bind a member"), refused)
}

// lockedOut keeps a LockedOutError as it is.
func lockedOut(err error, doing string) error {
	var locked *LockedOutError
	if errors.As(err, &locked) {
		return locked
	}
	return translate(err, doing)
}

// Chain lists who brought a member, who brought that one, and so on. Two bindings that might
// close a circle together wait for each other here: one closes a circle only where its
// invitee has brought somebody, and whoever binds such a one holds the lock. The row locks
// of both members see to the rest: nobody is bound to her, or she to somebody, meanwhile.
func (t *ReferralTx) Chain(ctx context.Context, invitee, inviter string) ([]string, error) {
	has, err := t.q.HasInvitees(ctx, t.Campaign.Name, invitee)
	if err != nil || !has {
		return nil, err
	}
	if err := t.q.LockReferralTree(ctx, t.Campaign.Name); err != nil {
		return nil, err
	}
	return t.q.ReferralChain(ctx, t.Campaign.Name, inviter)
}

// Facts gathers what the rules of fraud ask about the binding.
func (t *ReferralTx) Facts(ctx context.Context, rules fraud.Rules, inviter, invitee string) (fraud.Facts, error) {
	f := fraud.Facts{Inviter: inviter, Invitee: invitee}
	span := func(name fraud.Name) time.Time {
		return since(max(rules.Within(name), time.Nanosecond), t.Campaign.Now)
	}
	p := db.ReferralFactsParams{
		Campaign: t.Campaign.Name, Inviter: inviter, Invitee: invitee, Hashes: notNull(t.marks.hashes), Phones: [][]byte{}, Networks: [][]byte{},
		Guessers: notNull(t.marks.guessers), GuessingNetworks: notNull(t.marks.guessingNetwork),
		SinceDevice: span(fraud.DeviceVelocity), SinceInviter: span(fraud.InviterVelocity), SinceInviterNetwork: span(fraud.InviterNetwork),
		SinceNetwork: span(fraud.NetworkVelocity), SinceBurst: span(fraud.Burst),
		CodeSeconds: rules.Within(fraud.GuessedCode).Seconds(), NetworkSeconds: rules.Within(fraud.GuessingNetwork).Seconds(),
	}
	if t.marks.phone != nil {
		p.Phones = [][]byte{t.marks.phone}
	}
	if t.marks.network != nil {
		p.Networks = [][]byte{t.marks.network}
	}
	r, err := t.q.ReferralFacts(ctx, p)
	if err != nil {
		return f, err
	}
	f.SamePhone, f.SamePayment, f.SameDevice = r.SamePhone, r.SamePayment, r.SameDevice
	f.PhoneBound, f.PaymentBound, f.DeviceMembers = int(r.PhoneBound), int(r.PaymentBound), int(r.DeviceMembers)
	f.InviterBinds, f.InviterNetworks = int(r.InviterBinds), int(r.InviterNetworks)
	f.InviterNetwork, f.NetworkBinds = int(r.InviterNetwork), int(r.NetworkBinds)
	f.BurstBinds, f.BurstNetworks = int(r.BurstBinds), int(r.BurstNetworks)
	f.CodeFailures, f.NetworkFailures, f.RequestMembers = int(r.CodeFailures), int(r.NetworkFailures), int(r.RequestMembers)
	return f, nil
}

// Bind binds the invitee to the inviter whose code it is. It answers the event by which her
// journeys learn of it. The facts are kept to judge her again by: of her addresses no more
// than what was found against her.
func (t *ReferralTx) Bind(ctx context.Context, invitee, channel string, f fraud.Facts, v fraud.Verdict) (*Referral, StoredEvent, error) {
	hit := func(name fraud.Name) bool {
		return slices.ContainsFunc(v.Reasons, func(r fraud.Reason) bool { return r.Rule == name })
	}
	if !hit(fraud.DisposableMail) {
		f.MailDomain = ""
	}
	if !hit(fraud.DisposablePhone) {
		f.PhonePrefix = ""
	}
	verdict, err := json.Marshal(v)
	if err != nil {
		return nil, StoredEvent{}, err
	}
	facts, err := json.Marshal(f)
	if err != nil {
		return nil, StoredEvent{}, err
	}
	held := v.Held()
	row, err := t.q.InsertReferral(ctx, db.InsertReferralParams{
		Campaign: t.Campaign.Name, Version: int32(t.Campaign.Version), Code: t.Code.ID, Inviter: t.Code.Member, Invitee: invitee, Channel: channel,
		Held: held, Facts: facts, Verdict: verdict, BoundAt: t.Campaign.Now,
	})
	if err != nil {
		return nil, StoredEvent{}, err
	}
	if err := t.mark(ctx, invitee, &row.ID); err != nil {
		return nil, StoredEvent{}, err
	}
	if err := t.q.BroughtBy(ctx, t.Code.Member, invitee); err != nil {
		return nil, StoredEvent{}, err
	}
	properties, err := json.Marshal(campaign.Bond{
		Campaign: t.Campaign.Name, Referral: row.ID, Code: t.Code.Code, Inviter: t.Code.Member, Channel: channel, Held: held,
	})
	if err != nil {
		return nil, StoredEvent{}, err
	}
	e := StoredEvent{Event: campaign.Event{
		ID: campaign.ReferralEventID(strconv.FormatInt(row.ID, 10), campaign.ReferralBound), Type: campaign.EventReferralBound, Member: invitee,
		Time: row.BoundAt, Properties: properties,
	}}
	stored, err := t.q.TellReferral(ctx, db.TellReferralParams{Event: e.ID, Type: e.Type, Member: invitee, At: e.Time, Properties: properties})
	if err != nil {
		return nil, StoredEvent{}, err
	}
	e.Seq, e.Stored = stored.Seq, stored.StoredAt
	out, err := referralOf(row, t.Code.Code)
	return out, e, err
}

func (t *ReferralTx) mark(ctx context.Context, member string, referral *int64) error {
	if len(t.marks.kinds) == 0 {
		return nil
	}
	return t.q.MarkReferral(ctx, db.MarkReferralParams{
		Campaign: t.Campaign.Name, Member: member, Referral: referral, At: t.Campaign.Now, Kinds: t.marks.kinds, Hashes: t.marks.hashes,
	})
}

// InIssuing opens a transaction in which a member may be given a code of a campaign. Code is
// the one that she has already, if she does.
func (s *Store) InIssuing(ctx context.Context, name, member string, m ReferralMarks, do func(*ReferralTx) error) error {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return err
	}
	m.Request = ""
	err = s.inQuickTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		t := &ReferralTx{EntryTx: EntryTx{tx: tx, q: q}, marks: sealer.marks("", &m)}
		if err := t.lock(ctx, []string{member}); err != nil {
			return err
		}
		if t.Entrant(member) == nil {
			return campaign.Errorf(campaign.CodeNotFound, "there is no member %q", member)
		}
		var err error
		if t.Campaign, err = campaignNow(ctx, q, name); err != nil {
			return err
		}
		switch row, err := q.ReferralCodeOf(ctx, name, member); {
		case err == nil:
			t.Code = referralCodeOf(row)
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		return do(t)
	})
	return translate(err, "give a member a code")
}

// Issue gives the member her code; draw makes one by chance. What is known of her is
// remembered, to compare it with that of whom she brings.
func (t *ReferralTx) Issue(ctx context.Context, member string, draw func() (string, error)) error {
	const tries = 20 // each is taken once in millions of times
	for range tries {
		if t.Code.ID != 0 {
			return t.mark(ctx, member, nil)
		}
		code, err := draw()
		if err != nil {
			return err
		}
		row, err := t.q.PutReferralCode(ctx, code, t.Campaign.Name, member)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		t.Code = referralCodeOf(row)
	}
	if t.Code.ID == 0 {
		return campaign.Errorf(campaign.CodeInternal, "no free code was found in %d tries: make codes longer", tries)
	}
	return t.mark(ctx, member, nil)
}

// SwitchReferralCode closes a code of a campaign, or opens it again. Who is bound by it stays
// so.
func (s *Store) SwitchReferralCode(ctx context.Context, name, code string, open bool) (ReferralCode, error) {
	do := s.queries.CloseReferralCode
	if open {
		do = s.queries.OpenReferralCode
	}
	row, err := do(ctx, name, code)
	if err != nil {
		return ReferralCode{}, found(err, "code of campaign "+name+":", code)
	}
	return referralCodeOf(row), nil
}

// ReferralCode reads a code.
func (s *Store) ReferralCode(ctx context.Context, code string) (ReferralCode, error) {
	row, err := s.queries.ReferralCodeBy(ctx, code)
	if err != nil {
		return ReferralCode{}, found(err, "code", code)
	}
	return referralCodeOf(row), nil
}

// Click is a click on the short link of a code, and where it leads.
type Click struct {
	Code ReferralCode
	Link string    // of the campaign's newest version
	Now  time.Time // on the campaign's clock
}

// Click counts a click on the short link of an open code, and keeps nothing else of it. A
// code that there is not is noted, so that nobody looks for codes by clicking.
func (s *Store) Click(ctx context.Context, code string, m ReferralMarks) (out Click, err error) {
	sealer, err := s.sealer(ctx)
	if err != nil {
		return out, err
	}
	h := sealer.marks("", &m)
	var refused error
	err = s.inQuickTx(ctx, func(_ pgx.Tx, q *db.Queries) error {
		refused = nil
		if err := checkGuesses(ctx, q, &h); err != nil {
			return err
		}
		row, err := q.ReferralCodeBy(ctx, code)
		if errors.Is(err, pgx.ErrNoRows) {
			refused = noSuchCode()
			return missed(ctx, q, &h)
		}
		if err != nil {
			return err
		}
		c, err := campaignNow(ctx, q, row.Campaign)
		if err != nil {
			return err
		}
		def, err := definition(ctx, q, c.Digest)
		if err != nil {
			return err
		}
		if row.State != "open" || !c.TakesEntrants() || def.Referral == nil || def.Referral.Link == "" || !def.Window.Contains(c.Now) {
			refused = noSuchCode()
			return nil
		}
		out = Click{Code: referralCodeOf(row), Link: def.Referral.Link, Now: c.Now}
		return q.ClickReferralCode(ctx, row.ID)
	})
	return out, errOr(lockedOut(err, "count a click"), refused)
}

// Referral is who brought whom, as it stands. Its times are the campaign's.
type Referral struct {
	ID            int64
	Campaign      string
	Code          string // empty: another than the one that was asked about
	Inviter       string
	Invitee       string
	Channel       string
	State         campaign.ReferralState
	Held          bool
	Verdict       fraud.Verdict
	BoundAt       time.Time
	QualifiedAt   time.Time
	ClosedAt      time.Time // vested, rejected or expired
	ClawedBackAt  time.Time
	Order         string
	Reason        string
	Success       int // which of the inviter's it is; 0: it did not vest
	InviterReward string
	InviteeReward string
}

func referralOf(r db.Referral, code string) (*Referral, error) {
	out := &Referral{
		ID: r.ID, Campaign: r.Campaign, Code: code, Inviter: r.Inviter, Invitee: r.Invitee, Channel: r.Channel, State: campaign.ReferralState(r.State),
		Held: r.Held, BoundAt: r.BoundAt, QualifiedAt: orZero(r.QualifiedAt), ClosedAt: orZero(r.ClosedAt), ClawedBackAt: orZero(r.ClawedBackAt),
		Order: r.OrderID, Reason: r.Reason, InviterReward: r.InviterReward, InviteeReward: r.InviteeReward,
	}
	if r.Success != nil {
		out.Success = int(*r.Success)
	}
	if err := json.Unmarshal(r.Verdict, &out.Verdict); err != nil {
		return nil, campaign.Errorf(campaign.CodeInternal, "the verdict on referral %d cannot be read", r.ID)
	}
	return out, nil
}

// ReferralFilter says which referrals a list is about; what is empty does not matter.
type ReferralFilter struct {
	State   campaign.ReferralState
	Inviter string
}

// Referrals lists referrals of a campaign, the newest first: those before the number given,
// or from the newest on where it is 0.
func (s *Store) Referrals(ctx context.Context, name string, f ReferralFilter, before int64, most int) ([]Referral, error) {
	rows, err := s.queries.ListReferrals(ctx, db.ListReferralsParams{Campaign: name, State: string(f.State), Inviter: f.Inviter, Before: before, Most: int32(most)})
	if err != nil {
		return nil, translate(err, "list the referrals")
	}
	out := make([]Referral, len(rows))
	for i, r := range rows {
		one, err := referralOf(db.Referral{
			ID: r.ID, Campaign: r.Campaign, Version: r.Version, Code: r.Code, Inviter: r.Inviter, Invitee: r.Invitee, Channel: r.Channel, State: r.State,
			Held: r.Held, Facts: r.Facts, Verdict: r.Verdict, BoundAt: r.BoundAt, QualifiedAt: r.QualifiedAt, ClosedAt: r.ClosedAt, ClawedBackAt: r.ClawedBackAt, Event: r.Event,
			OrderID: r.OrderID, Reason: r.Reason, Success: r.Success, InviterReward: r.InviterReward, InviteeReward: r.InviteeReward, CreatedAt: r.CreatedAt,
		}, r.CodeText)
		if err != nil {
			return nil, err
		}
		out[i] = *one
	}
	return out, nil
}

// ReferralLeader is an inviter on the leaderboard. Those with as many vested referrals have
// the same rank.
type ReferralLeader struct {
	Rank      int64
	Inviter   string
	Bound     int64
	Qualified int64 // ever
	Vested    int64
	Rewarded  int64
}

// ReferralLeaders lists the inviters of a campaign by how many of those whom they brought
// since a moment are vested.
func (s *Store) ReferralLeaders(ctx context.Context, name string, since time.Time, most int) ([]ReferralLeader, error) {
	rows, err := s.queries.ReferralLeaders(ctx, name, since, int32(most))
	if err != nil {
		return nil, translate(err, "rank the inviters")
	}
	out := make([]ReferralLeader, len(rows))
	for i, r := range rows {
		out[i] = ReferralLeader{Rank: r.Place, Inviter: r.Inviter, Bound: r.Bound, Qualified: r.Qualified, Vested: r.Vested, Rewarded: r.Rewarded}
	}
	return out, nil
}

// PruneGuesses forgets wrong codes that matter no more.
func (s *Store) PruneGuesses(ctx context.Context) (int64, error) {
	n, err := s.queries.PruneGuesses(ctx)
	return n, translate(err, "forget wrong codes")
}

func checkReferrals(ctx context.Context, q *db.Queries) (Finding, error) {
	r, err := q.DoctorReferrals(ctx, newsOfReferral)
	if r.Forgotten+r.Untold == 0 {
		return Finding{Check: "referrals", OK: true, Detail: "every referral under way is followed, and its inviter was told of every state"}, err
	}
	var wrong []string
	if r.Forgotten > 0 {
		wrong = append(wrong, fmt.Sprintf("%d referrals under way that no journey follows", r.Forgotten))
	}
	if r.Untold > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of whose state the inviter was not told", r.Untold))
	}
	return Finding{Check: "referrals", Detail: strings.Join(wrong, ", ")}, err
}
