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
	"github.com/banyanhq/banyan/channels/webhook"
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
	// Call is how services are called. They are always there: a journey that calls one
	// waits until a secret is configured, or its time is over.
	Call call.Config
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
	set = channels.New(list...)

	names := set.Names()
	if len(names) == 0 {
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid, "no channel is configured: set BANYAN_WEBHOOK_URL")
	}
	standard = cfg.Default
	if standard == "" {
		standard = names[0]
	}
	if _, ok := set.Get(standard); !ok {
		return channels.Set{}, "", campaign.Errorf(campaign.CodeInvalid,
			"the default channel %q is not configured; there is: %s", standard, strings.Join(names, ", "))
	}
	services, err := call.New(cfg.Call)
	if err != nil {
		return channels.Set{}, "", err
	}
	return channels.New(append(list, services)...), standard, nil
}
