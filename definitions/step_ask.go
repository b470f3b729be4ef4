package definitions

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/banyanhq/banyan/campaign"
)

var (
	askShape      = shape{what: "an ask step", keys: []string{"ask", "otherwise"}}
	questionShape = shape{what: "a question", keys: []string{"message", "again", "via", "answers", "for", "grace", "repeat"}}
	answerShape   = shape{what: "an answer", keys: []string{"type", "one_of", "min", "max", "max_length"}}
)

const (
	maxRepeat = 5
	maxBound  = 1e15 // of an answer that is a number: below it every whole number is a float
)

func (c *checker) ask(s *stepForm) campaign.Step {
	const form = "write {message: MESSAGE, answers: {NAME: …}, for: 24h}"
	step := &campaign.AskQuestion{StepCommon: s.common, Repeat: 1}
	if !s.value.isMapping() {
		c.wrongType(s.value, form)
		return nil
	}
	o, ok := c.object(s.value, questionShape)
	step.Via = c.via(o)
	if v, has := o.get("message"); has {
		step.Message = c.message(v, step.Via)
		s.self.offers = append(s.self.offers, offerUse{node: v, message: step.Message})
	} else if ok {
		c.missing(o, s.self.key, "this question", "message", form)
	}
	if v, has := o.get("again"); has {
		step.Again = c.message(v, step.Via)
		s.self.offers = append(s.self.offers, offerUse{node: v, message: step.Again})
	}
	if v, has := o.get("answers"); has {
		step.Answers = c.answers(v)
	} else if ok {
		c.missing(o, s.self.key, "this question", "answers", "write what may be answered, such as `answers: {times: int}`")
	}
	if v, has := o.get("for"); has {
		step.For, _ = c.duration(v)
	} else if ok {
		c.missing(o, s.self.key, "this question", "for", "every path must end: write how long to wait for the reply, such as `for: 24h`")
	}
	if v, has := o.get("grace"); has {
		step.Grace, _ = c.duration(v)
	}
	if v, has := o.get("repeat"); has {
		step.Repeat = c.repeats(v)
		if again, has := o.field("again"); has && step.Repeat == 0 {
			c.problem(again.key, "repeat", "`again` is never sent: the question is not repeated", "leave one of the two out")
		}
	}
	step.Otherwise = s.blockOf(c, "otherwise")
	c.replyEvent()
	return step
}

// repeats reads how often a question is put again.
func (c *checker) repeats(n node) int {
	form := fmt.Sprintf("write how often the question is put again when a reply fits no answer: 0 to %d", maxRepeat)
	s, ok := c.text(n, form)
	if !ok {
		return 1
	}
	times, err := strconv.Atoi(s)
	if err != nil || times < 0 || times > maxRepeat {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", "repeat", shorten(s)), form)
		return 1
	}
	return times
}

// answers reads what a reply may be, in the order in which it is tried.
func (c *checker) answers(n node) []campaign.AnswerForm {
	all, ok := c.fields(n, "write a mapping from names to what is accepted, such as {times: {type: int, min: 0}}")
	if ok && len(all) == 0 {
		c.problem(n, "missing-key", `"answers" is empty`, "write at least one answer, such as {times: int}")
	}
	out := make([]campaign.AnswerForm, 0, len(all))
	for i, f := range all {
		if !attributeName.allows(f.name) || slices.Contains([]string{"in", "true", "false", "null"}, f.name) {
			c.badName(f.key, attributeName, f.name)
		}
		a, good := c.answer(f)
		if good && a.Type == campaign.TypeString && len(a.OneOf) == 0 && i+1 < len(all) {
			c.problem(all[i+1].key, "answer-never", fmt.Sprintf("answer %q takes every text, so this one is never reached", f.name),
				fmt.Sprintf("a reply is the first answer that it fits: write %q last", f.name))
		}
		out = append(out, a)
	}
	return out
}

// answerTypes are what a reply can be.
var answerTypes = []campaign.Type{campaign.TypeString, campaign.TypeInt, campaign.TypeNumber}

// answer reads `NAME: int`, or a mapping.
func (c *checker) answer(f field) (campaign.AnswerForm, bool) {
	a := campaign.AnswerForm{Name: f.name, Type: campaign.TypeString}
	if f.value.isScalar() {
		t, ok := oneOf(c, f.value, answerTypes...)
		if ok {
			a.Type = t
		}
		if a.Type == campaign.TypeString {
			a.MaxLength = campaign.DefaultAnswerLength
		}
		return a, ok
	}
	o, ok := c.object(f.value, answerShape)
	if !ok {
		return a, false
	}
	values, chosen := o.get("one_of")
	if v, has := o.get("type"); has {
		var t campaign.Type
		if t, ok = oneOf(c, v, answerTypes...); ok {
			a.Type = t
		}
	} else if !chosen {
		c.missing(o, f.key, fmt.Sprintf("answer %q", f.name), "type", "write `type: int`, `type: number` or `type: string`, or `one_of:` with the values")
		return a, false
	}
	if chosen {
		if a.Type != campaign.TypeString {
			c.problem(values, "one-of", fmt.Sprintf("one_of goes with strings, and this is %q", a.Type), "leave it out, or make the type string")
			return a, false
		}
		if a.OneOf = c.choices(values); len(a.OneOf) == 0 {
			return a, false
		}
	}
	return a, c.answerBounds(o, &a) && ok
}

