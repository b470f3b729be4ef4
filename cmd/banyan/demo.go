package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	temporal "go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/definitions"
	"github.com/banyanhq/banyan/demo"
	"github.com/banyanhq/banyan/demo/recount"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/store"
)

type demoCommand struct {
	Stay bool `help:"Stay up after the report, until Ctrl-C; the rule where stdin is a terminal." xor:"then"`
	Exit bool `help:"End after the report; the rule where stdin is no terminal." xor:"then"`
}

// Run plays the model campaign on servers of its own, whatever the environment names:
// a demo has no business in anybody's database.
func (c *demoCommand) Run(ctx context.Context, e *env, g *Globals) error {
	d := &demonstration{env: e, globals: g, began: time.Now(), dir: filepath.Join(devstack.Home(), "demo")}
	d.stay = c.Stay || !c.Exit && interactive(e.Stdin)
	stack, err := devstack.Up(ctx, devstack.Config{Ephemeral: true, Own: true, Out: e.Stderr})
	if err != nil {
		return err
	}
	d.stack = stack
	return errors.Join(d.run(ctx), stack.Down(context.WithoutCancel(ctx)))
}

// demonstration is one run of the demo.
type demonstration struct {
	env     *env
	globals *Globals
	stack   *devstack.Stack
	dir     string // of what it leaves behind: the messages and the log
	stay    bool
	key     string
	began   time.Time
	up      time.Time
	played  time.Time
}

func (d *demonstration) run(ctx context.Context) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	messages, err := os.Create(d.messagesFile())
	if err != nil {
		return fmt.Errorf("keep the messages: %w", err)
	}
	defer func() { _ = messages.Close() }() // whole lines have been written
	logFile, err := os.Create(filepath.Join(d.dir, "banyan.log"))
	if err != nil {
		return fmt.Errorf("keep the log: %w", err)
	}
	defer func() { _ = logFile.Close() }()

	d.key = newKey()
	s, err := d.settings(messages, logFile)
	if err != nil {
		return err
	}
	if _, err := store.Migrate(ctx, s.DatabaseURL); err != nil {
		return err
	}
	listener, err := listen(ctx, "the demo", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := apiURL(listener)
	d.up = time.Now()
	group, ctx := errgroup.WithContext(ctx)
	ctx, over := context.WithCancel(ctx)
	group.Go(func() error { return house(ctx, s, d.stack, listener) })
	group.Go(func() error {
		defer over()
		return d.play(ctx, url)
	})
	err = group.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w\nThe log is %s", err, logFile.Name())
	}
	return err
}

// settings are those of a server that knows nothing but this demo.
func (d *demonstration) settings(messages, logFile io.Writer) (*settings, error) {
	set := map[string]string{
		"BANYAN_DATABASE_URL": d.stack.DatabaseURL, "BANYAN_ADMIN_KEY": d.key, "BANYAN_DEMO_CLOCK": "allow", "BANYAN_CHANNEL": console.Name,
	}
	s, err := readSettings(&env{Stdout: messages, Stderr: logFile, Getenv: func(name string) string { return set[name] }})
	s.Temporal = temporal.Options{HostPort: d.stack.TemporalAddress, Logger: s.Temporal.Logger, MetricsHandler: s.Temporal.MetricsHandler}
	return &s, err
}

func (d *demonstration) messagesFile() string { return filepath.Join(d.dir, "messages.log") }

// play plays the files and says what came of it.
func (d *demonstration) play(ctx context.Context, url string) error {
	source, err := fs.ReadFile(definitions.Shipped(), demo.File)
	if err != nil {
		return err
	}
	show := &progressLine{w: d.env.Stderr, on: d.env.Color}
	_, _ = fmt.Fprintf(d.env.Stderr, "Playing ten days in two and a half minutes: the API is %s, Temporal %s\n", url, journeysURL(d.stack, demo.Campaign))
	result, err := demo.Play(ctx, demo.Config{
		URL: url, Key: d.key, Campaign: source, Members: demo.Members(), Events: demo.Events(), Progress: show.progress,
	})
	show.clear()
	if err != nil {
		return err
	}
	d.played = time.Now()
	want, err := recount.Count(bytes.NewReader(demo.Members()), bytes.NewReader(demo.Events()))
	if err != nil {
		return err
	}
	differences := recount.Compare(result.Report.Numbers(), want)
	if err := d.tell(ctx, url, result, differences); err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("%d numbers are not those of the independent count", len(differences))
	}
	if d.stay {
		_, _ = fmt.Fprintln(d.env.Stderr, "\nStill running, look around. Ctrl-C ends it.")
		<-ctx.Done()
	}
	return nil
}

