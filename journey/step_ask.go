package journey

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Asked is the question that the journey put last.
type Asked struct {
	Step    string `json:"step"`
	Visit   int    `json:"visit"`
	Put     bool   `json:"put,omitempty"`     // the question went out, so a reply may be to it
	Repeats int    `json:"repeats,omitempty"` // how often it was put again
	// Version is that by which it was put, where the journey has moved to another since.
	Version int `json:"version,omitempty"`
}

// enterAsk puts the question. What the same question was answered in an earlier round is
// forgotten. The wait for the reply begins when the question is due to go out; one that
// quiet hours or a cap hold back takes the wait with it.
//
// A question that goes out to nobody (the member is held out, a cap drops it) waits all
// the same, as if nobody answered: a journey that goes round must not turn at once.
func (r *runner) enterAsk(n *node, s *campaign.AskQuestion) {
	r.s.Answers = maps.Clone(r.s.Answers)
	for i := range s.Answers {
		delete(r.s.Answers, s.Answers[i].Name)
	}
	r.s.Asked, r.s.Waiting = &Asked{Step: n.id, Visit: r.s.Visit}, true
	p := Pending{Key: r.questionKey(""), Step: n.id, Message: s.Message, Via: s.Via, Due: r.now, Visit: r.s.Visit}
	before := len(r.d.Sends)
	if r.send(&p) {
		r.questionOut(n, s, r.s.Since, len(r.d.Sends) > before)
	} else if r.fault == nil {
		r.s.Pending = append(r.s.Pending, p)
	}
}

// questionOut begins the wait for the reply at the moment at which the question was due.
func (r *runner) questionOut(n *node, s *campaign.AskQuestion, due time.Time, put bool) {
	r.since(due, 0)
	r.beginNowIfLate(s.For)
	r.s.Asked.Put, r.s.Deadline = put, r.s.Since.Add(s.For)
	if !put {
		return
	}
	r.trace(campaign.TraceAsked, n.id, "message", s.Message, "until", r.p.local(r.s.Deadline))
	// A reply that was stored before this turn, but by its own time came after the question.
	for i := range r.in.Events {
		if e := &r.in.Events[i]; e.Seq <= r.s.Cursor && r.isReply(s, e) && r.replied(n, s, e) {
			return
		}
	}
}

// isReply reports whether an event is a reply to the question that the step waits for.
func (r *runner) isReply(s *campaign.AskQuestion, e *campaign.Event) bool {
	if !r.s.Asked.Put || e.Time.Before(r.s.Since) || e.Time.After(r.s.Deadline) || e.Stored.After(r.s.Deadline.Add(s.Grace)) ||
		slices.Contains(r.s.Moved, e.Seq) {
		return false
	}
	reply, ok := campaign.ReplyOf(e)
	return ok && (reply.Question == "" || r.isQuestion(reply.Question))
}

// isQuestion reports whether a key is that of the question, or of one of its repetitions.
func (r *runner) isQuestion(key string) bool {
	if key == r.questionKey("") {
		return true
	}
	for i := range r.s.Asked.Repeats {
		if key == r.questionKey(part("again", i)) {
			return true
		}
	}
	return false
}

// questionKey names the question, or one of its repetitions.
func (r *runner) questionKey(part string) string {
	return r.in.ID.EffectKey(cmp.Or(r.s.Asked.Version, r.in.Version), r.s.Asked.Step, r.s.Asked.Visit, part)
}

// replied takes a reply for the first answer that it fits, and then the journey goes on.
// One that fits none is recorded, and the question is put again where that is left. What
// she wrote stands in the event alone, and as an answer in the state.
func (r *runner) replied(n *node, s *campaign.AskQuestion, e *campaign.Event) bool {
	reply, _ := campaign.ReplyOf(e)
	for i := range s.Answers {
		form := &s.Answers[i]
		value, ok := form.Read(reply.Text)
		if !ok {
			continue
		}
		r.s.Answers = maps.Clone(r.s.Answers)
		if r.s.Answers == nil {
			r.s.Answers = map[string]json.RawMessage{}
		}
		r.s.Answers[form.Name] = value
		shown := ""
		if form.Type != campaign.TypeString || len(form.OneOf) > 0 {
			shown = string(value) // one of the campaign's own words, or a number
		}
		r.trace(campaign.TraceAnswered, n.id, "answer", form.Name, "value", shown, "event", e.ID)
		r.askNoMore(campaign.ReasonAnswered)
		r.since(e.Time, e.Seq)
		r.move(n.next)
		return true
	}
	r.trace(campaign.TraceNotUnderstood, n.id, "message", s.Message, "event", e.ID)
	if r.s.Asked.Repeats < s.Repeat {
		p := Pending{
			Key: r.questionKey(part("again", r.s.Asked.Repeats)), Step: n.id, Message: s.Message, Via: s.Via, Due: r.now, Visit: r.s.Visit,
		}
		if s.Again != "" {
			p.Message = s.Again
		}
		r.s.Asked.Repeats++
		if !r.send(&p) && r.fault == nil {
			r.s.Pending = append(r.s.Pending, p)
		}
	}
	return false
}

// askNoMore holds back what has not gone out of a question that waits for no reply any
// more: repetitions that were delayed, and what this very turn was about to send.
func (r *runner) askNoMore(why string) {
	r.s.Pending = slices.DeleteFunc(r.s.Pending, func(p Pending) bool {
		if !r.isQuestion(p.Key) {
			return false
		}
		r.notSent(&p, why)
		return true
	})
	r.d.Sends = slices.DeleteFunc(r.d.Sends, func(e campaign.SendEffect) bool {
		if !r.isQuestion(e.Key) {
			return false
		}
		r.traceAt(e.Step, campaign.TraceNotSent, "message", e.Message, "reason", why)
		if i := slices.Index(r.sent, e.At); i >= 0 && e.Kind != campaign.KindService {
			r.sent = slices.Delete(r.sent, i, i+1)
		}
		return true
	})
}

// notAnswered goes the other way when the time for the reply is over.
func (r *runner) notAnswered(n *node, s *campaign.AskQuestion) {
	r.trace(campaign.TraceTimedOut, n.id, "what", n.name)
	if r.s.Asked.Put {
		r.s.Missed = lastN(append(r.s.Missed, Missed{Step: n.id, Since: r.s.Since, Deadline: r.s.Deadline}), keepClosed)
	}
	r.askNoMore(campaign.ReasonAnswered)
	r.since(r.s.Deadline, 0)
	r.move(n.blocks["otherwise"])
}
