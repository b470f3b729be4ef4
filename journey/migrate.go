package journey

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Migration brings journeys from one version of their campaign to another. It is made
// once for all members of a journey who are on the same version.
type Migration struct {
	from, to *Program
	old, new *plan // new is nil where the other version has no such journey
	version  int
	digest   string
	choices  map[string]campaign.MigrationChoice // by step of the version that is left
	match    map[string]string
	fed      [carriesAll + 1][]string // types of events, by what a state has brought along
	needs    []campaign.Behaviour
}

// NewMigration prepares a migration of a journey from a version to another, of which it
// is told the number and the digest. Choices of other journeys or versions are not its
// own and are left out by the caller.
func NewMigration(from, to *Program, journey string, version int, digest string, choices []campaign.MigrationChoice) (*Migration, error) {
	old, err := from.plan(journey)
	if err != nil {
		return nil, err
	}
	m := &Migration{from: from, to: to, old: old, version: version, digest: digest, choices: map[string]campaign.MigrationChoice{}}
	types := old.types
	m.needs = slices.Clone(old.needs)
	if m.new = to.plans[journey]; m.new != nil {
		m.match = Match(old.Journey, m.new.Journey)
		types = append(slices.Clone(types), m.new.types...)
		slices.Sort(types)
		types = slices.Compact(types)
		for _, b := range m.new.needs {
			if !slices.Contains(m.needs, b) {
				m.needs = append(m.needs, b)
			}
		}
	}
	m.fed = feeds(types)
	for _, c := range choices {
		if c.Do == campaign.MigrationMove && (m.new == nil || m.new.nodes[c.To] == nil) {
			return nil, campaign.Errorf(campaign.CodeInvalid, "journey %s has no step %s in version %d", journey, c.To, version)
		}
		m.choices[c.Step] = c
	}
	return m, nil
}

// NeedsIn is Program.NeedsIn of a turn that migrates: what both versions need, and what the
// journey carries in any of the states in which it stands or stood.
func (m *Migration) NeedsIn(states ...*State) (types []string, behaviours []campaign.Behaviour) {
	carried := 0
	for _, s := range states {
		carried |= s.carries()
	}
	return m.fed[carried], m.needs
}

// First is the step at which a journey begins that has not taken a turn yet.
func (p *Program) First(journey string) string {
	if pl := p.plans[journey]; pl != nil {
		return pl.first
	}
	return ""
}

// Turn is a turn that migrates. The version that is left judges everything until now, as
// in any turn; then what was chosen for the step at which the journey stands is done, and
// the new version runs on from there. The decision's Migrated says how it ended.
func (m *Migration) Turn(state State, in Input) (campaign.Decision, *campaign.Ask, error) {
	r := newRunner(m.from, m.old, state, &in)
	r.live()
	if r.asked == nil && r.fault == nil {
		m.migrate(r, true)
	}
	return saved(r.result())
}

// Still moves a journey of a paused campaign as it stands: nothing is judged, sent or
// granted. When the campaign goes on the new version judges what has happened since.
func (m *Migration) Still(state State, in Input) (campaign.Decision, *campaign.Ask, error) {
	r := newRunner(m.from, m.old, state, &in)
	m.migrate(r, false)
	return saved(r.result())
}

func (m *Migration) migrate(r *runner, running bool) {
	d := &campaign.Migrated{Do: campaign.MigrationKeep, From: r.s.Step, Version: r.in.Version}
	if r.s.Fresh {
		d.From = m.old.first
	}
	r.d.Migrated = d
	choice := m.choices[d.From]
	due := r.nextDue()
	switch {
	case r.s.Outcome != "":
		d.Kept = campaign.KeptOver
	case r.s.Ending != "":
		d.Kept = campaign.KeptEnding
	case running && !due.IsZero() && !due.After(r.now):
		d.Kept = campaign.KeptBehind
	case m.leaves(r, d.From, choice) && m.formed(r, running):
		if running && r.asked == nil && r.fault == nil {
			m.migrate(r, running)
			return
		}
		d.Kept = campaign.KeptMovedOn
	case r.stopped(): // the team was asked about
	case choice.Do == campaign.MigrationEnd:
		m.end(r, choice.Outcome)
	case choice.Do == campaign.MigrationMove:
		m.move(r, choice.To, running)
	default:
		d.Kept = campaign.KeptMovedOn
	}
	d.Sends, d.Offers, d.Trace = min(d.Sends, len(r.d.Sends)), min(d.Offers, len(r.d.Offers)), min(d.Trace, len(r.d.Trace))
}

