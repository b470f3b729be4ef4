package rules

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// What of a member can be compared in SQL, and how each compares with a constant.

// json is an attribute as it is stored; null where the member has none.
func (w *audienceWriter) json(attribute string) string {
	return "(m.attributes -> " + w.arg(attribute, "text") + ")"
}

// textOperand is a text of the member: a column, or an attribute with a column behind it.
type textOperand struct{ column, attribute string }

// value is never null. What is no text is not there.
func (o textOperand) value(w *audienceWriter) string {
	if o.attribute == "" {
		return o.column
	}
	otherwise := "''"
	if o.column != "" {
		otherwise = o.column
	}
	attribute := w.json(o.attribute)
	return "case when jsonb_typeof(" + attribute + ") = 'string' then " + attribute + " #>> '{}' else " + otherwise + " end"
}

// bare is an attribute that is the empty text where it is no text, and nothing else.
func (o textOperand) bare() bool { return o.attribute != "" && o.column == "" }

// among asks whether the text is one of several, none of them empty. Containing one says
// its type as well; of several, few members come as far as the look at the type.
func (o textOperand) among(w *audienceWriter, texts []string, want bool) condition {
	if !o.bare() {
		value := o.column
		if o.attribute != "" {
			value = "(" + o.value(w) + ")"
		}
		return truth(value+" = any("+w.arg(texts, "text[]")+")", want)
	}
	if len(texts) == 1 {
		if object, err := json.Marshal(map[string]string{o.attribute: texts[0]}); err == nil {
			return truth("m.attributes @> "+w.arg(string(object), "jsonb"), want)
		}
	}
	name := w.arg(o.attribute, "text")
	return truth("(m.attributes ->> "+name+" = any("+w.arg(texts, "text[]")+") and jsonb_typeof(m.attributes -> "+name+") = 'string')", want)
}

func (o textOperand) compare(w *audienceWriter, c comparison, constant any) condition {
	text, ok := constant.(string)
	if !ok {
		return anybody
	}
	if o.bare() && text != "" && (c == "=" || c == "<>") {
		return o.among(w, []string{text}, c == "=")
	}
	value := o.value(w)
	if o.attribute != "" {
		value = "(" + value + ")"
	}
	if c != "=" && c != "<>" {
		value += ` collate "C"` // CEL compares by code point
	}
	return exactly(value + " " + string(c) + " " + w.arg(text, "text"))
}

// exactDouble is up to where every whole number is a float too.
const exactDouble = 1 << 53

// wholeOperand is a column that holds a whole number.
type wholeOperand string

func (o wholeOperand) compare(w *audienceWriter, c comparison, constant any) condition {
	switch n := constant.(type) {
	case int64:
		return exactly(string(o) + " " + string(c) + " " + w.arg(n, "bigint"))
	case float64:
		if math.Abs(n) < exactDouble {
			return exactly(string(o) + "::float8 " + string(c) + " " + w.arg(n, "float8"))
		}
	}
	return anybody
}

// numberAttribute is an attribute that is declared as number, or whole as int.
type numberAttribute struct {
	name  string
	whole bool
}

// value reads the attribute as Env.decode does; otherwise is what stands for one that
// does not fit. Every step stands in a case of its own, because nothing else keeps
// PostgreSQL from casting first and looking after. The bounds of a number are those
// between which strconv.ParseFloat finds a value, and PostgreSQL a value other than an
// error.
func (o numberAttribute) value(w *audienceWriter, otherwise string) string {
	a := w.json(o.name)
	n := a + "::numeric"
	double := a + "::float8"
	if !o.whole {
		return "case when jsonb_typeof(" + a + ") <> 'number' then " + otherwise + " when abs(" + n + ") > " + largestDouble + " then " + otherwise +
			" when abs(" + n + ") < " + smallestDouble + " then 0 else coalesce(" + double + ", " + otherwise + ") end"
	}
	// A whole number with a fraction of zero counts as long as a float tells it apart.
	fraction := "case when abs(" + n + ") > 9007199254740993 or abs(" + n + ") < 1e-300 then case when abs(" + n + ") < " + smallestDouble + " then 0 end" +
		" when " + double + " = trunc(" + double + ") and abs(" + double + ") <= 9007199254740992 then " + double + "::bigint::numeric end"
	return "case when jsonb_typeof(" + a + ") <> 'number' then " + otherwise +
		" when scale(" + n + ") = 0 and " + n + " between -9223372036854775808 and 9223372036854775807 then " + n +
		" when scale(" + n + ") = 0 then " + otherwise +
		" else coalesce(" + fraction + ", " + otherwise + ") end"
}

// Beyond the one PostgreSQL finds no float, and below the other one nothing but an error,
// where Go finds zero.
const (
	largestDouble  = "1.7976931348623157e308"
	smallestDouble = "2.5e-324"
)

