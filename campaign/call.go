package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ChannelCall is the name under which calls of outside services are claimed and made,
// beside the channels of messages. No `via` can name it.
const ChannelCall = "call"

// KindCall is the kind of a claim that is no message to a member but a call.
const KindCall MessageKind = "call"

// Bounds of a call.
const (
	DefaultCallTimeout = 10 * time.Second // of one try
	MaxCallTimeout     = 30 * time.Second
	MaxCallBody        = 64 << 10 // bytes of what is sent, and of what is answered
	MaxCallDepth       = 32       // how deep an answer may nest
	MaxCallFields      = 20       // that are read of an answer
	MaxCallText        = 1000     // characters of a text in an answer
)

// SendTimeout bounds one attempt to send by a channel, as the workflow has it: for so long
// nobody knows that a worker was killed with the message in its hands. A channel answers
// within seconds; the webhook's own limit is five. A call may take as long as it says.
func SendTimeout(channel string) time.Duration {
	if channel == ChannelCall {
		return MaxCallTimeout + 10*time.Second
	}
	return 15 * time.Second
}

// CallField is one field of the answer to a call. One that is optional may be missing or
// null.
type CallField struct {
	Name     string   `json:"name"`
	Type     Type     `json:"type"`
	OneOf    []string `json:"one_of,omitempty"` // strings only
	Optional bool     `json:"optional,omitempty"`
}

// Property is the field as expressions read it.
func (f *CallField) Property() Property {
	return Property{Name: f.Name, Type: f.Type, OneOf: f.OneOf}
}

// Name is what people, traces and tests call the call by: what its answer is saved as,
// else the host that is called.
func (s *CallService) Name() string {
	if s.SaveAs != "" {
		return s.SaveAs
	}
	if u, err := url.Parse(s.URL); err == nil {
		return u.Host
	}
	return ""
}

// CallRequest is what stands claimed of a call: all that it takes to make it.
type CallRequest struct {
	URL      string          `json:"url"`
	Step     string          `json:"step"`
	Timeout  time.Duration   `json:"timeout"` // of one try
	Body     json.RawMessage `json:"body"`
	Returns  []CallField     `json:"returns,omitempty"`
	Currency Currency        `json:"currency"` // of money that is answered as a text
}

// EventCallAnswered is the type of the event by which a journey learns how its call
// ended. No campaign can declare it and no caller can tell it: its name is none that an
// event type can have.
const EventCallAnswered = "@call.answered"

// CallAnswer is how a call ended, the properties of an EventCallAnswered.
type CallAnswer struct {
	Call string `json:"call"` // its key
	// Answered says that the service has answered as it was to; otherwise Reason says why
	// it never will.
	Answered bool                       `json:"answered"`
	Returned map[string]json.RawMessage `json:"returned,omitempty"` // typed by the step's fields
	Reason   string                     `json:"reason,omitempty"`
}

// CallAnswerOf reads what an event tells of a call; ok is false for every other event.
func CallAnswerOf(e *Event) (a CallAnswer, ok bool) {
	if e.Type != EventCallAnswered || json.Unmarshal(e.Properties, &a) != nil {
		return CallAnswer{}, false
	}
	return a, true
}

// CallEventID is the id of the event that tells how a call ended. A call ends once. Its key
// may be longer than the id of an event.
func CallEventID(key string) string { return OwnEventID("call/" + hashed(key)) }

// What may be wrong with an answer. The words are part of no interface.
var (
	errAnswerSize   = errors.New("the answer is too long")
	errAnswerForm   = errors.New("the answer is no JSON object")
	errAnswerDepth  = errors.New("the answer nests too deeply")
	errAnswerLacks  = errors.New("a declared field is missing")
	errAnswerUnfits = errors.New("a field is not of its declared type")
)

// ReadAnswer types the body of an answer by the declared fields. What is not declared is
// left out. An error says that the answer is not what was declared; it repeats nothing of
// the answer. Without fields nothing is read.
//
// Money is {"amount": "199.00", "currency": "CNY"}, or a text in the campaign's currency,
// never a JSON number; a time is RFC 3339.
func (r *CallRequest) ReadAnswer(body []byte) (map[string]json.RawMessage, error) {
	if len(r.Returns) == 0 {
		return nil, nil
	}
	if len(body) > MaxCallBody {
		return nil, errAnswerSize
	}
	if err := checkDepth(body); err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil || all == nil {
		return nil, errAnswerForm
	}
	out := make(map[string]json.RawMessage, len(r.Returns))
	for i := range r.Returns {
		f := &r.Returns[i]
		raw, there := all[f.Name]
		if !there || string(raw) == "null" {
			if !f.Optional {
				return nil, errAnswerLacks
			}
			continue
		}
		value, ok := f.read(raw, r.Currency)
		if !ok {
			return nil, errAnswerUnfits
		}
		out[f.Name] = value
	}
	return out, nil
}

// checkDepth refuses what is no single JSON value, or one that nests too deeply, before
// anything is made of it.
func checkDepth(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for depth := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errAnswerForm
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > MaxCallDepth {
				return errAnswerDepth
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// read brings one field to the form in which it is kept.
func (f *CallField) read(raw json.RawMessage, currency Currency) (json.RawMessage, bool) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	ok := false
	switch f.Type {
	case TypeString:
		ok = isText && utf8.RuneCountInString(text) <= MaxCallText && !strings.ContainsRune(text, 0) &&
			(len(f.OneOf) == 0 || slices.Contains(f.OneOf, text))
	case TypeInt:
		n, err := strconv.ParseInt(number.String(), 10, 64)
		v, ok = n, isNumber && err == nil
	case TypeNumber:
		n, err := number.Float64()
		v, ok = n, isNumber && err == nil && !math.IsInf(n, 0)
	case TypeBool:
		_, ok = v.(bool)
	case TypeTime:
		t, err := time.Parse(time.RFC3339Nano, text)
		ok = isText && err == nil && t.UTC().Year() >= 1
	case TypeMoney:
		v, ok = moneyOf(raw, text, isText, currency)
	}
	if !ok {
		return nil, false
	}
	value, err := json.Marshal(v)
	return value, err == nil
}

// moneyOf reads money as callers write it.
func moneyOf(raw json.RawMessage, text string, isText bool, currency Currency) (Money, bool) {
	if isText {
		m, err := ParseMoney(strings.TrimSpace(text), currency)
		return m, err == nil
	}
	var m Money
	if len(raw) == 0 || raw[0] != '{' || m.UnmarshalJSON(raw) != nil || m.Currency == "" {
		return Money{}, false
	}
	return m, true
}

// Calls lists the steps of a list, and of the blocks in them, that call a service.
func (s Steps) Calls() []*CallService {
	var out []*CallService
	for _, step := range s {
		if c, ok := step.(*CallService); ok {
			out = append(out, c)
		}
		for _, b := range Children(step) {
			out = append(out, b.Steps.Calls()...)
		}
	}
	return out
}

// Call finds a call of any journey by its Name. Calls of one name return the same.
func (d *Definition) Call(name string) (*CallService, bool) {
	for i := range d.Journeys {
		for _, c := range d.Journeys[i].Steps.Calls() {
			if c.Name() == name {
				return c, true
			}
		}
	}
	return nil, false
}
