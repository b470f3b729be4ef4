package sms

import (
	"cmp"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// What becomes of a marketing text that does not end with the words by which people opt
// out, by the names that BANYAN_SMS_OPT_OUT has for it.
const (
	OptOutAppend = "append" // they are put behind it
	OptOutRefuse = "refuse" // it is not sent
	OptOutLeave  = "leave"  // it goes as it is: who sends it puts them there
)

// DefaultOptOutText are the words that the carriers of mainland China ask for.
const DefaultOptOutText = "拒收请回复R"

const (
	maxSign       = 40 // characters; vendors take 12 or 20
	maxOptOutText = 60
)

// marks may stand behind the words by which people opt out.
const marks = " \n。.！!）)"

// Wording is what stands around the texts of an account.
type Wording struct {
	Sign       string // the signature's name, without 【】; empty: none
	OptOut     string // append unless set
	OptOutText string // DefaultOptOutText unless set
}

// Check says what is wrong with the settings.
func (w Wording) Check() error {
	w = w.plain()
	switch {
	case Characters(w.Sign) > maxSign || strings.ContainsFunc(w.Sign, unicode.IsControl) || strings.ContainsAny(w.Sign, "【】"):
		return campaign.Errorf(campaign.CodeInvalid, "BANYAN_SMS_SIGN is the name of the signature as it was approved, without its brackets, such as 榕树健身")
	case w.OptOut != OptOutAppend && w.OptOut != OptOutRefuse && w.OptOut != OptOutLeave:
		return campaign.Errorf(campaign.CodeInvalid, "BANYAN_SMS_OPT_OUT is %s, %s or %s", OptOutAppend, OptOutRefuse, OptOutLeave)
	case Characters(w.OptOutText) > maxOptOutText || strings.ContainsFunc(w.OptOutText, unicode.IsControl) || !utf8.ValidString(w.OptOutText) ||
		strings.Trim(w.OptOutText, marks) == "":
		return campaign.Errorf(campaign.CodeInvalid, "BANYAN_SMS_OPT_OUT_TEXT are a few words on one line, such as %s", DefaultOptOutText)
	}
	return nil
}

// plain fills in what is not set.
func (w Wording) plain() Wording {
	w.Sign = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(w.Sign), "【"), "】")
	w.OptOut, w.OptOutText = cmp.Or(w.OptOut, OptOutAppend), cmp.Or(strings.TrimSpace(w.OptOutText), DefaultOptOutText)
	return w
}

// front is the signature as people see it. The provider puts it there.
func (w Wording) front() string {
	if w.Sign == "" {
		return ""
	}
	return "【" + w.Sign + "】"
}

// text makes a message's body the text that is handed over: without blanks at its ends,
// without our own signature, and with the words to opt out where it is marketing. ok is
// false where those are missing and may not be added.
func (w Wording) text(body string, kind campaign.MessageKind) (text string, ok bool) {
	text = strings.TrimSpace(body)
	if front := w.front(); front != "" {
		text = strings.TrimSpace(strings.TrimPrefix(text, front))
	}
	if kind == campaign.KindService || w.OptOut == OptOutLeave || text == "" || w.saysHow(text) {
		return text, true
	}
	return text + w.behind(text), w.OptOut == OptOutAppend
}

// saysHow reports whether a text ends with the words by which people opt out.
func (w Wording) saysHow(text string) bool {
	return strings.HasSuffix(strings.TrimRight(text, marks), strings.TrimRight(w.OptOutText, marks))
}

// behind gives the words by which people opt out as they are put behind a text: after a
// comma where it ends without a mark; words of another script after a blank.
func (w Wording) behind(text string) string {
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case w.OptOutText[0] < utf8.RuneSelf:
		return " " + w.OptOutText
	case unicode.IsPunct(last), unicode.IsSymbol(last):
		return w.OptOutText
	}
	return "，" + w.OptOutText
}

var (
	filledIn = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
	// something stands for what is filled in, and for nothing that anybody writes.
	something = string(rune(0x10fffd))
)

// Fits reports whether one of the templates gives a message's text, whatever is filled in:
// what stands in its braces is part of a parameter.
func Fits(templates []Template, w Wording, m *campaign.Message) bool {
	body, ok := m.Texts[Name]
	if !ok {
		body = m.Text
	}
	text, ok := w.plain().text(filledIn.ReplaceAllString(body, something), m.Kind)
	if !ok {
		return false
	}
	for _, international := range []bool{false, true} {
		if _, _, ok := Match(Usable(templates, m.Kind, international), text); ok {
			return true
		}
	}
	return false
}
