package sms

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

// Template is a text that a provider has approved, with its parameters as {1}, {2}…
type Template struct {
	ID   string
	Text string
	// Kind is that of the messages that may use it; empty: any.
	Kind campaign.MessageKind
	// International says that it is for numbers outside mainland China, and no other is.
	International bool
	// Longest is how many characters a parameter may have; 0: as many as the text holds.
	Longest int

	literals []string // one more than there are parameters
}

// Bounds of a file of templates, above what any provider gives out.
const (
	MaxTemplates    = 1000
	maxTemplateID   = 64
	maxTemplateText = 4000 // bytes
)

// templateFile is the file as it is written.
type templateFile struct {
	Longest   int             `yaml:"longest"`
	Templates []templateEntry `yaml:"templates"`
}

type templateEntry struct {
	ID            string `yaml:"id"`
	Text          string `yaml:"text"`
	Kind          string `yaml:"kind"`
	International bool   `yaml:"international"`
	Longest       int    `yaml:"longest"`
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
	case file.Longest < 0:
		return nil, errors.New("longest is how many characters a parameter may have, and cannot be below 0")
	}
	seen := make(map[string]bool, len(file.Templates))
	templates := make([]Template, len(file.Templates))
	for i, e := range file.Templates {
		if e.Longest == 0 {
			e.Longest = file.Longest
		}
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

func (e *templateEntry) template() (t Template, err error) {
	switch {
	case e.ID == "" || len(e.ID) > maxTemplateID || strings.ContainsAny(e.ID, " \t\r\n"):
		return t, errors.New("write the id that the provider gave it")
	case e.Longest < 0:
		return t, errors.New("longest is how many characters a parameter may have, and cannot be below 0")
	}
	switch kind := campaign.MessageKind(e.Kind); kind {
	case "", campaign.KindMarketing, campaign.KindService:
	default:
		return t, errors.New("kind is marketing or service")
	}
	return newTemplate(Template{
		ID: e.ID, Text: e.Text, Kind: campaign.MessageKind(e.Kind), International: e.International, Longest: e.Longest,
	})
}

var parameter = regexp.MustCompile(`\{[0-9]+\}`)

// newTemplate finds the parameters. The rules are the vendors': numbered from 1 in the order
// in which they stand, each once, no two side by side, and some text beside them.
func newTemplate(t Template) (Template, error) {
	t.Text = strings.TrimSpace(t.Text)
	switch {
	case t.Text == "":
		return t, errors.New("write its text as it was approved")
	case len(t.Text) > maxTemplateText:
		return t, fmt.Errorf("its text has %d bytes; %d are the most", len(t.Text), maxTemplateText)
	case !utf8.ValidString(t.Text):
		return t, errors.New("its text is not UTF-8")
	}
	from := 0
	t.literals = nil
	for i, at := range parameter.FindAllStringIndex(t.Text, -1) {
		literal, name := t.Text[from:at[0]], t.Text[at[0]:at[1]]
		switch {
		case name != fmt.Sprintf("{%d}", i+1):
			return t, fmt.Errorf("%s stands where {%d} is expected: parameters are numbered from 1 in their order, each once", name, i+1)
		case literal == "" && i > 0:
			return t, fmt.Errorf("{%d} and {%d} stand side by side; providers want text between them", i, i+1)
		}
		t.literals, from = append(t.literals, literal), at[1]
	}
	t.literals = append(t.literals, t.Text[from:])
	if strings.TrimSpace(strings.Join(t.literals, "")) == "" {
		return t, errors.New("it has no text of its own beside its parameters")
	}
	return t, nil
}

// literal is how much of a template is fixed.
func (t *Template) literal() (n int) {
	for _, l := range t.literals {
		n += utf8.RuneCountInString(l)
	}
	return n
}

// Match finds the template that gives this text, and the parameters with which it does. Of
// several it is the one with the most text of its own, and of those the first. Every
// parameter has a character at least, and at most the template's Longest; where they could
// be cut in several ways, all of which give the same text, earlier ones are as short as can
// be.
func Match(templates []Template, text string) (t Template, parameters []string, ok bool) {
	best := -1
	for i := range templates {
		n := templates[i].literal()
		if n <= best {
			continue
		}
		if found, matches := templates[i].match(text); matches {
			t, parameters, ok, best = templates[i], found, true, n
		}
	}
	return t, parameters, ok
}

// Render puts parameters into a template. It is the way back from Match.
func (t *Template) Render(parameters ...string) string {
	var b strings.Builder
	for i, l := range t.literals {
		b.WriteString(l)
		if i < len(parameters) {
			b.WriteString(parameters[i])
		}
	}
	return b.String()
}

func (t *Template) match(text string) (parameters []string, ok bool) {
	last := len(t.literals) - 1
	if last == 0 {
		return nil, text == t.Text
	}
	first, end := t.literals[0], t.literals[last]
	if len(text) < len(first)+len(end) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, end) {
		return nil, false
	}
	s := search{text: text[len(first) : len(text)-len(end)], between: t.literals[1:last], longest: t.Longest, dead: map[[2]int]bool{}}
	if !s.from(0, 0) {
		return nil, false
	}
	return s.found, true
}

// search cuts a text at the literals between parameters. It goes on from each place once, so
// that no text takes long.
type search struct {
	text    string
	between []string
	longest int
	found   []string
	dead    map[[2]int]bool // by parameter and where it would begin: it leads nowhere
}

// from reports whether the parameters from the nth on make up the text behind at.
func (s *search) from(n, at int) bool {
	rest := s.text[at:]
	if n == len(s.between) {
		if count := utf8.RuneCountInString(rest); count == 0 || s.longest > 0 && count > s.longest {
			return false
		}
		s.found = append(s.found, rest)
		return true
	}
	if s.dead[[2]int{n, at}] {
		return false
	}
	literal, count := s.between[n], 0
	for end := range rest {
		if end > 0 && strings.HasPrefix(rest[end:], literal) {
			s.found = append(s.found, rest[:end])
			if s.from(n+1, at+end+len(literal)) {
				return true
			}
			s.found = s.found[:len(s.found)-1]
		}
		if count++; s.longest > 0 && count > s.longest {
			break
		}
	}
	s.dead[[2]int{n, at}] = true
	return false
}