// answerBounds reads min and max of a number, max_length of a text.
func (c *checker) answerBounds(o object, a *campaign.AnswerForm) bool {
	good := true
	number := a.Type == campaign.TypeInt || a.Type == campaign.TypeNumber
	for _, key := range []string{"min", "max"} {
		f, ok := o.field(key)
		if !ok {
			continue
		}
		if !number {
			c.problem(f.key, "answer-bounds", fmt.Sprintf("%q goes with int and number, and this is a string", key), "leave it out, or write another type")
			good = false
			continue
		}
		n, ok := c.bound(f.value, a.Type)
		good = good && ok
		if ok && key == "min" {
			a.Min = &n
		} else if ok {
			a.Max = &n
		}
	}
	if a.Min != nil && a.Max != nil && *a.Min > *a.Max {
		most, _ := o.get("max")
		c.problem(most, "answer-bounds", "max is below min, so nothing fits", "write the smallest number under min and the largest under max")
		good = false
	}
	f, ok := o.field("max_length")
	switch {
	case ok && (number || len(a.OneOf) > 0):
		c.problem(f.key, "answer-bounds", `"max_length" goes with a string of any words`, "leave it out")
		good = false
	case ok:
		n, fits := c.count(f.value, campaign.MaxAnswerLength)
		a.MaxLength, good = int(n), good && fits
	case !number && len(a.OneOf) == 0:
		a.MaxLength = campaign.DefaultAnswerLength
	}
	return good
}

func (c *checker) bound(n node, t campaign.Type) (float64, bool) {
	form := fmt.Sprintf("write a number between -%.0f and %.0f", maxBound, maxBound)
	if t == campaign.TypeInt {
		form = "write a whole number"
	}
	s, ok := c.text(n, form)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > maxBound || t == campaign.TypeInt && v != math.Trunc(v) {
		c.problem(n, "bad-number", fmt.Sprintf("%q cannot be %q", n.path.last(), shorten(s)), form)
		return 0, false
	}
	return v, true
}

// choices reads the values of an answer: a list, or a mapping from each value to the
// words that stand for it besides itself.
func (c *checker) choices(n node) []campaign.Choice {
	const form = "write a list of values, or a mapping from each value to the words that mean it: {lose: [减肥, 瘦身, \"1\"]}"
	var out []campaign.Choice
	seen := map[string]string{}
	add := func(at node, choice *campaign.Choice, word string) {
		plain := campaign.PlainWord(word)
		switch other, taken := seen[plain]; {
		case plain == "" || len(word) > maxWord:
			c.problem(at, "one-of", fmt.Sprintf("%q cannot be an answer", shorten(word)), fmt.Sprintf("write a word of at most %d bytes with a letter or a digit in it", maxWord))
		case taken && other != choice.Value:
			c.problem(at, "one-of", fmt.Sprintf("%q means both %q and %q", shorten(word), shorten(other), shorten(choice.Value)), "each word means one value; capitals and marks around it do not count")
		case taken:
			c.problem(at, "one-of", fmt.Sprintf("%q stands twice", shorten(word)), "each word is written once; capitals and marks around it do not count")
		}
		seen[plain] = choice.Value
	}
	if !n.isMapping() {
		if !n.isSequence() || len(n.yaml.Content) == 0 {
			c.problem(n, "one-of", "one_of is "+emptyOr(n), form)
			return nil
		}
		for _, item := range c.items(n) {
			if s, ok := c.text(item, form); ok {
				choice := campaign.Choice{Value: s}
				add(item, &choice, s)
				out = append(out, choice)
			}
		}
		return out
	}
	all, _ := c.fields(n, form)
	if len(all) == 0 {
		c.problem(n, "one-of", "one_of is an empty mapping", form)
	}
	for _, f := range all {
		choice := campaign.Choice{Value: f.name}
		add(f.key, &choice, f.name)
		if !f.value.isNull() {
			for _, item := range c.items(f.value) {
				if s, ok := c.text(item, form); ok {
					add(item, &choice, s)
					choice.Words = append(choice.Words, s)
				}
			}
		}
		out = append(out, choice)
	}
	return out
}

// maxWord is how long one of the words of a choice may be, in bytes.
const maxWord = 64

// replyEvent makes sure, once, that a campaign that declares the event of a reply by
// itself gives it the text that answers are read from.
func (c *checker) replyEvent() {
	e, ok := c.def.Event(campaign.EventReply)
	if !ok || c.replySeen {
		return
	}
	c.replySeen = true
	want := campaign.ReplyEvent()
	text, has := e.Property(campaign.PropertyText)
	question, asks := e.Property(campaign.PropertyQuestion)
	if !has || text.Type != campaign.TypeString || len(text.OneOf) > 0 || asks && question.Type != campaign.TypeString {
		c.problem(c.declared.events.at[e.Name], "reply-event", fmt.Sprintf("answers are read from the text of the event %s", want.Name),
			fmt.Sprintf("write `%s: {text: string, question: string}` and what else it carries, or leave it out: it need not be declared", want.Name))
	}
	c.declared.events.use(e.Name)
}
