package docs_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/devstack/devtest"
	"github.com/banyanhq/banyan/simulate"
)

// The ten minutes of the tutorial are played: its files are written, the mistakes made
// that it asks for, its commands run, and what they say is what the page shows.
func TestTutorial(t *testing.T) {
	t.Parallel()
	if commands := newPlay(t, "docs/tutorial.md").all(); commands < 9 {
		t.Errorf("only %d commands were found", commands)
	}
}

// TestTutorialStory plays the events of the tutorial's file through its campaign: what
// `banyan explain m-2` tells at its end comes of them.
func TestTutorialStory(t *testing.T) {
	t.Parallel()
	const page = "docs/tutorial.md"
	list, _ := blocks(t, page)
	var source, events, want string
	for _, b := range list {
		switch {
		case b.info == "file=spring.yaml":
			source = b.text
		case b.info == "file=events.ndjson":
			events = b.text
		case strings.HasPrefix(b.text, "spring · trial-to-card"):
			_, want, _ = strings.Cut(b.text, "\n")
		}
	}
	def, found := definitions.Check("spring.yaml", []byte(source))
	if def == nil {
		t.Fatal(found.Text(false))
	}
	test := "tests:\n  - name: what Zhou does\n    start: 2027-03-01 10:00\n    member: {id: m-2, name: Zhou}\n    expect: {outcome: no-show}\n    events:\n"
	told := 0
	for line := range strings.Lines(events) {
		var e struct {
			Type, Member string
			Time         time.Time
			Properties   json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Member == "m-2" {
			told++
			loc, err := def.Location()
			if err != nil {
				t.Fatal(err)
			}
			test += fmt.Sprintf("      - {at: %s, event: %s, with: %s}\n", e.Time.In(loc).Format("2006-01-02 15:04"), e.Type, e.Properties)
		}
	}
	tests, found := definitions.TestsBeside("spring.test.yaml", []byte(test), def)
	if found.Refused() || told == 0 || want == "" {
		t.Fatalf("%d events, the story %q\n%s", told, want, found.Text(false))
	}
	plan, err := simulate.NewPlan(def)
	if err != nil {
		t.Fatal(err)
	}
	v, err := simulate.Verify(plan, &tests[0])
	if err != nil {
		t.Fatal(err)
	}
	if !v.OK {
		t.Error(v.Failures.Text(false))
	}
	var have strings.Builder
	w := tabwriter.NewWriter(&have, 0, 8, 2, ' ', 0)
	for _, l := range v.Story {
		_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\n", l.At.In(plan.Location()).Format(time.DateTime), l.Step, l.Words(campaign.English))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if have.String() != want {
		t.Errorf("the page tells\n%s\nand it is\n%s", want, have.String())
	}
}

// TestTutorialOnAServer plays what the tutorial does with `banyan dev`, until everybody
// waits: the 72 seconds behind that are TestTutorialStory's.
func TestTutorialOnAServer(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "docs/tutorial.md")
	const key = "byn_a-key-for-the-tutorial-and-nothing-else"
	server := startDev(t, p, "BANYAN_DATABASE_URL="+devtest.Database(t), "TEMPORAL_ADDRESS="+devtest.Temporal(t),
		"TEMPORAL_NAMESPACE="+devtest.Namespace(t), "BANYAN_LISTEN=127.0.0.1:0", "BANYAN_ADMIN_KEY="+key, devstack.EnvHome+"="+t.TempDir())
	env := []string{"BANYAN_SERVER=" + server, "BANYAN_KEY=" + key}
	commands, playing := 0, false
	for i, b := range p.list {
		if strings.HasPrefix(b.text, "banyan dev") {
			playing = true
			continue
		}
		if !playing || b.lang != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			commands++
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "banyan report"):
				p.until(line, "\n  3 entered", env...)
			case strings.HasPrefix(line, "banyan explain m-2"):
				p.until(line, "waits for lesson.attended until 03-04 10:00", env...)
			default:
				out := p.run(line, env...)
				if want := p.list[i+1]; strings.Contains(out, "[status") || strings.Count(b.text, "\n") == 1 && want.lang == "text" && want.info == "" && out != want.text {
					t.Fatalf("%s:%d: %s says\n%s", p.page, b.line+1, line, out)
				}
			}
		}
	}
	if commands < 6 {
		t.Errorf("only %d commands were found", commands)
	}
}

// startDev starts `banyan dev`, which is to use what the environment names, and gives the
// address that it prints.
func startDev(t *testing.T, p *play, env ...string) (server string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(p.dir, "banyan"), "dev")
	var log bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = p.dir, append(os.Environ(), env...), &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), "export BANYAN_SERVER="); ok {
				server, _, _ := strings.Cut(rest, " ")
				found <- server
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("banyan dev: %v", err)
		}
		if t.Failed() {
			t.Logf("banyan dev says:\n%s", log.String())
		}
	})
	select {
	case server = <-found:
	case <-ended:
		t.Fatal("banyan dev ended before it said where it is")
	}
	return server
}

// until repeats a command until what it says has a part.
func (p *play) until(line, part string, env ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		out := p.run(line, env...)
		if strings.Contains(out, part) {
			return
		}
		select {
		case <-ctx.Done():
			p.t.Fatalf("%s: %s never says %q:\n%s", p.page, line, part, out)
		case <-tick.C:
		}
	}
}
