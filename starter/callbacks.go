package starter

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// acknowledgeWithin bounds how long a callback may take to be kept: platforms wait five
// seconds, then call again, three times at most.
const acknowledgeWithin = 4 * time.Second

// registerCallbacks serves what platforms call. Who calls proves it by a signature; a callback
// is acknowledged once it is kept, and worked afterwards, see Router.
func (s *Server) registerCallbacks() {
	const path = callbacks.Path + "{channel}/{account}"
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		channel, endpoint, ok := s.endpoint(w, r)
		if !ok {
			return
		}
		echo, err := endpoint.Echo(r.URL.Query())
		if err != nil {
			s.refuseCallback(w, r, channel, err)
			return
		}
		acknowledge(w, "text/plain; charset=utf-8", echo)
	})
	s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		channel, endpoint, ok := s.endpoint(w, r)
		if !ok {
			return
		}
		opened, err := endpoint.Open(&callbacks.Request{Query: r.URL.Query(), Header: r.Header, Body: bodyOf(r.Context()), Now: time.Now()})
		if err != nil {
			s.refuseCallback(w, r, channel, err)
			return
		}
		// It is kept though who called does not wait for the answer.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acknowledgeWithin)
		defer cancel()
		fresh, err := s.store.KeepCallback(ctx, string(channel), r.PathValue("account"), opened.Sort, opened.Payload)
		if err != nil {
			s.logError(r.Context(), err)
			failCallback(w, channel, http.StatusServiceUnavailable, "it could not be kept; call again")
			return
		}
		result := "kept"
		if !fresh {
			result = "duplicate"
		}
		s.metrics.callbacks.WithLabelValues(string(channel), result).Inc()
		if channel == callbacks.Pay {
			acknowledge(w, typeJSON, `{"code":"SUCCESS"}`)
			return
		}
		acknowledge(w, "text/plain; charset=utf-8", "success")
	})
}

func (s *Server) endpoint(w http.ResponseWriter, r *http.Request) (callbacks.Channel, callbacks.Endpoint, bool) {
	channel := callbacks.Channel(r.PathValue("channel"))
	endpoint, ok := s.cfg.Callbacks.Of(channel, r.PathValue("account"))
	if !ok {
		failCallback(w, "", http.StatusNotFound, "no such account is configured here")
	}
	return channel, endpoint, ok
}

// refuseCallback says no more than is needed to set an account up; what was sent is not quoted.
func (s *Server) refuseCallback(w http.ResponseWriter, r *http.Request, channel callbacks.Channel, err error) {
	s.metrics.callbacks.WithLabelValues(string(channel), callbacks.Reason(err)).Inc()
	s.log.WarnContext(r.Context(), "a callback was refused", "channel", string(channel), "reason", callbacks.Reason(err))
	status := http.StatusUnauthorized
	if word := callbacks.Reason(err); word == "form" || word == "sealed" {
		status = http.StatusBadRequest
	}
	failCallback(w, channel, status, err.Error())
}

func failCallback(w http.ResponseWriter, channel callbacks.Channel, status int, why string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if channel != callbacks.Pay {
		http.Error(w, why, status)
		return
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	text, _ := json.Marshal(map[string]string{"code": "FAIL", "message": why}) // texts alone
	_, _ = w.Write(text)                                                       // it calls again, if it has gone
}

func acknowledge(w http.ResponseWriter, contentType, text string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(text)) // it calls again, if it has gone
}

// callbacksAtOnce is how many callbacks are taken at a time: one takes a few milliseconds, and
// a batch must be through long before another process may take it.
const callbacksAtOnce = 50

// awaitPayment is how long a refund waits for word of its payment: WeChat Pay tries for a day
// to tell. Later, it was paid before anybody listened.
const awaitPayment = 72 * time.Hour

