package sms_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/definitions"
)

// The page's campaign goes out by the page's templates, and its request is the written-down
// example.
func TestThePagesExamples(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/channels/sms.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	block := func(info string) string {
		m := regexp.MustCompile("(?s)```" + info + "\n(.*?)```").FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("the page has no %s", info)
		}
		return m[1]
	}
	templates, err := sms.ParseTemplates([]byte(block("yml templates")))
	if err != nil || len(templates) != 3 {
		t.Fatalf("%d templates, %v", len(templates), err)
	}
	def, problems := definitions.Check("docs/channels/sms.md", []byte(block("yaml")))
	if def == nil {
		t.Fatal(problems.Text(false))
	}
	names := def.MessagesBy(sms.Name)
	for _, name := range names {
		if m, _ := def.Message(name); !sms.Fits(templates, sms.Wording{}, m) {
			t.Errorf("no template gives %s", name)
		}
	}
	if len(names) != 2 {
		t.Errorf("the campaign sends %v", names)
	}
	if !strings.Contains(block("http"), wire(t, "sms-gateway.request")) {
		t.Error("the request is not that of testdata/wire")
	}
}