// leaves reports whether a choice takes a member away from the step at which she waits.
func (m *Migration) leaves(r *runner, from string, choice campaign.MigrationChoice) bool {
	return choice.Do == campaign.MigrationEnd || choice.Do == campaign.MigrationMove && !m.goesOn(r, from, choice.To)
}

// formed lets a member leave her team. If that is complete, and the news of it is still on
// its way, she goes on in the version that she is on instead, and it answers true.
func (m *Migration) formed(r *runner, running bool) bool {
	if r.ordered() {
		if !r.leaveBought(campaign.RefundMigrated) {
			return false
		}
	} else {
		formed := r.leaveTeam()
		if formed.IsZero() {
			return false
		}
		r.at = formed
		r.teamFormed(r.pl.nodes[r.s.Step], formed, 0)
	}
	if running {
		r.through(nil)
	}
	return true
}

// goesOn reports whether a member who waits at a step would go on waiting at another one
// of the new version.
func (m *Migration) goesOn(r *runner, from, to string) bool {
	return r.s.Waiting && to != "" && m.match[from] == to && waitsOn(m.old.nodes[from].step, m.new.nodes[to].step)
}

func (m *Migration) end(r *runner, outcome string) {
	d := r.d.Migrated
	if d.Before = r.savedAs(&r.s); r.fault != nil {
		return
	}
	d.Do = campaign.MigrationEnd
	r.at, r.s.Fresh = r.now, false
	r.traceAt(d.From, campaign.TraceMigrated, "from_version", strconv.Itoa(r.in.Version), "from", d.From, "outcome", outcome)
	r.leave(outcome)
}

// savedAs is a state as it would be written now.
func (r *runner) savedAs(s *State) json.RawMessage {
	data, err := s.Save()
	if err != nil {
		r.fault = err
	}
	return data
}

// unasked is the state without the question that this very turn has put and that, because
// the move leaves it, does not go out: should the move be taken back, it is still to be put.
func (r *runner) unasked(s *campaign.AskQuestion) State {
	state := r.s
	if !state.Waiting || !slices.ContainsFunc(r.d.Sends, func(e campaign.SendEffect) bool { return e.Key == r.questionKey("") }) {
		return state
	}
	state.Asked = &Asked{Step: state.Asked.Step, Visit: state.Asked.Visit, Version: state.Asked.Version}
	state.Deadline = time.Time{}
	state.Pending = append(slices.Clone(state.Pending), Pending{
		Key: r.questionKey(""), Step: state.Step, Message: s.Message, Via: s.Via, Due: state.Since, Visit: state.Visit,
	})
	return state
}

// move brings the journey to a step of the new version. If that is the counterpart of
// the step at which it stands, and the two wait for the same, the wait goes on as it
// is, with its deadline. Otherwise the step is entered anew, now.
func (m *Migration) move(r *runner, to string, running bool) {
	d := r.d.Migrated
	from, target := m.old.nodes[d.From], m.new.nodes[to]
	goesOn := m.goesOn(r, d.From, to)
	begins := r.s.Fresh && to == m.new.first // as if it had entered by the new version
	stood := r.s
	if s, ok := from.step.(*campaign.AskQuestion); ok && !goesOn {
		stood = r.unasked(s)
	}
	if d.Before = r.savedAs(&stood); r.fault != nil {
		return
	}
	d.Do, d.To, d.Version, d.Digest = campaign.MigrationMove, to, m.version, m.digest
	r.at = r.now
	how := "anew"
	switch {
	case goesOn:
		how = "waits_on"
	case begins:
		how = ""
	default:
		m.abandon(r, from)
	}
	r.traceAt(d.From, campaign.TraceMigrated, "from_version", strconv.Itoa(r.in.Version), "to_version", strconv.Itoa(m.version),
		"from", d.From, "to", to, "how", how)
	d.Sends, d.Offers, d.Trace = len(r.d.Sends), len(r.d.Offers), len(r.d.Trace)

	in, left := *r.in, r.in.Version
	in.Version = m.version
	r.s.Refunds = r.refundsBroughtTo(m.new)
	r.p, r.pl, r.in, r.steps = m.to, m.new, &in, 0
	m.rename(r)
	m.leaveRounds(r, to, goesOn)
	switch {
	case goesOn:
		r.s.Step = to
		m.waitOn(r, left, from, target)
	case !begins:
		r.s.Fresh = false
		r.since(r.now, 0)
		r.move(to)
	}
	if running && r.fault == nil {
		r.through(nil)
	}
}

