package campaign

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EventReply is the type of the event by which a caller tells what a member wrote. A
// campaign that asks need not declare it. Its property text is what she wrote; question,
// which may be left out, is the key of the message that she answered.
const (
	EventReply       = "reply.received"
	PropertyText     = "text"
	PropertyQuestion = "question"
)

// ReplyEvent is EventReply as a campaign would declare it.
func ReplyEvent() EventType {
	return EventType{Name: EventReply, Properties: []Property{
		{Name: PropertyText, Type: TypeString}, {Name: PropertyQuestion, Type: TypeString},
	}}
}

// Hears finds an event type that members' events may have: a declared one, or that of
// replies where the campaign asks.
func (d *Definition) Hears(name string) (*EventType, bool) {
	e, ok := d.Event(name)
	if !ok && name == EventReply && d.Asks() {
		reply := ReplyEvent()
		return &reply, true
	}
	return e, ok
}

// Reply is what a member wrote.
type Reply struct {
	Text     string `json:"text"`
	Question string `json:"question"`
}

// ReplyOf reads what an event of type EventReply tells; ok is false where it tells nothing.
func ReplyOf(e *Event) (r Reply, ok bool) {
	if e.Type != EventReply || json.Unmarshal(e.Properties, &r) != nil {
		return Reply{}, false
	}
	return r, strings.TrimSpace(r.Text) != ""
}

// Bounds of a text that is taken for an answer, in characters.
const (
	DefaultAnswerLength = 200
	MaxAnswerLength     = 1000
)

// AnswerForm is what a reply must be to count as one answer to a question. Exactly one of
// three forms: one of OneOf; a number between Min and Max; any text of at most MaxLength
// characters.
type AnswerForm struct {
	Name      string   `json:"name"`
	Type      Type     `json:"type"` // TypeString, TypeInt or TypeNumber
	OneOf     []Choice `json:"one_of,omitempty"`
	Min       *float64 `json:"min,omitempty"`
	Max       *float64 `json:"max,omitempty"`
	MaxLength int      `json:"max_length,omitempty"` // of a text
}

// Choice is one value of an answer, and the words that stand for it besides itself.
type Choice struct {
	Value string   `json:"value"`
	Words []string `json:"words,omitempty"`
}

// Property is the answer as expressions read it.
func (f *AnswerForm) Property() Property {
	p := Property{Name: f.Name, Type: f.Type}
	for _, c := range f.OneOf {
		p.OneOf = append(p.OneOf, c.Value)
	}
	return p
}

// Read takes a reply for this answer, if it fits, and gives the answer's value as JSON.
func (f *AnswerForm) Read(text string) (value json.RawMessage, ok bool) {
	var v any
	switch {
	case f.Type == TypeInt:
		n, err := strconv.ParseInt(PlainWord(text), 10, 64)
		v, ok = n, err == nil && f.within(float64(n))
	case f.Type == TypeNumber:
		n, fits := decimal(PlainWord(text))
		v, ok = n, fits && f.within(n)
	case len(f.OneOf) > 0:
		v, ok = f.choice(PlainWord(text))
	default:
		trimmed := strings.TrimSpace(text)
		v, ok = trimmed, trimmed != "" && utf8.RuneCountInString(trimmed) <= f.MaxLength
	}
	if !ok {
		return nil, false
	}
	value, err := json.Marshal(v)
	return value, err == nil
}

func (f *AnswerForm) within(n float64) bool {
	return (f.Min == nil || n >= *f.Min) && (f.Max == nil || n <= *f.Max)
}

func (f *AnswerForm) choice(word string) (string, bool) {
	for _, c := range f.OneOf {
		if PlainWord(c.Value) == word {
			return c.Value, true
		}
		for _, w := range c.Words {
			if PlainWord(w) == word {
				return c.Value, true
			}
		}
	}
	return "", false
}

// decimal reads a number as people write it: digits, perhaps a sign and a fraction.
func decimal(s string) (float64, bool) {
	if s == "" || strings.Trim(s, "+-0123456789.") != "" {
		return 0, false // ParseFloat knows more spellings than people do: inf, 1e9, 0x1p-2
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// PlainWord brings what people type to one form: without blanks and marks around it, in
// lower case, and with full-width letters, digits and signs, which Chinese keyboards
// give, as the usual ones.
func PlainWord(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= '！' && r <= '～':
			r -= '！' - '!'
		case r == '\u3000':
			r = ' '
		}
		return unicode.ToLower(r)
	}, s)
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	return strings.TrimRightFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(".,;!?~。，、；", r) })
}

// Questions lists the steps of a list, and of the blocks in them, that ask something.
func (s Steps) Questions() []*AskQuestion {
	var out []*AskQuestion
	for _, step := range s {
		if q, ok := step.(*AskQuestion); ok {
			out = append(out, q)
		}
		for _, b := range Children(step) {
			out = append(out, b.Steps.Questions()...)
		}
	}
	return out
}

// Asks reports whether a journey of the campaign asks its members something.
func (d *Definition) Asks() bool {
	for i := range d.Journeys {
		if len(d.Journeys[i].Steps.Questions()) > 0 {
			return true
		}
	}
	return false
}
