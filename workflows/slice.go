package workflows

import (
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

const (
	// maxRoundsPerRun is after how many rounds of turns a slice's run continues as new if
	// the server does not suggest it earlier. A round with a wait and a send is about 20
	// events, so this stays far below 4,096.
	maxRoundsPerRun = 100
	// countEvery is how old the numbers of members by step may be that the web UI shows.
	// Counting reads every member of the slice.
	countEvery = 30 * time.Second
)

// Slice turns the members of one slice of a journey, page by page, and sends their
// messages. It ends with its campaign.
func Slice(ctx workflow.Context, in campaign.SliceInput) error {
	s := &slice{in: in, most: in.Most, pokes: workflow.GetSignalChannel(ctx, campaign.SignalPoke)}
	if s.most <= 0 {
		s.most = maxRoundsPerRun
	}
	return s.run(ctx)
}

type slice struct {
	in      campaign.SliceInput
	most    int
	pokes   workflow.ReceiveChannel
	senders []*sliceSender // by channel, in the order of their first message
	closing bool           // no further round of sends begins
	counted time.Time
	turned  int
	steps   []campaign.StepCount
}

func (s *slice) run(ctx workflow.Context) error {
	for round := 1; ; round++ {
		// What poked until now is seen by this round.
		for s.pokes.ReceiveAsync(nil) {
		}
		result, err := s.advance(ctx)
		if err != nil {
			return err
		}
		s.show(ctx, result)
		for _, channel := range result.Channels {
			s.send(ctx, channel)
		}
		full := round >= s.most || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
		switch {
		case result.Over:
			// Somebody who comes late wakes a run that is still there.
			if err := s.rest(ctx); err != nil || s.pokes.Len() == 0 {
				return err
			}
			s.closing = false
			continue
		case full:
			if err := s.rest(ctx); err != nil {
				return err
			}
			for s.pokes.ReceiveAsync(nil) {
			}
			return workflow.NewContinueAsNewError(ctx, campaign.WorkflowSlice, campaign.SliceInput{Slice: s.in.Slice, Most: s.in.Most})
		case result.Wait == 0:
			continue
		}
		if err := s.wait(ctx, result.Wait); err != nil {
			return err
		}
	}
}

func (s *slice) advance(ctx workflow.Context) (result campaign.SliceResult, err error) {
	now := workflow.Now(ctx)
	count := now.Sub(s.counted) >= countEvery
	err = workflow.ExecuteActivity(sliceActivity(ctx, campaign.TaskQueueJourneys, "turn the members who are due", 0),
		campaign.ActivityAdvanceSlice, campaign.SliceInput{Slice: s.in.Slice, Count: count}).Get(ctx, &result)
	if count && err == nil {
		s.counted, s.steps = now, result.Steps
	}
	return result, err
}

// sliceActivity works for some seconds and beats after every page, so that a killed
// worker is soon replaced.
func sliceActivity(ctx workflow.Context, queue, summary string, toStart time.Duration) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, Summary: summary,
		ScheduleToStartTimeout: toStart,
		StartToCloseTimeout:    5 * time.Minute,
		HeartbeatTimeout:       20 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
			NonRetryableErrorTypes: []string{string(campaign.CodeNotFound)},
		},
	})
}

// show makes the Temporal web UI answer where the slice's members stand.
func (s *slice) show(ctx workflow.Context, result campaign.SliceResult) {
	s.turned += result.Turned
	details := "**" + strconv.Itoa(s.turned) + "** turns in this run"
	for _, c := range s.steps {
		details += "\n- " + c.Step + ": " + strconv.FormatInt(c.Members, 10)
	}
	workflow.SetCurrentDetails(ctx, details)
}

// wait sleeps until somebody falls due or the next poke; a negative span waits for a
// poke alone.
func (s *slice) wait(ctx workflow.Context, d time.Duration) error {
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	sel := workflow.NewSelector(ctx)
	if d > 0 {
		sel.AddFuture(workflow.NewTimerWithOptions(timerCtx, d, workflow.TimerOptions{Summary: "the next member falls due"}), func(workflow.Future) {})
	}
	sel.AddReceive(s.pokes, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
	sel.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	sel.Select(ctx)
	return ctx.Err()
}

// sliceSender sends a slice's messages by one channel while the slice goes on turning.
type sliceSender struct {
	channel      string
	wanted, busy bool
	due          time.Time // of the next message that is tried again; zero: none
}

func (s *slice) send(ctx workflow.Context, channel string) {
	var sender *sliceSender
	for _, known := range s.senders {
		if known.channel == channel {
			sender = known
		}
	}
	if sender == nil {
		sender = &sliceSender{channel: channel}
		s.senders = append(s.senders, sender)
		workflow.Go(ctx, func(ctx workflow.Context) { s.sending(ctx, sender) })
	}
	sender.wanted = true
}

func (s *slice) sending(ctx workflow.Context, me *sliceSender) {
	for {
		if workflow.Await(ctx, func() bool { return me.wanted && !s.closing }) != nil {
			return
		}
		me.wanted, me.busy = false, true
		var result campaign.SendSliceResult
		// While no worker serves the channel the run must still come to an end.
		err := workflow.ExecuteActivity(sliceActivity(ctx, campaign.TaskQueueSend(me.channel), "send by "+me.channel, time.Minute),
			campaign.ActivitySendSlice, campaign.SliceInput{Slice: s.in.Slice, Via: me.channel}).Get(ctx, &result)
		me.busy = false
		if temporal.IsCanceledError(err) {
			return
		}
		for _, other := range result.Channels {
			s.send(ctx, other)
		}
		wait := result.Wait
		if err != nil {
			wait = sendSliceRetry
		}
		switch {
		case wait == 0:
			me.wanted = true
		case wait > 0:
			s.later(ctx, me, wait)
		}
	}
}

// sendSliceRetry is when a channel is tried again whose activity could not be run.
const sendSliceRetry = time.Minute

// later wants another round of sends after a span. Of several spans the first to end
// counts, and the round says what is next.
func (s *slice) later(ctx workflow.Context, me *sliceSender, wait time.Duration) {
	due := workflow.Now(ctx).Add(wait)
	if !me.due.IsZero() && !due.Before(me.due) {
		return
	}
	me.due = due
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "messages are tried again"}).Get(ctx, nil) == nil {
			if me.due.Equal(due) {
				me.due = time.Time{}
			}
			me.wanted = true
		}
	})
}

// rest waits until no send is under way. What is left to send is in PostgreSQL, and the
// next run finds it.
func (s *slice) rest(ctx workflow.Context) error {
	s.closing = true
	return workflow.Await(ctx, func() bool {
		for _, sender := range s.senders {
			if sender.busy {
				return false
			}
		}
		return true
	})
}