func (o numberAttribute) compare(w *audienceWriter, c comparison, constant any) condition {
	var bound float64
	var arg string
	switch n := constant.(type) {
	case int64:
		bound = float64(n)
		if o.whole {
			arg = w.arg(strconv.FormatInt(n, 10), "numeric")
		} else {
			arg = w.arg(bound, "float8")
		}
	case float64:
		bound = n
		arg = w.arg(bound, "float8")
	default:
		return anybody
	}
	if math.Abs(bound) >= exactDouble {
		return anybody // floats and whole numbers part ways here
	}
	_, isFloat := constant.(float64)
	value := "(" + o.value(w, "0") + ")"
	if o.whole && isFloat {
		value += "::float8"
	}
	// Reading whatever number as Go would is dear. One of fifteen characters, as most are, is
	// a float and, without a point, an int by any reading.
	near := value + " " + string(c) + " " + arg
	zero := c.holds(sign(-bound))
	text := "(m.attributes ->> " + w.arg(o.name, "text") + ")"
	plain := "char_length(" + text + ") <= 15"
	if o.whole {
		plain += " and strpos(" + text + ", '.') = 0"
	}
	decided := "case when " + plain + " then " + text + "::float8 " + string(c) + " " + w.arg(bound, "float8") + " else " + near + " end"
	return exactly("case when m.attributes @@ " + w.arg(o.otherThanZero(c, bound, zero), "jsonpath") + " then " + decided +
		" else " + strconv.FormatBool(zero) + " end")
}

// otherThanZero is a path that holds for every member for whom the answer may differ from
// that for zero, which is what an attribute that is no number reads as. It turns away most
// of the others, and whatever is no number, in one look at the attributes.
func (o numberAttribute) otherThanZero(c comparison, bound float64, zero bool) string {
	value := "$." + strconv.QuoteToASCII(o.name)
	var parts []string
	if c.holds(-1) == zero {
		parts = append(parts, value+" >= "+decimal(further(bound, -1)))
	}
	if c.holds(1) == zero {
		parts = append(parts, value+" <= "+decimal(further(bound, 1)))
	}
	if len(parts) == 0 {
		parts = append(parts, value+" != 0")
	}
	return "strict " + strings.Join(parts, " && ")
}

// further is the float after the next one in a direction. What lies beyond it, written
// with however many digits, is not rounded to f.
func further(f float64, direction int) float64 {
	to := math.Inf(direction)
	return math.Nextafter(math.Nextafter(f, to), to)
}

func sign(f float64) int {
	switch {
	case f < 0:
		return -1
	case f > 0:
		return 1
	}
	return 0
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// countOperand is how often an event happened.
type countOperand campaign.Behaviour

func (o countOperand) compare(w *audienceWriter, c comparison, constant any) condition {
	n, ok := constant.(int64)
	if !ok || n < 0 || n >= maxCounted {
		return anybody
	}
	b := campaign.Behaviour(o)
	switch c {
	case ">=", "<":
		return w.counted(b, n, c == ">=")
	case ">", "<=":
		return w.counted(b, n+1, c == ">")
	case "=":
		return allOf(w.counted(b, n, true), w.counted(b, n+1, false))
	}
	return anyOf(w.counted(b, n, false), w.counted(b, n+1, true))
}

// joinedOperand is member.joined_at, and by more or less.
type joinedOperand struct{ by time.Duration }

func (o joinedOperand) compare(w *audienceWriter, c comparison, constant any) condition {
	at, ok := constant.(moment)
	if !ok {
		return anybody
	}
	t, ok := at(w.now)
	if !ok {
		return settled(false) // the comparison has no value
	}
	cond := w.joined(c, t.Add(-o.by))
	switch {
	case o.by > 0: // beyond CEL's years there is no value
		return allOf(cond, w.joined("<=", lastTime.Add(-o.by)))
	case o.by < 0:
		return allOf(cond, w.joined(">=", firstTime.Add(-o.by)))
	}
	return cond
}

// joined compares the column. It holds microseconds, and a moment may lie between two.
func (w *audienceWriter) joined(c comparison, t time.Time) condition {
	t = t.UTC()
	below := t.Truncate(time.Microsecond)
	if !below.Equal(t) {
		switch c {
		case "=":
			return settled(false)
		case "<>":
			return settled(true)
		case "<", "<=":
			c = "<="
		case ">", ">=":
			c = ">"
		}
	}
	return exactly("m.joined_at " + string(c) + " " + w.arg(below, "timestamptz"))
}

// ageOperand is the time from when the member joined to a moment, or ahead the other way.
type ageOperand struct {
	at    moment
	ahead bool
}

func (o ageOperand) compare(w *audienceWriter, c comparison, constant any) condition {
	d, ok := constant.(time.Duration)
	if !ok {
		return anybody
	}
	t, ok := o.at(w.now)
	if !ok {
		return settled(false)
	}
	if d == math.MinInt64 {
		return anybody // it has no opposite
	}
	// t − joined compares to d as t − d does to joined, and joined − t as joined does to
	// t + d. A span beyond what a duration holds has no value.
	edge := t.Add(d)
	if !o.ahead {
		c, edge = c.turned(), t.Add(-d)
	}
	return allOf(
		w.joined(c, edge),
		w.joined(">=", t.Add(-math.MaxInt64)),
		w.joined("<=", t.Add(math.MaxInt64)),
	)
}
