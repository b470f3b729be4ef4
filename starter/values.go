package starter

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/banyanhq/banyan/campaign"
)

// maxID is the length of a caller's id, maxDepth how deep JSON may nest.
const (
	maxID     = 128
	maxDepth  = 32
	maxNumber = 64 // digits of a number, which PostgreSQL keeps exactly
)

// checkID refuses ids that could not be told apart on a screen or kept in a log.
func checkID(id string) (why string) {
	switch {
	case id == "":
		return "it is missing"
	case !utf8.ValidString(id):
		return "it is no text"
	case len(id) > maxID:
		return "it has at most 128 bytes"
	case strings.ContainsFunc(id, unicode.IsControl):
		return "it holds a control character"
	}
	return ""
}

// decodeObject reads a JSON object keeping its numbers as they are written, and
// refuses what PostgreSQL could not keep.
func decodeObject(raw json.RawMessage) (object map[string]any, why string) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, "write an object, such as {\"order\": \"o-1\"}"
	}
	return object, checkValue(object, 0)
}

func checkValue(v any, depth int) (why string) {
	if depth > maxDepth {
		return "it is nested too deeply"
	}
	switch v := v.(type) {
	case string:
		return checkString(v)
	case json.Number:
		if f, err := v.Float64(); err != nil || math.IsInf(f, 0) || len(v) > maxNumber {
			return "the number " + shorten(v.String()) + " is too large"
		}
	case []any:
		for _, item := range v {
			if why := checkValue(item, depth+1); why != "" {
				return why
			}
		}
	case map[string]any:
		for name, item := range v {
			if why := checkString(name); why != "" {
				return why
			}
			if why := checkValue(item, depth+1); why != "" {
				return why
			}
		}
	}
	return ""
}

func checkString(s string) (why string) {
	switch {
	case len(s) > maxString:
		return "a string has at most 64 KiB"
	case strings.ContainsRune(s, 0):
		return "a string holds a zero character"
	}
	return ""
}

func shorten(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}

// declared is what one campaign declared of a property or an attribute.
type declared struct {
	campaign.Property
	currency campaign.Currency
}

// fit checks a value against the declarations of all campaigns that have one. It is
// enough that it fits one of them: for the others their rules decide that it is not
// what they look for. lenient reads texts as what is declared, as forms and
// spreadsheets give them. changed tells that the value is to be stored as fitted.
func fit(declarations []declared, v any, lenient bool) (fitted any, changed bool, why string) {
	var candidates []any
	for _, d := range declarations {
		got, converted, ok := d.read(v, lenient)
		if ok && !converted {
			return v, false, ""
		}
		if ok && !slices.ContainsFunc(candidates, func(c any) bool { return sameValue(c, got) }) {
			candidates = append(candidates, got)
		}
	}
	switch len(candidates) {
	case 0:
		return nil, false, expected(declarations)
	case 1:
		return candidates[0], true, ""
	}
	return nil, false, "campaigns declare it differently; write it out, money as {\"amount\": \"199.00\", \"currency\": \"CNY\"}"
}

func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (d declared) read(v any, lenient bool) (got any, converted, ok bool) {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	if isText && lenient {
		number = json.Number(strings.TrimSpace(text))
		isNumber = true
	}
	switch d.Type {
	case campaign.TypeString:
		return v, false, isText && (len(d.OneOf) == 0 || slices.Contains(d.OneOf, text))
	case campaign.TypeInt:
		_, err := strconv.ParseInt(number.String(), 10, 64)
		return number, isText, isNumber && err == nil
	case campaign.TypeNumber:
		f, err := strconv.ParseFloat(number.String(), 64)
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), isText, isNumber && err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	case campaign.TypeBool:
		if b, is := v.(bool); is {
			return b, false, true
		}
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(text)))
		return b, true, isText && lenient && err == nil
	case campaign.TypeTime:
		_, err := time.Parse(time.RFC3339, text)
		return v, false, isText && err == nil
	case campaign.TypeMoney:
		return d.money(v)
	}
	return nil, false, false
}

// money takes the object form in any currency, and a decimal text in the campaign's. A
// JSON number is refused: it was a binary float on its way here.
func (d declared) money(v any) (got any, converted, ok bool) {
	if text, is := v.(string); is {
		m, err := campaign.ParseMoney(strings.TrimSpace(text), d.currency)
		return m, true, err == nil
	}
	object, is := v.(map[string]any)
	if !is || len(object) != 2 {
		return nil, false, false
	}
	amount, isText := object["amount"].(string)
	code, isCode := object["currency"].(string)
	if !isText || !isCode || !campaign.Currency(code).Valid() {
		return nil, false, false
	}
	m, err := campaign.ParseMoney(amount, campaign.Currency(code))
	return m, m.Decimal() != amount, err == nil
}

// expected says what would have fitted.
func expected(declarations []declared) string {
	var forms []string
	for _, d := range declarations {
		form := map[campaign.Type]string{
			campaign.TypeString: "a string", campaign.TypeInt: "a whole number", campaign.TypeNumber: "a number",
			campaign.TypeBool: "true or false", campaign.TypeTime: `a time, such as "2026-12-01T20:00:00+08:00"`,
			campaign.TypeMoney: `money, such as {"amount": "199.00", "currency": "` + string(d.currency) + `"} or "199.00"`,
		}[d.Type]
		if len(d.OneOf) > 0 {
			form = "one of " + strings.Join(d.OneOf, ", ")
		}
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return "write " + strings.Join(forms, ", or ")
}
