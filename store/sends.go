package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
)

const (
	outgoingSQL = `
select m.key, m.campaign, j.journey, m.journey, m.version, m.member, m.step, m.name, m.kind, m.bodies, m.state, m.attempts,
       coalesce(extract(epoch from clock_timestamp() - m.first_try), 0)::double precision, m.via, m.at, m.deadline,
       c.state, c.clock_factor, c.clock_real, c.clock_start, clock_timestamp(), coalesce(v.timezone, ''),
       ` + identitiesOfSQL + `
  from `
	outgoingJoinsSQL = ` m join journeys j on j.id = m.journey join campaigns c on c.name = m.campaign
  join campaign_versions v on v.campaign = m.campaign and v.version = m.version`

	outgoingByKeySQL = outgoingSQL + `messages` + outgoingJoinsSQL + ` where m.key = any($1::text[])`

	// Who is first in the queue is found before anything else is looked up.
	outgoingInSliceSQL = outgoingSQL + `(
       select m.* from messages m
        where m.slice = $1 and m.via = $2 and m.due_at <= statement_timestamp() and ` + firstOfJourneySQL + `
        order by m.due_at, m.number limit $3)` + outgoingJoinsSQL + ` order by m.due_at, m.number`

	// The messages of a journey go out one after the other, whatever their channels. One
	// that was settled as unknown holds up no other, and neither does a call or a request
	// to pay back, which may be tried for days. Asked as "not exists" it might be answered
	// by joining all that wait with each other.
	firstOfJourneySQL = `m.number = (
       select e.number from messages e
        where e.journey = m.journey and e.state in ('claimed', 'unknown') and e.due_at is not null
          and (e.kind = 'call') = (m.kind = 'call') and (e.kind = 'refund') = (m.kind = 'refund') order by e.number limit 1)`

	// It jumps from channel to channel and reads of each no further than the first.
	nextInSliceSQL = waitingChannelsSQL + `
select w.via, extract(epoch from next.due_at - clock_timestamp())::double precision
  from waiting w
 cross join lateral (
       select m.due_at from messages m
        where m.slice = $1 and m.via = w.via and m.due_at is not null and ` + firstOfJourneySQL + ` order by m.due_at limit 1
       ) next
 where w.via is not null order by w.via`

	waitingChannelsSQL = `
with recursive waiting as (
	(select via from messages where slice = $1 and due_at is not null order by via limit 1)
	union all
	select (select via from messages where slice = $1 and due_at is not null and via > w.via order by via limit 1) from waiting w where w.via is not null
)`
)

// Outgoing reads claimed messages. One that does not exist is an error.
func (s *Store) Outgoing(ctx context.Context, keys ...string) ([]campaign.Outgoing, error) {
	out, err := s.outgoing(ctx, outgoingByKeySQL, keys)
	if err == nil && len(out) != len(keys) {
		return nil, campaign.Errorf(campaign.CodeNotFound, "%d of %d messages do not exist", len(keys)-len(out), len(keys))
	}
	return out, translate(err, "read messages")
}

// OutgoingInSlice reads messages of a slice's members that are to be sent by a channel now.
func (s *Store) OutgoingInSlice(ctx context.Context, slice int, channel string, most int) ([]campaign.Outgoing, error) {
	out, err := s.outgoing(ctx, outgoingInSliceSQL, slice, channel, most)
	return out, translate(err, "read a slice's messages")
}

