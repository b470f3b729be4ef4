package journey

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Call is the call that the journey made last.
type Call struct {
	Key  string `json:"key"` // empty: nobody was called, because the member is held out
	Step string `json:"step"`
	Name string `json:"name"`
	// Over is set once nobody waits for it any more.
	Over bool `json:"over,omitempty"`
}

// OpenCall is the call for whose answer the journey waits, and until when; ok is false
// where nobody is called.
func (s *State) OpenCall() (name, key string, until time.Time, ok bool) {
	if s.Call == nil || s.Call.Over || s.Call.Key == "" || !s.Waiting || s.Ending != "" {
		return "", "", time.Time{}, false
	}
	return s.Call.Name, s.Call.Key, s.Deadline, true
}

// enterCall claims the call. What the same call was answered in an earlier round is
// forgotten. Its time begins as that of a review does: nobody has less of it because of
// our outage.
//
// For a held-out member nobody is called. Her journey waits as if nobody answered, so
// that it is measured over the same time.
func (r *runner) enterCall(n *node, s *campaign.CallService) {
	r.s.Calls = maps.Clone(r.s.Calls)
	delete(r.s.Calls, s.SaveAs)
	r.beginNowIfLate(s.For)
	r.s.Call = &Call{Step: n.id, Name: s.Name()}
	if r.s.Holdout {
		r.s.Waiting, r.s.Deadline = true, r.s.Since.Add(s.For)
		r.trace(campaign.TraceCallSkipped, n.id, "call", s.Name(), "reason", campaign.ReasonHoldout)
		return
	}
	request, why := r.callRequest(n, s)
	if why != "" {
		r.s.Call.Over = true
		r.trace(campaign.TraceCallRefused, n.id, "call", s.Name(), "reason", campaign.ReasonNoBody, "detail", why)
		r.move(n.blocks["otherwise"])
		return
	}
	r.s.Call.Key = r.key(n.id, "")
	r.s.Waiting, r.s.Deadline = true, r.s.Since.Add(s.For)
	r.d.Sends = append(r.d.Sends, campaign.SendEffect{
		Key: r.s.Call.Key, Step: n.id, Message: s.Name(), Kind: campaign.KindCall, At: r.now, Deadline: r.s.Deadline,
		Bodies: []campaign.ChannelBody{{Channel: campaign.ChannelCall, Body: request}},
	})
	r.trace(campaign.TraceCalled, n.id, "call", s.Name(), "until", r.p.local(r.s.Deadline))
}

// callRequest works out what is sent, or says why that cannot be done.
func (r *runner) callRequest(n *node, s *campaign.CallService) (request, why string) {
	body := json.RawMessage("{}")
	if n.when != nil {
		var err error
		if body, err = n.when.JSON(r.with(r.s.Event)); err != nil {
			return "", err.Error()
		}
	}
	if len(body) > campaign.MaxCallBody {
		return "", "it is too long"
	}
	data, err := json.Marshal(campaign.CallRequest{
		URL: s.URL, Step: n.id, Timeout: s.Timeout, Body: body, Returns: s.Returns, Currency: r.p.def.Currency,
	})
	if err != nil {
		r.fault = campaign.Errorf(campaign.CodeInternal, "a call cannot be written: %w", err)
	}
	return string(data), ""
}

// called takes how a call ended, if it is the one for which the step waits. Whether that
// came in time was decided when it was stored.
func (r *runner) called(n *node, s *campaign.CallService, e *campaign.Event) bool {
	a, ok := campaign.CallAnswerOf(e)
	if !ok || r.s.Call == nil || r.s.Call.Over || r.s.Call.Key == "" || a.Call != r.s.Call.Key {
		return false
	}
	r.s.Call.Over = true
	if !a.Answered {
		r.trace(campaign.TraceCallRefused, n.id, "call", s.Name(), "reason", a.Reason)
		r.since(e.Time, e.Seq)
		r.move(n.blocks["otherwise"])
		return true
	}
	if s.SaveAs != "" {
		r.s.Calls = maps.Clone(r.s.Calls)
		if r.s.Calls == nil {
			r.s.Calls = map[string]map[string]json.RawMessage{}
		}
		returned := a.Returned
		if returned == nil {
			returned = map[string]json.RawMessage{} // answered, though with nothing
		}
		r.s.Calls[s.SaveAs] = returned
	}
	r.trace(campaign.TraceCallAnswered, n.id, "call", s.Name())
	r.since(e.Time, e.Seq)
	r.move(n.next)
	return true
}

// notCalled goes the other way when the time for the answer is over. The claim is settled
// by who makes the call: an answer may be on its way.
func (r *runner) notCalled(n *node, s *campaign.CallService) {
	r.s.Call.Over = true
	r.trace(campaign.TraceTimedOut, n.id, "what", n.name)
	r.since(r.s.Deadline, 0)
	r.move(n.blocks["otherwise"])
}

// giveUpCall takes back a call for which the journey waits and which it is leaving.
func (r *runner) giveUpCall(why string) {
	if r.s.Call == nil || r.s.Call.Over || !r.s.Waiting || r.s.Ending != "" {
		return
	}
	c := r.s.Call
	if c.Over = true; c.Key == "" {
		return
	}
	before := len(r.d.Sends)
	r.d.Sends = slices.DeleteFunc(r.d.Sends, func(e campaign.SendEffect) bool { return e.Key == c.Key })
	if len(r.d.Sends) == before {
		r.d.GivenUp = append(r.d.GivenUp, campaign.GivenUp{Key: c.Key, Reason: why})
	}
	r.trace(campaign.TraceCallDropped, c.Step, "call", c.Name)
}
