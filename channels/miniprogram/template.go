package miniprogram

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/banyanhq/banyan/campaign"
)

// Template is one of the account's own templates (我的模板): lines of a label and a place.
type Template struct {
	ID   string
	Page string // of the mini program, that opens at a tap; empty: none does
	// Kind is that of the messages that may use it; empty: any.
	Kind campaign.MessageKind

	lines []line
}

// line is one line of a template.
type line struct {
	label string // without the colon and the blanks behind it
	key   string // such as thing1
}

// Bounds of a file of templates, above what the vendor gives out.
const (
	MaxTemplates = 200
	maxID        = 64
	maxText      = 4000 // bytes
	maxLines     = 20
	maxPage      = 1024 // bytes
)

// longest is how many characters a place takes, by its sort; others are the platform's to judge.
var longest = map[string]int{
	"thing": 20, "number": 32, "letter": 32, "symbol": 5, "character_string": 32, "phone_number": 17, "car_number": 8, "name": 20, "phrase": 5,
}

var (
	place = regexp.MustCompile(`^([^{}]*)\{\{([a-z_]+[0-9]+)\.DATA\}\}$`)
	sort  = regexp.MustCompile(`^[a-z_]+`)
)

type templateFile struct {
	Templates []templateEntry `yaml:"templates"`
}

type templateEntry struct {
	ID   string `yaml:"id"`
	Text string `yaml:"text"`
	Page string `yaml:"page"`
	Kind string `yaml:"kind"`
}

// ParseTemplates reads a file of templates, in YAML or JSON. Errors say which template is
// meant and what to write.
func ParseTemplates(source []byte) ([]Template, error) {
	var file templateFile
	if len(bytes.TrimSpace(source)) == 0 {
		return nil, errors.New("it is empty; write templates: [{id: …, text: …}]")
	}
	if err := yaml.Load(source, &file, yaml.WithKnownFields(true)); err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	switch {
	case len(file.Templates) == 0:
		return nil, errors.New("it lists no template; write templates: [{id: …, text: …}]")
	case len(file.Templates) > MaxTemplates:
		return nil, fmt.Errorf("it lists %d templates; %d are the most", len(file.Templates), MaxTemplates)
	}
	seen := make(map[string]bool, len(file.Templates))
	templates := make([]Template, len(file.Templates))
	for i := range file.Templates {
		e := &file.Templates[i]
		t, err := e.template()
		switch {
		case err != nil:
			return nil, fmt.Errorf("template %d (%s): %w", i+1, e.ID, err)
		case seen[t.ID]:
			return nil, fmt.Errorf("template %d (%s): the id stands twice", i+1, e.ID)
		}
		seen[t.ID], templates[i] = true, t
	}
	return templates, nil
}

func (e *templateEntry) template() (Template, error) {
	t := Template{ID: e.ID, Page: e.Page, Kind: campaign.MessageKind(e.Kind)}
	text := strings.TrimSpace(e.Text)
	lines := strings.Split(text, "\n")
	switch {
	case e.ID == "" || len(e.ID) > maxID || strings.ContainsAny(e.ID, " \t\r\n"):
		return t, errors.New("write the id that WeChat gave it (模板ID)")
	case t.Kind != "" && t.Kind != campaign.KindMarketing && t.Kind != campaign.KindService:
		return t, errors.New("kind is marketing or service")
	case len(e.Page) > maxPage || strings.ContainsAny(e.Page, " \t\r\n") || strings.Contains(e.Page, "://"):
		return t, errors.New("page is a page of the mini program, such as pages/lesson?from=message, and no URL")
	case text == "":
		return t, errors.New("write its text, as its page at WeChat shows it (详细内容)")
	case len(text) > maxText || len(lines) > maxLines:
		return t, fmt.Errorf("its text is too long: %d bytes and %d lines are the most", maxText, maxLines)
	case !utf8.ValidString(text):
		return t, errors.New("its text is not UTF-8")
	}
	seen := map[string]bool{}
	for i, l := range lines {
		found := place.FindStringSubmatch(strings.TrimSpace(l))
		switch {
		case found == nil:
			return t, fmt.Errorf("line %d of its text is not a label and a place, such as 课程名称：{{thing1.DATA}}", i+1)
		case seen[found[2]]:
			return t, fmt.Errorf("line %d of its text has %s a second time", i+1, found[2])
		}
		seen[found[2]] = true
		t.lines = append(t.lines, line{strings.TrimRight(found[1], ": ：\t"), found[2]})
	}
	return t, nil
}

// match finds the template that gives a text, and the values with which it does: line for
// line the label, a colon or a blank as one likes, and a value. Of several templates it is the
// one with the most labels' text, and of those the first. Why is empty, or a reason.
func match(templates []Template, kind campaign.MessageKind, text string) (best Template, values map[string]string, why string) {
	if kind == "" {
		kind = campaign.KindMarketing
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	most, why := -1, ReasonNoTemplate
	for i := range templates {
		t := &templates[i]
		if t.Kind != "" && t.Kind != kind {
			continue
		}
		if found, fixed := t.values(lines); found != nil && fixed > most {
			best, values, most, why = *t, found, fixed, ""
		}
	}
	for key, v := range values {
		if most := longest[sort.FindString(key)]; most > 0 && utf8.RuneCountInString(v) > most {
			return best, nil, ReasonTooLong
		}
	}
	return best, values, why
}

// values reads a text's lines by the template; nil where they are not its. Fixed is how much
// of the text is the template's own.
func (t *Template) values(lines []string) (values map[string]string, fixed int) {
	if len(lines) != len(t.lines) {
		return nil, 0
	}
	values = make(map[string]string, len(lines))
	for i, l := range t.lines {
		rest, ok := strings.CutPrefix(strings.TrimSpace(lines[i]), l.label)
		if l.label != "" {
			rest = strings.TrimLeft(rest, ": ：\t")
		}
		if !ok || rest == "" {
			return nil, 0
		}
		values[l.key], fixed = rest, fixed+len(l.label)
	}
	return values, fixed
}