func (s *Store) outgoing(ctx context.Context, sql string, args ...any) (out []campaign.Outgoing, err error) {
	var (
		o          campaign.Outgoing
		bodies     json.RawMessage
		trying     float64
		deadline   *time.Time
		state      string
		factor     int64
		set, start *time.Time
		now        time.Time
		timezone   string
		reached    *json.RawMessage
	)
	zones := map[string]*time.Location{}
	var columns []json.RawMessage // of identities, message by message
	into := []any{
		&o.Key, &o.Campaign, &o.Journey, &o.JourneyRow, &o.Version, &o.Member, &o.Step, &o.Name, &o.Kind, &bodies, &o.State, &o.Attempts,
		&trying, &o.Via, &o.At, &deadline, &state, &factor, &set, &start, &now, &timezone, &reached,
	}
	err = s.quick(ctx, func(r pgx.BatchResults) error {
		out, columns = nil, nil
		return rows(r, func() error {
			o.Settled, o.InDoubt = o.State != "claimed" && o.State != "unknown", o.State == "unknown"
			o.Paused, o.Ended = State(state) == StatePaused, State(state) == StateEnded
			o.Trying = time.Duration(trying * float64(time.Second))
			o.Deadline, o.Clock = orZero(deadline), clock(factor, set, start)
			o.Now = o.Clock.At(now)
			if _, ok := zones[timezone]; !ok {
				zones[timezone], _ = time.LoadLocation(timezone) // nil where the machine does not know it
			}
			if loc := zones[timezone]; loc != nil {
				o.At = o.At.In(loc) // people who read a channel's output think in the campaign's time
			}
			o.Bodies = nil
			if err := json.Unmarshal(bodies, &o.Bodies); err != nil {
				return campaign.Errorf(campaign.CodeInternal, "a message's wordings cannot be read: %w", err)
			}
			out, columns = append(out, o), append(columns, nil)
			if reached != nil {
				columns[len(columns)-1] = *reached
			}
			return nil
		}, into...)
	}, sql, args...)
	if err == nil {
		err = s.giveIdentities(ctx, out, columns)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// NextInSlice is for each channel the real span until the next message of a slice is to be
// sent by it. A message that waits for another of its journey is not counted.
func (s *Store) NextInSlice(ctx context.Context, id int) (map[string]time.Duration, error) {
	var (
		via     string
		seconds float64
		out     = map[string]time.Duration{}
	)
	err := s.quick(ctx, func(r pgx.BatchResults) error {
		return rows(r, func() error {
			out[via] = max(0, time.Duration(seconds*float64(time.Second)))
			return nil
		}, &via, &seconds)
	}, nextInSliceSQL, id)
	return out, translate(err, "look at a slice's messages")
}

// unsettledSQL holds for messages that are claimed or unknown. It does not name these
// states, because an index is made of them: some keys would be looked for among the
// whole backlog.
const unsettledSQL = `m.state not in ('sent', 'refused', 'failed', 'dropped')`

const tryMessagesSQL = `
update messages m
   set attempts = attempts + 1, channel = $2, state = 'unknown', first_try = coalesce(first_try, clock_timestamp())
 where key = any($1::text[]) and ` + unsettledSQL

// Trying records that a channel is about to be called for these messages: from now on
// until somebody knows better their outcome is unknown, also for one who finds them
// after a crash.
func (s *Store) Trying(ctx context.Context, channel string, keys ...string) error {
	err := s.quick(ctx, func(r pgx.BatchResults) error {
		_, err := r.Exec()
		return err
	}, tryMessagesSQL, keys, channel)
	return translate(err, "record an attempt")
}

const (
	// What is settled already is left alone. What was not sent is told in the journey's
	// trace, with its reason.
	settleMessagesSQL = `
with settled as (
	update messages m
	   set state = i.state, reason = i.reason, provider_id = i.provider_id, channel = i.channel, due_at = null,
	       sent_at = case when i.state = 'sent' then clock_timestamp() end
	  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[])
	       as i (key, state, reason, provider_id, channel, effect, at, params)
	 where m.key = i.key and ` + unsettledSQL + `
	   and (m.state, m.reason, m.due_at is null) <> (i.state, i.reason, true)
	returning m.key, m.journey, m.step, m.campaign, m.version, i.state, i.reason, i.effect, i.at, i.params
), settled_effects as (
	update effects e set state = s.effect, reason = s.reason, settled_at = clock_timestamp() from settled s where e.key = s.key
)
insert into trace (journey, turn, at, step, kind, params, campaign, version)
select journey, 0, at, step, 'not_sent', params::jsonb, campaign, version from settled where state <> 'sent'`

	// That a channel did not take a message and another is tried is told in the trace.
	tryAgainSQL = `
with again as (
update messages m
   set state = case when i.not_done then 'claimed' else m.state end,
       reason = case when i.not_done then i.reason else m.reason end,
       attempts = m.attempts - case when i.untried then 1 else 0 end,
       via = coalesce(nullif(i.next, ''), m.via),
       due_at = case when m.slice is not null then clock_timestamp() + i.again * interval '1 second' end
  from unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::double precision[], $6::timestamptz[], $7::text[], $8::boolean[])
       as i (key, not_done, reason, next, again, at, params, untried) join messages was on was.key = i.key
 where m.key = i.key and ` + unsettledSQL + `
returning m.journey, m.step, m.campaign, m.version, i.next, was.via, i.at, i.params
)
insert into trace (journey, turn, at, step, kind, params, campaign, version)
select journey, 0, at, step, 'passed_over', params::jsonb, campaign, version from again where next not in ('', via)`
)

var effectOf = map[campaign.SendOutcome]string{
	campaign.SendSent: "settled", campaign.SendRefused: "refused", campaign.SendDropped: "dropped", campaign.SendUnknown: "unknown",
	campaign.SendFailed: "failed",
}

// Record records how attempts ended: those of messages all in one transaction, those of
// calls and refunds that ended for good each in its own. Settling again what is settled changes nothing.
func (s *Store) Record(ctx context.Context, attempts ...campaign.Attempt) error {
	var messages []campaign.Attempt
	for i := range attempts {
		switch a := &attempts[i]; {
		case a.State != "" && a.Of.Kind == campaign.KindCall:
			if err := s.settleCall(ctx, a); err != nil {
				return err
			}
		case a.State != "" && a.Of.Kind == campaign.KindRefund:
			if err := s.settleRefund(ctx, a); err != nil {
				return err
			}
		default:
			messages = append(messages, *a)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	return s.record(ctx, messages)
}

func (s *Store) record(ctx context.Context, attempts []campaign.Attempt) error {
	var (
		keys, states, reasons, providers, channels, effects, params []string
		at                                                          []time.Time
		again                                                       struct {
			keys, reasons, next, params []string
			notDone, untried            []bool
			wait                        []float64
			at                          []time.Time
		}
		marks struct {
			ids             []int64
			hashes          [][]byte
			states, reasons []string
		}
	)
	for i := range attempts {
		a := &attempts[i]
		if a.Mark != "" && a.Identity.ID != 0 {
			marks.ids, marks.hashes = append(marks.ids, a.Identity.ID), append(marks.hashes, a.Identity.Hash)
			marks.states, marks.reasons = append(marks.states, string(a.Mark)), append(marks.reasons, a.Channel)
		}
		if a.State == "" {
			again.keys, again.reasons, again.next = append(again.keys, a.Of.Key), append(again.reasons, a.Reason), append(again.next, a.Next)
			again.notDone, again.wait = append(again.notDone, a.NotDone), append(again.wait, a.Again.Seconds())
			again.untried = append(again.untried, a.Untried)
			told, err := json.Marshal(map[string]string{"message": a.Of.Name, "channel": a.Channel, "reason": a.Reason, "next": a.Next})
			if err != nil {
				return err
			}
			again.at, again.params = append(again.at, a.Of.Now), append(again.params, string(told))
			continue
		}
		told, err := json.Marshal(map[string]string{"message": a.Of.Name, "reason": a.Reason})
		if err != nil {
			return err
		}
		keys, states, reasons = append(keys, a.Of.Key), append(states, string(a.State)), append(reasons, a.Reason)
		providers, channels, effects = append(providers, a.ProviderID), append(channels, a.Channel), append(effects, effectOf[a.State])
		at, params = append(at, a.Of.Now), append(params, string(told))
	}
	err := retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(planOnceSQL)
		if len(keys) > 0 {
			batch.Queue(settleMessagesSQL, keys, states, reasons, providers, channels, effects, at, params)
		}
		if len(again.keys) > 0 {
			batch.Queue(tryAgainSQL, again.keys, again.notDone, again.reasons, again.next, again.wait, again.at, again.params, again.untried)
		}
		if len(marks.ids) > 0 {
			batch.Queue(markIdentitiesSQL, marks.ids, marks.hashes, marks.states, marks.reasons)
		}
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return translate(err, "record how messages ended")
}
