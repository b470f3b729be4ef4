package activities_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// tellers is a channel whose deliveries wait until they are let go.
type tellers struct {
	name string
	gate chan error
}

func (c tellers) Name() string { return c.name }

func (c tellers) Deliver(context.Context, channels.Message) (channels.Receipt, error) {
	return channels.Receipt{}, <-c.gate
}

// onTurn answers a turn that sends by each of some channels.
type onTurn struct {
	activities.Turns
	by []string
}

func (o onTurn) Advance(context.Context, int64, int) (campaign.TurnResult, error) {
	var r campaign.TurnResult
	for _, c := range o.by {
		r.Sends = append(r.Sends, campaign.SendRef{Key: "k", Channel: c})
	}
	return r, nil
}

// desks keeps a message for every caller, as the store would.
type desks struct{ activities.Messages }

func (desks) Outgoing(context.Context, ...string) ([]campaign.Outgoing, error) {
	return []campaign.Outgoing{message()}, nil
}
func (desks) Trying(context.Context, string, ...string) error   { return nil }
func (desks) Record(context.Context, ...campaign.Attempt) error { return nil }
func nearActivities(list ...channels.Channel) *activities.Activities {
	return &activities.Activities{
		Messages: desks{}, Channels: channels.New(list...), Log: slog.New(slog.DiscardHandler), GiveUp: time.Hour,
		Turns: onTurn{by: []string{"one", "two", "elsewhere"}},
	}
}

func nearOf(t *testing.T, a *activities.Activities) [3]bool {
	t.Helper()
	r, err := a.Advance(t.Context(), 1, 1)
	if err != nil || len(r.Sends) != 3 {
		t.Fatal(r, err)
	}
	return [3]bool{r.Sends[0].Near, r.Sends[1].Near, r.Sends[2].Near}
}

// A crowd at a channel that does not answer takes so many of a worker's turns and no
// more; the channel is then left to its queue for a while, and no other channel is.
func TestASlowChannelIsLeftToItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one := tellers{"one", make(chan error)}
		a := nearActivities(one, tellers{"two", make(chan error, 1)})
		if got := nearOf(t, a); got != [3]bool{true, true, false} {
			t.Errorf("at hand: %v; want those channels that this worker has", got)
		}
		var under sync.WaitGroup
		outcomes := make(chan campaign.SendResult, 2*activities.NearTries)
		for range 2 * activities.NearTries {
			under.Go(func() {
				r, err := a.SendNow(t.Context(), "k", "one")
				if err != nil {
					t.Error(err)
				}
				outcomes <- r
			})
		}
		synctest.Wait()
		if n := len(outcomes); n != activities.NearTries {
			t.Fatalf("%d of %d callers were sent to the queue", n, 2*activities.NearTries)
		}
		for range activities.NearTries {
			if r := <-outcomes; r.Outcome != campaign.SendLater || r.After != 0 {
				t.Errorf("%+v, want to be sent later", r)
			}
		}
		if got := nearOf(t, a); got != [3]bool{false, true, false} {
			t.Errorf("at hand: %v; want another channel to be free", got)
		}
		time.Sleep(time.Second)
		for range activities.NearTries {
			one.gate <- nil
		}
		under.Wait()
		for range activities.NearTries {
			if r := <-outcomes; r.Outcome != campaign.SendSent {
				t.Errorf("%+v, want sent", r)
			}
		}
		if nearOf(t, a)[0] {
			t.Error("a channel that took a second is at hand")
		}
		if r, err := a.SendNow(t.Context(), "k", "one"); err != nil || r.Outcome != campaign.SendLater {
			t.Errorf("%+v %v, want it left to the queue", r, err)
		}
		time.Sleep(5 * time.Second)
		if !nearOf(t, a)[0] {
			t.Error("a channel that was slow once is never at hand again")
		}
	})
}

// What was not delivered rests as long as the provider asks, then its queue tries again.
func TestWhatIsNotDeliveredAtHandIsSentLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails error
		want  campaign.SendResult
		rests bool
	}{
		"sent":    {want: campaign.SendResult{Outcome: campaign.SendSent}},
		"busy":    {channels.TryAgain("http_500", 0, nil), campaign.SendResult{Outcome: campaign.SendLater, After: time.Second}, true},
		"asked":   {channels.TryAgain("http_429", time.Minute, nil), campaign.SendResult{Outcome: campaign.SendLater, After: time.Minute}, true},
		"refused": {channels.Refuse("gone", nil), campaign.SendResult{Outcome: campaign.SendRefused, Next: "two"}, false},
		"in doubt, and the provider does not know our key": {channels.Unknown("timeout", nil), campaign.SendResult{Outcome: campaign.SendUnknown}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := tellers{"one", make(chan error, 1)}
			a := nearActivities(one, tellers{"two", nil})
			one.gate <- c.fails
			if got, err := a.SendNow(t.Context(), "k", "one"); err != nil || got != c.want {
				t.Errorf("%+v %v, want %+v", got, err, c.want)
			}
			if at := nearOf(t, a)[0]; at == c.rests {
				t.Errorf("the channel is at hand: %v", at)
			}
		})
	}
	a := nearActivities(tellers{"one", make(chan error, 1)})
	if r, err := a.SendNow(t.Context(), "k", "elsewhere"); err != nil || r.Outcome != campaign.SendLater {
		t.Errorf("%+v %v; a channel that this worker does not have is another's", r, err)
	}
	a.QueueSends = true
	if nearOf(t, a)[0] {
		t.Error("at hand, though every send is to go through its queue")
	}
}