// callbacks works what platforms told. Every step may be done again, so one that was broken off
// is taken up by whoever comes next.
func (r *Router) callbacks(ctx context.Context) (int, error) {
	taken, err := r.Store.TakeCallbacks(ctx, callbacksAtOnce)
	if err != nil {
		return 0, err
	}
	for i := range taken {
		c := &taken[i]
		why, err := r.workCallback(ctx, c)
		if err != nil {
			return i, err
		}
		if why != "" {
			r.Log.WarnContext(ctx, "a callback could not be worked; it is kept and tried again", "channel", c.Channel, "callback", c.ID, "tries", c.Tries, "why", why)
		}
		if err := r.Store.EndCallback(ctx, c.ID, why); err != nil {
			return i, err
		}
	}
	return len(taken), nil
}

// workCallback stores the events of a callback. why tells of what lies in it; an error is that
// of the database.
func (r *Router) workCallback(ctx context.Context, c *store.Callback) (why string, err error) {
	told, err := callbacks.Map(&callbacks.Callback{
		Channel: callbacks.Channel(c.Channel), Account: c.Account, Sort: c.Sort, Payload: c.Payload, Received: c.Received,
	})
	if err != nil {
		return whyOf(err)
	}
	events := make([]campaign.Event, 0, len(told))
	var answers []store.PermitAnswer
	for i := range told {
		t := &told[i]
		member, err := r.memberOf(ctx, c.Channel, &t.Whom)
		switch {
		case err != nil:
			return whyOf(err)
		case member == "" && time.Since(c.Received) > awaitPayment:
			r.Log.WarnContext(ctx, "a refund is left alone: nobody has told of its payment", "channel", c.Channel, "callback", c.ID)
			return "", nil
		case member == "":
			return "the payment that it is about has not been told yet", nil
		}
		if t.Standing != callbacks.Unsaid {
			if err := r.Store.Follow(ctx, t.Whom.Kind, t.Whom.Account, t.Whom.Address, t.Standing == callbacks.In, t.Time); err != nil {
				return whyOf(err)
			}
		}
		id := callbacks.EventID(t.Key)
		events = append(events, campaign.Event{ID: id, Type: t.Type, Member: member, Time: t.Time, Properties: t.Properties})
		if t.Permit != callbacks.NoPermit {
			answers = append(answers, store.PermitAnswer{
				Event: id, Account: t.Whom.Account, Address: t.Whom.Address, Template: t.Template, Accepted: t.Permit == callbacks.PermitGiven,
			})
		}
	}
	if len(answers) > 0 {
		return whyOf(r.Store.StoreAnswers(ctx, events, answers))
	}
	_, err = r.Store.StoreEvents(ctx, events)
	return whyOf(err)
}

// whyOf tells what lies in a callback from what passes.
func whyOf(err error) (why string, passes error) {
	if err == nil || campaign.CodeOf(err) == campaign.CodeUnavailable {
		return "", err
	}
	return err.Error(), nil
}

// memberOf finds whom an event is of. A person of whom nobody has told becomes a member who is
// reached by that address.
func (r *Router) memberOf(ctx context.Context, channel string, w *callbacks.Whom) (string, error) {
	switch {
	case w.EventKey != "":
		return r.Store.MemberOfEvent(ctx, callbacks.EventID(w.EventKey))
	case w.Thing != "":
		id, err := r.Store.NewMemberID(ctx, campaign.IdentityKind(w.Thing), w.Account, w.Address)
		if err != nil {
			return "", err
		}
		id = strings.ReplaceAll(w.Thing, ".", "-") + "-" + strings.TrimPrefix(id, "p-")
		_, err = r.Store.PutMembers(ctx, []store.MemberPut{{ID: id, Source: w.Thing}})
		return id, err
	}
	known, err := r.Store.MembersOf(ctx, w.Kind, w.Account, w.Address)
	if err != nil {
		return "", err
	}
	if len(known) > 0 {
		return known[0], nil
	}
	id, err := r.Store.NewMemberID(ctx, w.Kind, w.Account, w.Address)
	if err != nil {
		return "", err
	}
	if _, err := r.Store.PutMembers(ctx, []store.MemberPut{{ID: id, Source: channel}}); err != nil {
		return "", err
	}
	return id, r.Store.PutIdentities(ctx, store.IdentityPut{Member: id, Kind: w.Kind, Account: w.Account, Address: w.Address})
}