// abandon leaves the step at which the journey stands: the offer or the review for which
// it waits is withdrawn, and the step's message that was delayed is not sent.
func (m *Migration) abandon(r *runner, from *node) {
	if r.s.Waiting && r.waitsForOffer() {
		o := r.s.Offer
		o.State, o.ClosedAt = campaign.OfferWithdrawn, r.at
		r.closeOffer(o, campaign.Money{}, campaign.ReasonMigrated)
		r.trace(campaign.TraceOfferWithdraw, o.Step, "offer", o.Name)
	}
	if _, ok := from.step.(*campaign.AskQuestion); ok && r.s.Waiting {
		r.askNoMore(campaign.ReasonMigrated)
	}
	r.withdrawReview()
	r.giveUpCall(campaign.ReasonMigrated)
	r.dropPendingIf(func(p *Pending) bool { return p.Blocks && p.Step == from.id && p.Visit == r.s.Visit })
}

// rename lets the state name the steps of the new version. What it remembers of a step
// that has no counterpart is no longer watched, or belongs to no step; a message that
// the new version does not have is not sent.
func (m *Migration) rename(r *runner) {
	if r.s.Offer != nil {
		r.s.Offer.Step = m.match[r.s.Offer.Step]
	}
	for _, list := range [][]Offer{r.s.Open, r.s.Closed} {
		for i := range list {
			list[i].Step = m.match[list[i].Step]
		}
	}
	for i := range r.s.Missed {
		r.s.Missed[i].Step = m.match[r.s.Missed[i].Step]
	}
	r.s.Missed = slices.DeleteFunc(r.s.Missed, func(missed Missed) bool {
		n := m.new.nodes[missed.Step]
		if n == nil {
			return true
		}
		return n.step.Kind() != campaign.StepAwait && n.step.Kind() != campaign.StepAsk
	})
	if r.s.Review != nil {
		r.s.Review.Step = m.match[r.s.Review.Step]
	}
	if r.s.Team != nil {
		r.s.Team.Step = m.match[r.s.Team.Step]
	}
	if r.s.Call != nil {
		r.s.Call.Step = m.match[r.s.Call.Step]
	}
	// A repeat without a counterpart has no further round, and neither have those in it.
	for i := range r.s.Rounds {
		x := &r.s.Rounds[i]
		x.Step = m.match[x.Step]
		if n := m.new.nodes[x.Step]; n == nil || n.step.Kind() != campaign.StepRepeat {
			r.s.Rounds = r.s.Rounds[:i]
			break
		}
	}
	for i := range r.s.Pending {
		p := &r.s.Pending[i]
		if p.Step = m.match[p.Step]; p.Why != "" {
			p.Due = r.now // what delays it is for the new version's limits to say
		}
	}
	r.dropPendingIf(func(p *Pending) bool { return m.to.messages[p.Message] == nil })
}

// dropPendingIf lets delayed messages fall away because of the migration.
func (r *runner) dropPendingIf(falls func(*Pending) bool) {
	r.s.Pending = slices.DeleteFunc(r.s.Pending, func(p Pending) bool {
		if falls(&p) {
			r.notSent(&p, campaign.ReasonMigrated)
			return true
		}
		return false
	})
}

