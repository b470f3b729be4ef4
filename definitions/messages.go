package definitions

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// maxSubject is how long a mail's subject may be, in bytes, before it is filled in.
const maxSubject = 400

// maxText is how long a message may be, in bytes: some thirteen hundred Chinese
// characters, more than any channel takes.
const maxText = 4000

// Channels lists the channels that this build can send by.
func Channels() []string {
	names := make([]string, 0, len(campaign.Channels()))
	for _, c := range campaign.Channels() {
		names = append(names, c.Name)
	}
	return names
}

// usualChannels lists those that may be the channel of a send without `via`.
func usualChannels() (names []string) {
	for _, c := range campaign.Channels() {
		if c.Usual {
			names = append(names, c.Name)
		}
	}
	return names
}

// wordings lists the channels that a message may have a wording for. Texts for those
// that do not exist yet are kept, so that one file serves every version.
var wordings = []string{"console", "webhook", "wecom", "sms", "mail", "officialaccount", "miniprogram"}

var (
	messageShape = shape{
		what: "a message",
		keys: append([]string{"kind", "when_capped", "text"}, wordings...),
	}
	mailShape = shape{what: "a mail", keys: []string{"subject", "text"}}
)

// channelMail is the channel whose wording has a subject.
const channelMail = "mail"

// messages reads the texts that are sent.
func (c *checker) messages(top object) {
	for _, f := range c.entries(top, "messages", plainName, &c.declared.messages) {
		m := campaign.Message{Name: f.name, Kind: campaign.KindMarketing, WhenCapped: campaign.CappedDelay}
		if f.value.isScalar() {
			m.Text = c.wording(f.name, f.value)
			c.def.Messages = append(c.def.Messages, m)
			continue
		}
		if !f.value.isMapping() {
			c.wrongType(f.value, "write a text, or a mapping with "+list(messageShape.keys))
			continue
		}
		if c.looksLikeTemplate(f.value) {
			continue
		}
		o, _ := c.object(f.value, messageShape)
		c.messageOf(f, o, &m)
		c.def.Messages = append(c.def.Messages, m)
	}
}

func (c *checker) messageOf(f field, o object, m *campaign.Message) {
	for _, part := range o.fields {
		switch part.name {
		case "text":
			m.Text = c.wording(f.name, part.value)
		case "kind":
			if kind, ok := oneOf(c, part.value, campaign.KindMarketing, campaign.KindService); ok {
				m.Kind = kind
			}
		case "when_capped":
			if capped, ok := oneOf(c, part.value, campaign.CappedDelay, campaign.CappedDrop); ok {
				m.WhenCapped = capped
			}
		default:
			if part.name == channelMail && part.value.isMapping() && !c.looksLikeTemplate(part.value) {
				c.mail(f.name, part, m)
				continue
			}
			setText(m, part.name, c.wording(f.name, part.value))
		}
	}
	if _, ok := o.get("text"); !ok && len(m.Texts) == 0 {
		c.missing(o, f.key, fmt.Sprintf("message %q", f.name), "text", "write `text:`, or a text for each channel: "+list(wordings))
	}
}

// filled is what is filled in.
var filled = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// textBy is what a message says by a channel; empty: nothing.
func textBy(m *campaign.Message, channel string) string {
	for _, name := range []string{channel, campaign.ChannelFamily(channel)} {
		if text, ok := m.Texts[name]; ok {
			return text
		}
	}
	return m.Text
}

func setText(m *campaign.Message, channel, text string) {
	if m.Texts == nil {
		m.Texts = map[string]string{}
	}
	m.Texts[channel] = text
}

// mail reads a wording with a subject. Its text may be the message's own.
func (c *checker) mail(message string, f field, m *campaign.Message) {
	o, _ := c.object(f.value, mailShape)
	if v, ok := o.get("text"); ok {
		setText(m, channelMail, c.wording(message, v))
	}
	v, ok := o.get("subject")
	if !ok {
		c.missing(o, f.key, "the mail of message "+strconv.Quote(message), "subject", "write the line by which people see what the mail is about")
		return
	}
	m.Subject = c.wording(message, v)
	switch {
	case strings.ContainsAny(m.Subject, "\r\n"):
		c.problem(v, "subject", fmt.Sprintf("the subject of message %q has several lines", message), "write one line")
	case len(m.Subject) > maxSubject:
		c.problem(v, "subject", fmt.Sprintf("the subject of message %q has %d bytes", message, len(m.Subject)),
			fmt.Sprintf("at most %d are allowed; a phone shows about a dozen Chinese characters of it", maxSubject))
	}
}

