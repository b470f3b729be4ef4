package callbacks

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Standing is what a callback says of whether a person may be written to by its channel.
type Standing string

// Standings.
const (
	Unsaid Standing = ""
	In     Standing = "in"  // she follows, or was added: an opt-out by the platform's word ends
	Out    Standing = "out" // she follows no more, or deleted us: the channel's way of saying no
)

// Whom names whom an event is of.
type Whom struct {
	// A person, by an address of the platform.
	Kind    campaign.IdentityKind
	Account string
	Address string
	// Thing stands instead of a person where the platform names none: a group, or an account
	// of customer service. It has an id of the platform in Address, and no identity.
	Thing string
	// EventKey is that of an event told before: it is of the same member.
	EventKey string
}

// Told is one event that a callback tells.
type Told struct {
	Type       string
	Key        string // the same key is the same event, whatever else differs: see EventID
	Time       time.Time
	Properties json.RawMessage
	Whom       Whom
	Standing   Standing
	// Permit is what it says of messages by Template to the user of a mini program.
	Permit   Permit
	Template string
}

// Permit is what a callback says of whether a mini program may write to its user.
type Permit string

// Permits.
const (
	NoPermit       Permit = ""          // nothing changes
	PermitGiven    Permit = "given"     // one message more
	PermitsRefused Permit = "withdrawn" // she refuses all of them in her settings
)

// EventID is the id under which Banyan keeps an event of a callback.
func EventID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return campaign.OwnEventID("callback/" + hex.EncodeToString(sum[:16]))
}

// Callback is one that was opened and kept.
type Callback struct {
	Channel  Channel
	Account  string
	Sort     string
	Payload  []byte
	Received time.Time
}

// Things that stand for no person.
const (
	ThingGroup = "wecom.group"
	ThingDesk  = "wecom.kf"
)

// Map says which events a callback tells: none for those that mean nothing to Banyan. An error
// says that a payload is not as the vendor describes it; it does not quote it.
func Map(c *Callback) ([]Told, error) {
	in, err := parse(c.Payload)
	if err != nil {
		return nil, err
	}
	if c.Channel == Pay {
		return mapPay(c, in)
	}
	m := message{c, in, c.Received}
	if seconds, err := strconv.ParseInt(in.text("CreateTime"), 10, 64); err == nil {
		m.at = plausible(time.Unix(seconds, 0), c.Received)
	}
	what := m.what()
	for i := range lines {
		if lines[i].channels[c.Channel] && lines[i].matches(what) {
			return lines[i].tell(&m, &lines[i])
		}
	}
	return nil, nil
}

// plausible is the platform's time, unless its clock and ours are a day apart.
func plausible(at, received time.Time) time.Time {
	if at.After(received.Add(10*time.Minute)) || at.Before(received.AddDate(0, 0, -7)) {
		return received
	}
	return at
}

// message is a callback of WeCom or WeChat.
type message struct {
	c  *Callback
	in fields
	at time.Time
}

// what names what happened as the table does: a message by its sort, an event by its name and
// what it says of the change.
func (m *message) what() string {
	if sort := m.in.text("MsgType"); sort != "event" {
		return "message/" + strings.ToLower(sort)
	}
	parts := []string{m.in.text("Event"), m.in.text("ChangeType"), m.in.text("UpdateDetail")}
	return strings.ToLower(strings.TrimRight(strings.Join(parts, "/"), "/"))
}

// take is a field of the vendor's that becomes a property.
type take struct {
	from string
	as   string
	cut  string // a prefix that is cut off
}

// line is one line of the mapping.
type line struct {
	channels map[Channel]bool
	on       string // as message.what gives it; a star at its end stands for anything
	event    string
	whom     string // for the table of the page
	takes    []take
	standing Standing
	tell     func(*message, *line) ([]Told, error)
}

func (l *line) matches(what string) bool {
	if prefix, ok := strings.CutSuffix(l.on, "*"); ok {
		return strings.HasPrefix(what, prefix)
	}
	return l.on == what
}

func of(channels ...Channel) map[Channel]bool {
	out := map[Channel]bool{}
	for _, c := range channels {
		out[c] = true
	}
	return out
}

// properties are what a line takes, and all else under the vendor's names. Whose address it is
// stands with her identities and nowhere else.
func (m *message) properties(l *line, without ...string) map[string]any {
	out := map[string]any{}
	used := append([]string{"ToUserName", "FromUserName", "ExternalUserID", "CreateTime", "MsgType", "Event"}, without...)
	for _, t := range l.takes {
		used = append(used, t.from)
		if v := strings.TrimPrefix(m.in.text(t.from), t.cut); v != "" {
			out[t.as] = v
		}
	}
	other := maps.Clone(m.in)
	maps.DeleteFunc(other, func(name string, v any) bool { return v == "" || v == nil || slices.Contains(used, name) })
	if len(other) > 0 {
		out["other"] = other
	}
	return out
}

