// Package all lists every channel that Banyan ships. It is apart from package channels
// because each channel imports that one. A new channel is its folder, its section in
// Config and its line in Build.
package all

import (
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/channels/miniprogram"
	"github.com/banyanhq/banyan/channels/officialaccount"
	"github.com/banyanhq/banyan/channels/refund"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/wecom/app"
)

// Config has one section for each channel. A channel whose section is empty is not in
// the set, so that a campaign that names it is told so.
type Config struct {
	// Default is the channel of a `send` without `via`. Empty chooses the webhook where
	// one is configured and else the console: messages must not end on a screen
	// unnoticed while a receiver stands ready.
	Default string
	Console console.Config
	Webhook webhook.Config
	Mail    mail.Config
	SMS     sms.Config
	// WecomApp is left out where its account names no company.
	WecomApp app.Config
	// OfficialAccount is left out where its account has no secret: it only calls back then.
	OfficialAccount officialaccount.Config
	// MiniProgram is left out where its account has no secret: it only calls back then.
	MiniProgram miniprogram.Config
	// Call is how services are called. They are always there: a journey that calls one
	// waits until a secret is configured, or its time is over.
	Call call.Config
	// Refund is the shop that is asked to pay orders back. The channel is always there: a
	// request waits until a shop is configured.
	Refund refund.Config
}

// Build makes the set and names its default channel.
func Build(cfg Config) (set channels.Set, standard string, err error) {
	var list []channels.Channel
	if cfg.Webhook.URL != "" {
		c, err := webhook.New(cfg.Webhook)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	if cfg.Console.Out != nil {
		list = append(list, console.New(cfg.Console))
	}
	if cfg.Mail.URL != "" {
		c, err := mail.New(cfg.Mail)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	if cfg.SMS.Provider != "" {
		c, err := sms.New(cfg.SMS)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	if cfg.WecomApp.Account.Corp != "" {
		c, err := app.New(cfg.WecomApp)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	if cfg.OfficialAccount.Account.Secret != "" {
		c, err := officialaccount.New(cfg.OfficialAccount)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	if cfg.MiniProgram.Account.Secret != "" {
		c, err := miniprogram.New(cfg.MiniProgram)
		if err != nil {
			return channels.Set{}, "", err
		}
		list = append(list, c)
	}
	set = channels.New(list...)

	names := set.Names()
	if len(names) == 0 {
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid, "no channel is configured: set BANYAN_WEBHOOK_URL")
	}
	standard = cfg.Default
	if standard == "" {
		standard = names[0]
	}
	_, ok := set.Get(standard)
	switch traits, _ := campaign.ChannelByName(standard); {
	case ok && !traits.Usual && cfg.Default == "":
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid,
			"a send without via has no channel: %s reaches only members with an address; set BANYAN_WEBHOOK_URL too", standard)
	case ok && !traits.Usual:
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid,
			"the default channel cannot be %q: not every member has an address for it, and not every message its subject", standard)
	case !ok:
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid,
			"the default channel %q is not configured; there is: %s", standard, strings.Join(names, ", "))
	}
	services, err := call.New(cfg.Call)
	if err != nil {
		return channels.Set{}, "", err
	}
	shop, err := refund.New(cfg.Refund)
	if err != nil {
		return channels.Set{}, "", err
	}
	return channels.New(append(list, services, shop)...), standard, nil
}
