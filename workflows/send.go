package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/banyanhq/banyan/campaign"
)

// sender sends the messages of a journey one after the other, in the order in which
// they were decided, while the journey goes on listening.
type sender struct {
	queue []campaign.SendRef
	busy  bool
	poked int // counts wake-ups; a held message is tried again after one
}

func (s *sender) add(refs []campaign.SendRef) { s.queue = append(s.queue, refs...) }

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
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: campaign.TaskQueueSend(ref.Channel),
		Summary:   ref.Message + " via " + ref.Channel,
		// A channel answers within seconds; the webhook's own limit is five. For so long
		// nobody knows that a worker was killed with the message in its hands.
		StartToCloseTimeout: 15 * time.Second,
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