// wording reads one text with CEL in {{ }}.
func (c *checker) wording(message string, n node) string {
	if c.looksLikeTemplate(n) {
		return ""
	}
	s, ok := c.text(n, "write a text")
	switch {
	case !ok:
		return ""
	case strings.TrimSpace(s) == "":
		c.problem(n, "empty-text", fmt.Sprintf("message %q has an empty text", message), "write what the member shall read")
		return ""
	case len(s) > maxText:
		c.problem(n, "too-long", fmt.Sprintf("a text of message %q has %d bytes", message, len(s)),
			fmt.Sprintf("at most %d are allowed; a Chinese character takes three", maxText))
		return ""
	}
	c.expressions = append(c.expressions, expression{
		node: n, template: true,
		scope: c.messageScope,
		use: func(x reads) {
			if x.Reads("offer") {
				c.offerTexts[message] = true
			}
			if x.Reads("team") {
				c.teamTexts[message] = true
			}
		},
	})
	return s
}

// looksLikeTemplate reports a text that begins with {{ and lacks its quotes: YAML
// takes it for a mapping.
func (c *checker) looksLikeTemplate(n node) bool {
	if !n.isMapping() || !strings.HasPrefix(c.src.rest(n.yaml), "{{") {
		return false
	}
	c.problem(n, "wrong-type", fmt.Sprintf("%q is a mapping, since { opens one in YAML", n.path.last()),
		"put a text that begins with {{ into quotes")
	return true
}

// via reads the channels of a step, in the order in which they are tried.
func (c *checker) via(o object) []string {
	v, ok := o.get("via")
	if !ok {
		return nil
	}
	var out []string
	for _, item := range c.items(v) {
		s, ok := c.text(item, "write the name of a channel, or a list of them: "+list(Channels()))
		switch {
		case !ok:
		case slices.Contains(out, s):
			c.problem(item, "via", fmt.Sprintf("channel %q stands twice", s), "each channel is tried once")
		case slices.Contains(Channels(), s):
			out = append(out, s)
		case slices.Contains(wordings, s):
			c.notYet(item, s)
		default:
			c.unknown(item, "unknown-channel", fmt.Sprintf("unknown channel %q", shorten(s)), s, Channels())
		}
	}
	if v.isSequence() && len(v.yaml.Content) == 0 {
		c.problem(v, "via", `"via" is an empty list`, "write at least one channel, or leave it out for the usual one")
	}
	return out
}

// message reads the name of a message to be sent, and makes sure that it has a text
// for wherever the step may send it.
func (c *checker) message(n node, via []string) string {
	name, ok := c.refer(n, "message", &c.declared.messages)
	if !ok {
		return name
	}
	m, ok := c.def.Message(name)
	if !ok {
		return name
	}
	for _, channel := range via {
		traits, _ := campaign.ChannelByName(channel)
		if traits.Subject && m.Subject == "" {
			c.problem(n, "no-subject", fmt.Sprintf("message %q goes by %s and has no subject", name, channel),
				fmt.Sprintf("give the message one: `%s: {subject: …, text: …}`; without `text` there, the message's own is sent", channel))
		}
		// What stands between the braces may turn out shorter than it is written.
		written := filled.ReplaceAllString(textBy(m, channel), "")
		if traits.MaxBytes > 0 && len(written) > traits.MaxBytes {
			c.problem(n, "too-long-for-channel", fmt.Sprintf("message %q has %d bytes, not counting what is filled in, and %s takes %d", name, len(written), channel, traits.MaxBytes),
				fmt.Sprintf("give it a shorter text for this channel: `%s: …`; a Chinese character takes three bytes", campaign.ChannelFamily(channel)))
		}
		if count := utf8.RuneCountInString(written); traits.MaxCharacters > 0 && count > traits.MaxCharacters {
			c.problem(n, "too-long-for-channel", fmt.Sprintf("message %q has %d characters, not counting what is filled in, and %s takes %d", name, count, channel, traits.MaxCharacters),
				fmt.Sprintf("give it a shorter text for this channel: `%s: …`", campaign.ChannelFamily(channel)))
		}
	}
	if m.Text != "" || len(m.Texts) == 0 {
		return name
	}
	need := via
	if len(need) == 0 {
		need = usualChannels()
	}
	for _, channel := range need {
		if textBy(m, channel) == "" {
			c.problem(n, "no-wording", fmt.Sprintf("message %q has no text for channel %q", name, channel),
				fmt.Sprintf("give the message a `text:`, which serves every channel, or a `%s:`", campaign.ChannelFamily(channel)))
			break
		}
	}
	return name
}