// key is the event's: the platform's own id of a message, or what the callback's bytes are.
func (m *message) key(l *line, more ...string) string {
	own := m.in.text("MsgId")
	if own == "" {
		sum := sha256.Sum256(m.c.Payload)
		own = hex.EncodeToString(sum[:])
	}
	return strings.Join(append([]string{string(m.c.Channel), m.c.Account, l.event, own}, more...), "\x00")
}

// person is who wrote, tapped, or was added.
func (m *message) person() Whom {
	w := Whom{Kind: campaign.IdentityOpenID, Account: m.c.Account, Address: m.in.text("FromUserName")}
	if m.c.Channel == Wecom {
		w.Kind, w.Address = campaign.IdentityWecomExternal, m.in.text("ExternalUserID")
	}
	return w
}

func (m *message) told(l *line, key string, whom Whom, properties map[string]any) (Told, error) {
	address, why := campaign.ParseAddress(cmp.Or(whom.Kind, campaign.IdentityOpenID), whom.Address)
	if why != "" {
		return Told{}, fmt.Errorf("%s: it names nobody", l.on)
	}
	whom.Address = address
	text, err := json.Marshal(properties)
	if err != nil {
		return Told{}, errPayload
	}
	return Told{Type: l.event, Key: key, Time: m.at, Properties: text, Whom: whom, Standing: l.standing}, nil
}

// tellPerson tells one event of one person.
func tellPerson(m *message, l *line) ([]Told, error) {
	t, err := m.told(l, m.key(l), m.person(), m.properties(l))
	if err != nil {
		return nil, err
	}
	return []Told{t}, nil
}

// tellMessage tells of what somebody wrote; a text is a reply too, which the step ask hears.
func tellMessage(m *message, l *line) ([]Told, error) {
	properties := m.properties(l)
	properties["sort"] = strings.ToLower(m.in.text("MsgType"))
	t, err := m.told(l, m.key(l), m.person(), properties)
	if err != nil {
		return nil, err
	}
	out := []Told{t}
	if text := m.in.text("Content"); text != "" && properties["sort"] == "text" {
		reply := *l
		reply.event = campaign.EventReply
		said, err := m.told(&reply, m.key(&reply), m.person(), map[string]any{campaign.PropertyText: text, "channel": string(m.c.Channel)})
		if err != nil {
			return nil, err
		}
		out = append(out, said)
	}
	return out, nil
}

// tellAnswers tells of each template for which a permit was asked.
func tellAnswers(m *message, l *line) (out []Told, err error) {
	list := m.in.items("List")
	for _, name := range []string{"SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent", "SubscribeMsgSentEvent"} {
		list = append(list, m.in.items(name, "List")...)
	}
	for i, each := range list {
		in, ok := each.(fields)
		if !ok || in.text("TemplateId") == "" {
			return nil, fmt.Errorf("%s: an item names no template", l.on)
		}
		one := message{m.c, in, m.at}
		t, err := m.told(l, m.key(l, strconv.Itoa(i)), m.person(), one.properties(l))
		if err != nil {
			return nil, err
		}
		t.Permit, t.Template = m.permitOf(in), in.text("TemplateId")
		out = append(out, t)
	}
	return out, nil
}

// permitOf says what an answer permits. Who declines when she is asked keeps what she has
// permitted before; who refuses in her settings takes it back.
func (m *message) permitOf(answer fields) Permit {
	if m.c.Channel != MiniProgram {
		return NoPermit
	}
	switch m.what() + " " + answer.text("SubscribeStatusString") {
	case "subscribe_msg_popup_event accept":
		return PermitGiven
	case "subscribe_msg_change_event reject":
		return PermitsRefused
	}
	return NoPermit
}

// tellGroup tells of a customer group, and of each customer who came or went where the
// platform names them.
func tellGroup(m *message, l *line) ([]Told, error) {
	chat := Whom{Thing: ThingGroup, Account: m.c.Account, Address: m.in.text("ChatId")}
	t, err := m.told(l, m.key(l), chat, m.properties(l, "MemChangeList"))
	if err != nil {
		return nil, err
	}
	out := []Told{t}
	person := *l
	switch m.in.text("UpdateDetail") {
	case "add_member":
		person.event = "wecom.group.joined"
	case "del_member":
		person.event = "wecom.group.left"
	default:
		return out, nil
	}
	for _, each := range append(m.in.items("MemChangeList", "Item"), m.in.items("MemChangeList")...) {
		id, _ := each.(string)
		if !strings.HasPrefix(id, "wm") && !strings.HasPrefix(id, "wo") {
			continue // one of the staff
		}
		whom := Whom{Kind: campaign.IdentityWecomExternal, Account: m.c.Account, Address: id}
		t, err := m.told(&person, m.key(&person, id), whom, m.properties(l, "MemChangeList"))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// tellDesk tells that something waits at an account of customer service.
func tellDesk(m *message, l *line) ([]Told, error) {
	desk := Whom{Thing: ThingDesk, Account: m.c.Account, Address: m.in.text("OpenKfId")}
	t, err := m.told(l, m.key(l), desk, m.properties(l))
	if err != nil {
		return nil, err
	}
	return []Told{t}, nil
}