// waitsOn reports whether a member who waits at a step can go on waiting at its
// counterpart: what she waits for is the same thing, until the moment that she was
// promised, whatever the new version says of how long.
func waitsOn(old, same campaign.Step) bool {
	if old.Kind() != same.Kind() {
		return false
	}
	switch s := old.(type) {
	case *campaign.Wait, *campaign.Await, *campaign.FollowReferral, *campaign.FormTeam: // a team has the size with which it was opened
		return true
	case *campaign.MakeOffer:
		n, ok := same.(*campaign.MakeOffer)
		return ok && n.Offer == s.Offer
	case *campaign.Send:
		n, ok := same.(*campaign.Send)
		return ok && n.Message == s.Message
	case *campaign.AskQuestion:
		n, ok := same.(*campaign.AskQuestion)
		return ok && n.Message == s.Message && reflect.DeepEqual(n.Answers, s.Answers)
	case *campaign.OpenReview:
		n, ok := same.(*campaign.OpenReview)
		return ok && n.By == s.By
	case *campaign.CallService:
		// Another deadline, timeout or branch changes nothing of what is asked; another
		// question is another call.
		n, ok := same.(*campaign.CallService)
		return ok && n.URL == s.URL && n.Body == s.Body && n.SaveAs == s.SaveAs && reflect.DeepEqual(n.Returns, s.Returns)
	case *campaign.Repeat:
		return true
	case *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.Goto, *campaign.End: // never wait
	}
	return false
}

// leaveRounds forgets the repeats that the move leads out of.
func (m *Migration) leaveRounds(r *runner, to string, goesOn bool) {
	i := slices.IndexFunc(r.s.Rounds, func(x Rounds) bool { return !x.around(to) && (!goesOn || x.Step != to) })
	if i >= 0 {
		r.s.Rounds = r.s.Rounds[:i]
	}
}

// waitOn does, for a wait that goes on, what the new version wants otherwise of it; left is
// the number of the version that is left.
func (m *Migration) waitOn(r *runner, left int, old, same *node) {
	switch s := same.step.(type) {
	case *campaign.Await:
		// What happened before counts if it is only now what is waited for. Where both
		// versions wait for the same it has been judged.
		if before, ok := old.step.(*campaign.Await); ok && (before.When != s.When || !slices.Equal(before.Events, s.Events)) {
			r.alreadyHappened(same, s)
		}
	case *campaign.MakeOffer:
		if before, ok := old.step.(*campaign.MakeOffer); ok {
			r.s.Offer.Step = same.id
			if !r.ordered() {
				r.remindAsIn(same, before, s)
			}
		}
	case *campaign.AskQuestion:
		if r.s.Asked.Version == 0 {
			r.s.Asked.Version = left
		}
	case *campaign.Send, *campaign.Wait, *campaign.OpenReview, *campaign.FormTeam, *campaign.CallService, *campaign.FollowReferral, *campaign.Repeat, *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag,
		*campaign.Set, *campaign.Grant, *campaign.Goto, *campaign.End: // the wait alone goes on
	}
}

// remindAsIn plans the reminders of the open offer as another version of its step has
// them. One that both versions have stays as it is, sent or delayed; one that only the
// new version has is planned if its moment is still to come.
func (r *runner) remindAsIn(n *node, before, s *campaign.MakeOffer) {
	o := r.s.Offer
	announce := func(p *Pending) bool { return p.Key == o.Key+"/announce" }
	// They fall due in the order of their moments, so those of a message that are still
	// pending are its last.
	old := slices.Clone(before.Remind)
	slices.SortStableFunc(old, func(a, b campaign.Reminder) int { return cmp.Compare(a.Before, b.Before) })
	pending := slices.Clone(r.s.Pending)
	slices.SortStableFunc(pending, func(a, b Pending) int { return b.Due.Compare(a.Due) })
	keys := make([]string, len(old)) // of what is pending of each; empty: it has been decided
	for _, p := range pending {
		i := slices.IndexFunc(old, func(rem campaign.Reminder) bool { return rem.Send == p.Message })
		for i >= 0 && i < len(old) && (keys[i] != "" || old[i].Send != p.Message) {
			i++
		}
		if p.Offer == o.ID && !announce(&p) && i >= 0 && i < len(old) {
			keys[i] = p.Key
		}
	}
	var stay []string
	var more []int
	for i, rem := range s.Remind {
		at := slices.Index(old, rem)
		switch {
		case at >= 0:
			stay = append(stay, keys[at])
			old[at].Send = "" // each is the counterpart of one
		case !o.ExpiresAt.Add(-rem.Before).Before(r.now):
			more = append(more, i)
		}
	}
	r.dropPendingIf(func(p *Pending) bool { return p.Offer == o.ID && !announce(p) && !slices.Contains(stay, p.Key) })
	for i := range r.s.Pending {
		if p := &r.s.Pending[i]; p.Offer == o.ID {
			p.Via = s.Via
		}
	}
	for _, i := range more {
		r.remind(n, o, s.Remind[i], s.Via, i)
	}
}
