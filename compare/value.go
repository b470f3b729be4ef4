package compare

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// field is a field of a struct of package campaign that two versions are compared by.
type field struct {
	index int
	key   string // its name in JSON, which is that in YAML with few exceptions
}

// keyNames are keys that are written otherwise than in JSON.
var keyNames = map[string]string{"starts": "start", "events": "await", "tags": "tags", "assign": "set", "message": "send", "target": "goto", "outcome": "end", "event": "on", "budget_per_day": "budget.per_day", "budget_per_member": "budget.per_member", "pause_at": "budget.pause_at"}

var stepsType = reflect.TypeFor[campaign.Steps]()

// fieldsOf lists the fields that say something: not the name, by which things are found,
// and not the steps, which are compared one by one.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" || key == "-" || key == "name" || f.Anonymous || holdsSteps(f.Type) {
			continue
		}
		if name, ok := keyNames[key]; ok && t != reflect.TypeFor[campaign.AskQuestion]() { // which writes them as they are
			key = name
		}
		out = append(out, field{i, key})
	}
	return out
}

// holdsSteps reports whether steps are somewhere inside a type.
func holdsSteps(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map, reflect.Array:
		return t == stepsType || holdsSteps(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).Type == stepsType {
				return true
			}
		}
	default:
	}
	return false
}

// value says what a field holds, the way the campaign writes it; nothing for one that was
// left out.
func value(key string, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x == 0 {
			return ""
		}
		return campaign.FormatDuration(x)
	case campaign.Money:
		return x.String()
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.Format("2006-01-02 15:04")
	case campaign.Times:
		if x.Every == 0 {
			return strconv.Itoa(x.Times)
		}
		return fmt.Sprintf("%d in %s", x.Times, campaign.FormatDuration(x.Every))
	case campaign.QuietHours:
		return fmt.Sprintf("%02d:%02d–%02d:%02d", x.From/60, x.From%60, x.Until/60, x.Until%60)
	case campaign.Window:
		return window(x)
	case campaign.Entry:
		if x.Rule == campaign.EntryAgainAfter {
			return "again after " + campaign.FormatDuration(x.After)
		}
		return string(x.Rule)
	case campaign.Trigger:
		return on(x.Event, x.When)
	case campaign.Reversal:
		if x.BelowZero {
			return on(x.Event, x.When) + ", below zero"
		}
		return on(x.Event, x.When)
	case campaign.PointGroup:
		return x.Name + " " + x.Of
	case campaign.Start:
		switch {
		case x.Event != "":
			return on(x.Event, x.When)
		case x.Schedule != "":
			return "segment " + x.Segment + " at " + x.Schedule
		case x.Segment != "":
			return "segment " + x.Segment
		case x.API:
			return "the API"
		}
	case campaign.Reminder:
		return campaign.FormatDuration(x.Before) + " before: " + x.Send
	case campaign.Qualification:
		return on(x.Event, x.When) + " within " + campaign.FormatDuration(x.Within)
	case campaign.ReferralStep:
		if x.From == 1 {
			return x.Reward
		}
		return x.Reward + " from " + strconv.Itoa(x.From) + " on"
	case campaign.AnswerForm:
		return answer(&x)
	case campaign.CallField:
		text := value(key, reflect.ValueOf(x.Property()))
		if x.Optional {
			text += " (optional)"
		}
		return text
	case campaign.Assign:
		return x.Attribute + " = " + x.Value
	case campaign.Property:
		text := string(x.Type)
		if len(x.OneOf) > 0 {
			text += " of " + strings.Join(x.OneOf, ", ")
		}
		return x.Name + " " + text
	}
	return general(key, v)
}

// general says what a value of any other type holds, so that a new kind of step is
// compared before anybody has written words for it.
func general(key string, v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return ""
		}
		return value(key, v.Elem())
	case reflect.String:
		return v.String()
	case reflect.Bool:
		if v.Bool() {
			return "true"
		}
		return ""
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		switch {
		case v.Int() == 0 && key != "repeat": // a question that is put once
			return ""
		case key == "holdout" || key == "share": // in basis points
			return share(int(v.Int()))
		}
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Slice, reflect.Array:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = value(key, v.Index(i))
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		var parts []string
		iter := v.MapRange()
		texts := map[string]string{}
		for iter.Next() {
			texts[fmt.Sprint(iter.Key())] = value(key, iter.Value())
		}
		for _, k := range slices.Sorted(maps.Keys(texts)) {
			parts = append(parts, k+": "+texts[k])
		}
		return strings.Join(parts, ", ")
	case reflect.Struct:
		return brief(v)
	default:
	}
	return fmt.Sprint(v.Interface())
}

// brief says what a struct holds, key by key, without its name.
func brief(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case campaign.Property:
		return strings.TrimPrefix(value("", v), x.Name+" ")
	case campaign.EventType:
		parts := make([]string, len(x.Properties))
		for i, p := range x.Properties {
			parts[i] = value("", reflect.ValueOf(p))
		}
		return strings.Join(parts, ", ")
	case campaign.Segment:
		return x.When
	}
	var parts []string
	for _, f := range fieldsOf(v.Type()) {
		if text := value(f.key, v.Field(f.index)); text != "" {
			parts = append(parts, f.key+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

// share writes basis points as the campaign does.
func share(points int) string {
	return strconv.FormatFloat(float64(points)/100, 'f', -1, 64) + "%"
}

// answer says what a reply may be, much as the campaign writes it.
func answer(a *campaign.AnswerForm) string {
	text := a.Name + " " + string(a.Type)
	if len(a.OneOf) > 0 {
		values := make([]string, len(a.OneOf))
		for i, c := range a.OneOf {
			values[i] = c.Value
			if len(c.Words) > 0 {
				values[i] += " (" + strings.Join(c.Words, ", ") + ")"
			}
		}
		text = a.Name + " one of " + strings.Join(values, ", ")
	}
	if a.Min != nil {
		text += " from " + strconv.FormatFloat(*a.Min, 'f', -1, 64)
	}
	if a.Max != nil {
		text += " to " + strconv.FormatFloat(*a.Max, 'f', -1, 64)
	}
	if a.MaxLength > 0 {
		text += fmt.Sprintf(" of at most %d characters", a.MaxLength)
	}
	return text
}

// wait says how long a wait takes, or until when.
func wait(w *campaign.Wait) string {
	return strings.TrimPrefix(campaign.StepName(&campaign.Wait{For: w.For, Until: w.Until, At: w.At}), "wait ")
}

func on(event, when string) string {
	if when == "" {
		return event
	}
	return event + " when " + when
}

// window writes the last day as the campaign does: the definition holds the midnight
// after it.
func window(w campaign.Window) string {
	day := func(t time.Time, last bool) string {
		if h, m, s := t.Clock(); h == 0 && m == 0 && s == 0 {
			if last {
				t = t.AddDate(0, 0, -1)
			}
			return t.Format(time.DateOnly)
		}
		return t.Format("2006-01-02 15:04")
	}
	switch {
	case w.From.IsZero():
		return "until " + day(w.Until, true)
	case w.Until.IsZero():
		return "from " + day(w.From, false)
	}
	return day(w.From, false) + " to " + day(w.Until, true)
}
