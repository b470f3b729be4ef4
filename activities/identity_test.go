package activities_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/banyanhq/banyan/activities"
	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// postal is a line that goes by mail addresses.
type postal struct{ line }

func (postal) Reaches() (campaign.IdentityKind, string) { return campaign.IdentityMail, "" }

// TestSendByAddress has a channel that goes by addresses meet members who are reached, and
// those who are not.
func TestSendByAddress(t *testing.T) {
	t.Parallel()
	lin := campaign.Identity{ID: 3, Kind: campaign.IdentityMail, Address: "lin@example.com", Hash: []byte{1}, State: campaign.IdentityReachable}
	in := func(state campaign.IdentityState) []campaign.Identity {
		other := lin
		other.State = state
		return []campaign.Identity{{Kind: campaign.IdentityPhone, Address: "+8613800000001"}, other}
	}
	for name, c := range map[string]struct {
		identities []campaign.Identity
		last       bool // there is no other channel
		kind       campaign.MessageKind
		doubt      bool
		fails      error
		want       campaign.SendResult
		reason     string
		to         string // what the channel got; empty: it was not called
		mark       campaign.IdentityState
	}{
		"reached":         {identities: in(campaign.IdentityReachable), want: campaign.SendResult{Outcome: "sent"}, to: "lin@example.com"},
		"no address":      {want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonNoAddress},
		"nor another way": {last: true, want: campaign.SendResult{Outcome: "refused"}, reason: campaign.ReasonNoAddress},
		"opted out": {
			identities: in(campaign.IdentityOptedOut), want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonOptedOut,
		},
		"opted out, service": {
			identities: in(campaign.IdentityOptedOut), kind: campaign.KindService, want: campaign.SendResult{Outcome: "sent"}, to: "lin@example.com",
		},
		"unreachable": {
			identities: in(campaign.IdentityUnreachable), kind: campaign.KindService,
			want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonUnreachable,
		},
		"opted out after an attempt that may have arrived": {
			identities: in(campaign.IdentityOptedOut), doubt: true, want: campaign.SendResult{Outcome: "unknown"}, reason: campaign.ReasonUnknown,
		},
		"found to be gone": {
			identities: in(campaign.IdentityReachable), fails: &channels.Failure{Class: channels.ClassRefused, Reason: "smtp_550", Marks: campaign.IdentityUnreachable},
			want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonUnreachable, to: "lin@example.com", mark: campaign.IdentityUnreachable,
		},
		"has permitted nothing": {
			identities: in(campaign.IdentityReachable), fails: channels.Refuse(campaign.ReasonNoPermit, nil),
			want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonNoPermit, to: "lin@example.com",
		},
		"found to want none": {
			identities: in(campaign.IdentityReachable), fails: &channels.Failure{Class: channels.ClassRefused, Reason: "on_the_list", Marks: campaign.IdentityOptedOut},
			want: campaign.SendResult{Outcome: "refused", Next: "two"}, reason: campaign.ReasonOptedOut, to: "lin@example.com", mark: campaign.IdentityOptedOut,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{out: message(), fails: c.fails, safe: true}
			d.out.Identities, d.out.Kind, d.out.InDoubt = c.identities, c.kind, c.doubt
			if c.last {
				d.out.Bodies = d.out.Bodies[:1]
			}
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestActivityEnvironment()
			a := &activities.Activities{
				Messages: d, Channels: channels.New(postal{line{d, "one"}}, line{d, "two"}), Log: slog.New(slog.DiscardHandler), GiveUp: time.Hour,
			}
			env.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
			value, err := env.ExecuteActivity(campaign.ActivitySend, "k", "one")
			if err != nil {
				t.Fatal(err)
			}
			var got campaign.SendResult
			if err := value.Get(&got); err != nil || got != c.want {
				t.Errorf("result is %+v, %v; want %+v", got, err, c.want)
			}
			to := ""
			for _, m := range d.delivered {
				to += m.To.Address
			}
			if to != c.to {
				t.Errorf("it went to %q, want %q", to, c.to)
			}
			if len(d.recorded) != 1 || d.recorded[0].Reason != c.reason || d.recorded[0].Mark != c.mark {
				t.Errorf("recorded %+v", d.recorded)
			}
			if c.mark != "" && d.recorded[0].Identity.ID != lin.ID {
				t.Errorf("the mark is on %+v", d.recorded[0].Identity)
			}
		})
	}
}

// TestAnAddressThatDoesNotOpen waits for somebody who sets the key, as an account does that
// is not in order. A channel that needs no address goes on.
func TestAnAddressThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]string{"one": "config", "two": ""} {
		d := &desk{out: message(), safe: true}
		d.out.Identities = []campaign.Identity{{ID: 3, Kind: campaign.IdentityMail, Sealed: true, Hash: []byte{1}, State: campaign.IdentityReachable}}
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestActivityEnvironment()
		a := &activities.Activities{
			Messages: d, Channels: channels.New(postal{line{d, "one"}}, line{d, "two"}), Log: slog.New(slog.DiscardHandler), GiveUp: time.Hour,
		}
		env.RegisterActivityWithOptions(a.Send, activity.RegisterOptions{Name: campaign.ActivitySend})
		_, err := env.ExecuteActivity(campaign.ActivitySend, "k", channel)
		var failed *temporal.ApplicationError
		if want == "" {
			if err != nil || len(d.delivered) != 1 {
				t.Errorf("%s: %v, %d delivered", channel, err, len(d.delivered))
			}
			continue
		}
		if !errors.As(err, &failed) || failed.Type() != want || len(d.delivered) != 0 {
			t.Errorf("%s: %v, %d delivered", channel, err, len(d.delivered))
		}
		if len(d.notDone) != 1 || d.notDone[0] != "address_sealed" || len(d.settled) != 0 {
			t.Errorf("%s: recorded %+v", channel, d.recorded)
		}
	}
}
