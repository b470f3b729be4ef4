package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

// longestRest bounds the rest of a message between its try at hand and its queue. It is
// less than the ten minutes after which the doctor looks for a send under way; who must
// wait for longer is told so once more, and waits in the queue.
const longestRest = 5 * time.Minute

// sender sends the messages of a journey one after the other, in the order in which
// they were decided, while the journey goes on listening.
type sender struct {
	queue []campaign.SendRef
	busy  bool
	runs  bool // of calls and refunds: it has been begun
	poked int  // counts wake-ups; a held message is tried again after one
}

func (s *sender) add(ref campaign.SendRef) { s.queue = append(s.queue, ref) }

// rest reports whether no send is under way.
func (s *sender) rest() bool { return !s.busy }

func (s *sender) run(ctx workflow.Context) {
	for {
		if workflow.Await(ctx, func() bool { return len(s.queue) > 0 }) != nil {
			return
		}
		// Counted before the attempt: a poke that comes while the answer "held" is on its
		// way may be the one that says that the campaign goes on.
		ref, seen := s.queue[0], s.poked
		s.busy = true
		held, next, err := s.send(ctx, ref)
		s.busy = false
		switch {
		case err != nil && temporal.IsCanceledError(err):
			return
		case held:
			if workflow.Await(ctx, func() bool { return s.poked > seen }) != nil {
				return
			}
		case next != "":
			s.queue[0].Channel = next
		default:
			// Sent, refused or given up: the activity has settled it, and one that
			// failed beyond its retries is found by its claim.
			s.queue = s.queue[1:]
		}
	}
}

func (s *sender) send(ctx workflow.Context, ref campaign.SendRef) (held bool, next string, err error) {
	if ref.Near {
		s.queue[0].Near = false // every further try is the queue's
		if result, done, err := s.now(ctx, ref); done || err != nil {
			return result.Outcome == campaign.SendHeld, result.Next, err
		}
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           campaign.TaskQueueSend(ref.Channel),
		Summary:             ref.Message + " via " + ref.Channel,
		StartToCloseTimeout: campaign.SendTimeout(ref.Channel),
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute,
			NonRetryableErrorTypes: []string{string(campaign.CodeNotFound)},
		},
	})
	var result campaign.SendResult
	if err := workflow.ExecuteActivity(ctx, campaign.ActivitySend, ref.Key, ref.Channel).Get(ctx, &result); err != nil {
		return false, "", err
	}
	return result.Outcome == campaign.SendHeld, result.Next, nil
}

// now tries a message once in the worker that took the turn. What becomes of it otherwise
// is found in PostgreSQL by whoever takes it from the queue.
func (s *sender) now(ctx workflow.Context, ref campaign.SendRef) (result campaign.SendResult, done bool, err error) {
	local := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		Summary:                ref.Message + " via " + ref.Channel,
		StartToCloseTimeout:    campaign.SendTimeout(ref.Channel),
		ScheduleToCloseTimeout: time.Minute, // in the worker's queue, when thousands fall due at once
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	tried := workflow.ExecuteLocalActivity(local, campaign.ActivitySendNow, ref.Key, ref.Channel).Get(ctx, &result)
	if tried == nil && result.Outcome != campaign.SendLater {
		return result, true, nil
	}
	if temporal.IsCanceledError(tried) {
		return campaign.SendResult{}, false, tried
	}
	if result.After > 0 {
		err = workflow.Sleep(ctx, min(result.After, longestRest))
	}
	return campaign.SendResult{}, false, err
}