// told is what the demo says with --json.
type told struct {
	API         string          `json:"api"`
	Key         string          `json:"key"`
	Temporal    string          `json:"temporal"`
	Messages    string          `json:"messages"`
	Numbers     recount.Numbers `json:"numbers"`
	Differences []string        `json:"differences"`
	Seconds     float64         `json:"seconds"`
}

func (d *demonstration) tell(ctx context.Context, url string, r *demo.Result, differences []string) error {
	numbers := r.Report.Numbers()
	if d.globals.JSON {
		return writeJSON(d.env.Stdout, told{
			url, d.key, journeysURL(d.stack, r.Campaign), d.messagesFile(), numbers, append([]string{}, differences...),
			time.Since(d.began).Seconds(),
		})
	}
	p := &printer{w: d.env.Stdout}
	p.line("\n%s: %d events told, %d of them a second time\n", r.Campaign, r.Told, r.Duplicates)
	if err := r.Report.Table(d.env.Stdout); err != nil {
		return err
	}
	if len(differences) == 0 {
		p.line("\nCounted again from the file of events, apart from the engine: all %d numbers agree.", len(numbers))
	}
	for _, difference := range differences {
		p.line("NOT EQUAL: %s", difference)
	}
	p.line("Up in %.1f s, played in %.1f s, %.1f s in all.", d.up.Sub(d.began).Seconds(), d.played.Sub(d.up).Seconds(), time.Since(d.began).Seconds())
	if err := d.samples(p); err != nil {
		return err
	}
	member := demo.Interesting()
	p.line("\nbanyan explain %s", member)
	globals := *d.globals
	globals.Server, globals.Key = url, d.key
	if p.err != nil {
		return p.err
	}
	if err := (&explainCommand{Member: member}).Run(ctx, d.env, &globals); err != nil {
		return err
	}
	p.line("\nAPI       %s/docs  (any name, the key as the password)", url)
	p.line("Temporal  %s", journeysURL(d.stack, r.Campaign))
	p.line("key       %s", d.key)
	if d.stay {
		p.line("export BANYAN_SERVER=%s BANYAN_KEY=%s", url, d.key)
	} else {
		p.line("These end with this command; `banyan demo --stay` keeps them up.")
	}
	return p.err
}

// samples shows the first of some sorts of message.
func (d *demonstration) samples(p *printer) error {
	file, err := os.ReadFile(d.messagesFile())
	if err != nil {
		return fmt.Errorf("read the messages: %w", err)
	}
	p.line("\nMessages are in %s, such as", d.messagesFile())
	for _, name := range []string{"welcome", "card-offer", "lock-24h", "comeback"} {
		for line := range strings.Lines(string(file)) {
			if slices.Contains(strings.Fields(line), name) {
				p.line("  %s", strings.TrimSpace(line))
				break
			}
		}
	}
	return p.err
}

// progressLine is one line on a terminal that is written again and again, and nothing
// elsewhere.
type progressLine struct {
	w  io.Writer
	on bool
}

func (l *progressLine) progress(p demo.Progress) {
	if l.on {
		_, _ = fmt.Fprintf(l.w, "\r\x1b[Kday %d, %s · %d of %d events told · %d journeys under way",
			p.Day, demo.Clock(p.Now), p.Sent, p.Events, p.Active)
	}
}

func (l *progressLine) clear() {
	if l.on {
		_, _ = io.WriteString(l.w, "\r\x1b[K")
	}
}

// interactive reports whether somebody sits there: a terminal, and not /dev/null.
func interactive(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
