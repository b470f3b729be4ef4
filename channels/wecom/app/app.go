// Package app is the channel of WeCom's application messages: a text from an app of the
// company to a member of its staff. It reaches no customer. docs/channels/wecom-app.md says
// what it can and cannot promise.
package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/outbound"
	"github.com/banyanhq/banyan/channels/wecom"
)

// Name is the channel's name in `via`.
const Name = "wecom/app"

const (
	path = "/cgi-bin/message/send"
	// Remembers is how long the platform holds back the same words to the same person.
	Remembers = 30 * time.Minute
	// PerMinute is what one person gets in a minute; what comes above the platform drops
	// without a word, so it must not be sent.
	PerMinute = 30
	// PerHour is the same of an hour.
	PerHour = 1000
)

// Limiter counts what one receiver gets from an account, over all workers.
type Limiter interface {
	// Take counts one message, or says how long to wait because so many have gone to this
	// receiver in the minute or the hour.
	Take(ctx context.Context, account, receiver string, perMinute, perHour int) (wait time.Duration, err error)
}

// Config is the channel's section. An empty Account.Corp leaves the channel out.
type Config struct {
	Account wecom.Account
	Agent   int // the app's number (AgentId)
	Limiter Limiter
}

// String shows the company and the app, and nothing secret.
func (c Config) String() string { return c.Account.String() }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Channel sends application messages.
type Channel struct {
	client  *wecom.Client
	agent   int
	limiter Limiter
	most    int // bytes of a text
}

// New checks the configuration and makes the channel. It touches no network.
func New(cfg Config) (*Channel, error) {
	if cfg.Agent <= 0 {
		return nil, campaign.Errorf(campaign.CodeInvalid, "BANYAN_WECOM_AGENT is the app's number (AgentId), from its page in the administration")
	}
	client, err := wecom.NewClient(cfg.Account, Name)
	if err != nil {
		return nil, err
	}
	traits, _ := campaign.ChannelByName(Name)
	return &Channel{client: client, agent: cfg.Agent, limiter: cfg.Limiter, most: traits.MaxBytes}, nil
}

// Name gives "wecom/app".
func (c *Channel) Name() string { return Name }

// Reaches says that messages go to userids of one company.
func (c *Channel) Reaches() (campaign.IdentityKind, string) {
	return campaign.IdentityWecomUser, c.client.Corp()
}

// Idempotent is true, for as long as Forgets says: the platform holds back the same words
// to the same person.
func (c *Channel) Idempotent() bool { return true }

// Forgets is how long the platform remembers what it has sent.
func (c *Channel) Forgets() time.Duration { return Remembers }

// String keeps a Channel that somebody prints from showing its secret.
func (c *Channel) String() string { return Name }

// request is the body of message/send. Its bytes depend on the message alone: the
// platform compares them to find a repeat.
type request struct {
	ToUser            string `json:"touser"`
	MsgType           string `json:"msgtype"`
	AgentID           int    `json:"agentid"`
	Text              text   `json:"text"`
	Safe              int    `json:"safe"`
	CheckDuplicates   int    `json:"enable_duplicate_check"`
	DuplicateInterval int    `json:"duplicate_check_interval"`
}

type text struct {
	Content string `json:"content"`
}

// Deliver sends the text to one member of the staff.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, time.Now()); err != nil {
		return channels.Receipt{}, err
	}
	switch {
	case m.To.Address == "":
		return channels.Receipt{}, channels.Refuse(campaign.ReasonNoAddress, nil)
	case len(m.Body) > c.most: // the platform would cut it and tell nobody
		return channels.Receipt{}, channels.Refuse("too_long", nil)
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	if f := c.room(ctx, m); f != nil {
		return channels.Receipt{}, f
	}
	body, err := outbound.JSON(request{
		ToUser: m.To.Address, MsgType: "text", AgentID: c.agent, Text: text{m.Body}, CheckDuplicates: 1, DuplicateInterval: int(Remembers / time.Second),
	})
	if err != nil {
		return channels.Receipt{}, channels.Refuse(channels.ReasonInvalidMessage, nil)
	}
	var said struct {
		InvalidUser    string `json:"invaliduser"`
		UnlicensedUser string `json:"unlicenseduser"`
		MsgID          string `json:"msgid"`
	}
	if f := c.client.Post(ctx, path, body, &said); f != nil {
		return channels.Receipt{}, f
	}
	// errcode 0 says that the call was understood; whom it did not reach stands beside it.
	switch {
	case said.InvalidUser != "":
		f := channels.Refuse("invalid_user", nil)
		f.Marks = campaign.IdentityUnreachable
		return channels.Receipt{}, f
	case said.UnlicensedUser != "":
		return channels.Receipt{}, channels.Refuse("unlicensed_user", nil)
	}
	if len(said.MsgID) > 200 {
		said.MsgID = ""
	}
	return channels.Receipt{ProviderID: said.MsgID}, nil
}

// room waits for nobody: it says when this person may get another message.
func (c *Channel) room(ctx context.Context, m channels.Message) *channels.Failure {
	if c.limiter == nil {
		return nil
	}
	wait, err := c.limiter.Take(ctx, c.client.Corp(), strings.ToLower(m.To.Address), PerMinute, PerHour)
	switch {
	case err != nil && ctx.Err() != nil:
		return channels.TryAgain(channels.ContextReason(ctx), 0, ctx.Err())
	case err != nil:
		return channels.TryAgain("limiter", 0, nil)
	case wait > 0:
		return channels.TryAgain("member_limit", wait, nil)
	}
	return nil
}

// Check gets a token for the app.
func (c *Channel) Check(ctx context.Context) error {
	f := c.client.Ask(ctx)
	if f == nil {
		return nil
	}
	what := "WeCom does not take this account (" + f.Reason + "): "
	switch f.Reason {
	case "errcode_40013":
		what += "there is no such company; mend BANYAN_WECOM_CORP"
	case "errcode_40001":
		what += "the secret is not this app's; mend BANYAN_WECOM_SECRET"
	case "errcode_60020":
		what += "this machine's public address is not on the app's list of trusted addresses (企业可信IP); add it in the administration"
	case "tls":
		what += "its certificate is not valid for this name, or nobody here trusts who signed it"
	case "dns", "connection_refused", "network", "unreachable", channels.ReasonTimeout:
		what += "it cannot be reached; is BANYAN_WECOM_URL right, and does a firewall let this machine connect to it?"
	default:
		what += "look its code up in the vendor's list of error codes"
	}
	return campaign.Errorf(campaign.CodeInvalid, "%s", what)
}
