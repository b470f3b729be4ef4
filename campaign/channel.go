package campaign

import (
	"slices"
	"strings"
)

// ChannelTraits is what a campaign and its checker must know of a channel, whether or not
// an installation has it.
type ChannelTraits struct {
	Name string // the word in `via`
	// Address is the kind of address by which it reaches a member; empty: it goes by the
	// caller's own id of the member.
	Address IdentityKind
	// Subject says that a message by it has a subject line.
	Subject bool
	// MaxBytes is how long a text it takes, in bytes of UTF-8; 0: as long as any text.
	MaxBytes int
	// MaxCharacters is the same in characters, for a channel that counts those; 0: any.
	MaxCharacters int
	// Usual says that it can be the channel of a `send` without `via`: every message has
	// what it needs, and it reaches every member.
	Usual bool
}

var channelTraits = []ChannelTraits{
	{Name: "console", Usual: true},
	{Name: "webhook", Usual: true},
	{Name: "mail", Address: IdentityMail, Subject: true},
	{Name: "wecom/app", Address: IdentityWecomUser, MaxBytes: 2048},
	{Name: "officialaccount", Address: IdentityOpenID, MaxBytes: 2048},
	{Name: "miniprogram", Address: IdentityOpenID},
	{Name: "sms", Address: IdentityPhone, MaxCharacters: 500}, // with the signature, by the vendors' rules
}

// ChannelFamily is the word under which a message has the text for a channel that has none
// of its own: that of wecom/app is wecom. It is the channel's own name for most.
func ChannelFamily(channel string) string {
	family, _, _ := strings.Cut(channel, "/")
	return family
}

// viaOf is where a step may send by; nil for one that sends nothing, or by the usual channel.
func viaOf(step Step) []string {
	if s, ok := step.(*Send); ok {
		return s.Via
	}
	if s, ok := step.(*MakeOffer); ok {
		return s.Via
	}
	if s, ok := step.(*AskQuestion); ok {
		return s.Via
	}
	if s, ok := step.(*FormTeam); ok {
		return s.Via
	}
	return nil
}

// messagesOf lists the messages that a step sends itself; none for one that has no `via`.
func messagesOf(step Step) (names []string) {
	add := func(all ...string) {
		for _, name := range all {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	reminders := func(list []Reminder) {
		for _, r := range list {
			add(r.Send)
		}
	}
	if s, ok := step.(*Send); ok {
		add(s.Message)
	}
	if s, ok := step.(*MakeOffer); ok {
		add(s.Announce)
		reminders(s.Remind)
	}
	if s, ok := step.(*AskQuestion); ok {
		add(s.Message, s.Again)
	}
	if s, ok := step.(*FormTeam); ok {
		add(s.Announce)
		reminders(s.Remind)
	}
	return names
}

// Vias lists the channels that a campaign's steps name, each once, in order.
func (d *Definition) Vias() (names []string) {
	var look func(Steps)
	look = func(steps Steps) {
		for _, step := range steps {
			for _, name := range viaOf(step) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			for _, b := range Children(step) {
				look(b.Steps)
			}
		}
	}
	for i := range d.Journeys {
		look(d.Journeys[i].Steps)
	}
	return names
}

// MessagesBy lists the messages that a campaign's steps send by a channel, each once, in order.
func (d *Definition) MessagesBy(channel string) (names []string) {
	var look func(Steps)
	look = func(steps Steps) {
		for _, step := range steps {
			if slices.Contains(viaOf(step), channel) {
				for _, name := range messagesOf(step) {
					if !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
			for _, b := range Children(step) {
				look(b.Steps)
			}
		}
	}
	for i := range d.Journeys {
		look(d.Journeys[i].Steps)
	}
	return names
}

// Channels lists the channels that this build can send by.
func Channels() []ChannelTraits { return slices.Clone(channelTraits) }

// ChannelByName finds a channel.
func ChannelByName(name string) (ChannelTraits, bool) {
	for _, c := range channelTraits {
		if c.Name == name {
			return c, true
		}
	}
	return ChannelTraits{}, false
}
