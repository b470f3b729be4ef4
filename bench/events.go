package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/devstack"
	"github.com/banyanhq/banyan/starter"
)

func eventsBench() *benchmark {
	return &benchmark{
		name: "events", title: "events accepted, and how soon their journey has turned",
		about: "Banyan numbers each event in its member's order, refuses what it had before and leaves the router its work, in one transaction. " +
			"pgbench and COPY put the same row into a table with the same columns and indexes in the same PostgreSQL, and do nothing else. " +
			"PostgreSQL waits for the disk at every commit. The latency is PostgreSQL's own: from an event's `stored_at` to the `claimed_at` of the message that the event's turn decides.",
		sizes: []size{
			{name: "rounds", about: "times that each is measured", usual: 3, short: 1, full: 5},
			{name: "seconds", about: "how long each measurement runs", usual: 6, short: 1, full: 15},
			{name: "clients", about: "connections that tell events side by side", usual: 16, short: 4, full: 16},
			{name: "members", about: "members to whom they happen", usual: 20000, short: 200, full: 100000},
			{name: "batch", about: "events in a batch", usual: 1000, short: 100, full: 1000},
			{name: "told", about: "events told one by one for the latency, 20 a second", usual: 300, short: 10, full: 2000},
		},
		run: runEvents,
	}
}

// sameRow is Banyan's table of events without the reference to members, which costs
// those who insert plainly a look-up that they may not need.
const sameRow = `
create table same (id text primary key, member text not null, seq bigint not null, type text not null, time timestamptz not null,
    stored_at timestamptz not null, properties jsonb not null default '{}', unique (member, seq));
create index same_member_type_time on same (member, type, time);
create sequence same_number;
`

const sameScript = `\set m random(1, %d)
insert into same (id, member, seq, type, time, stored_at, properties)
select 'e-' || n, 'm-' || :m, n, 'order.paid', now(), clock_timestamp(), '%s' from nextval('same_number') as n;
`

const orderProperties = `{"order":"o-1024","offer":"trial","amount":{"amount":"9.90","currency":"CNY"}}`

func runEvents(ctx context.Context, r *run) error {
	if err := accept(ctx, r); err != nil {
		return err
	}
	return eventLatency(ctx, r)
}

func accept(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, "")
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	if _, err := h.pool.Exec(ctx, sameRow); err != nil {
		return fmt.Errorf("make the table: %w", err)
	}
	if _, err := h.pool.Exec(ctx, `insert into members (id, joined_at) select 'm-' || i, now() from generate_series(1, $1::int) i`, r.size("members")); err != nil {
		return fmt.Errorf("make the members: %w", err)
	}
	if _, err := h.submit(ctx, messageCampaign, nil); err != nil {
		return err
	}
	api, err := h.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, api.close()) }()
	bench, err := h.pgbench()
	if err != nil {
		return err
	}
	t := &teller{h: h, api: api, bench: bench}
	clients, batch := r.size("clients"), r.size("batch")
	single := fmt.Sprintf("one event a call, %d clients", clients)
	if err := rounds(r.size("rounds"),
		t.measure(ctx, single, "Banyan, in Go", clients, 1, t.store),
		t.pgbench(ctx, single, clients),
		t.measure(ctx, single, "Banyan, over HTTP", clients, 1, t.http),
	); err != nil {
		return err
	}
	const writers = 4
	many := fmt.Sprintf("%d events a call, %d clients", batch, writers)
	if err := rounds(r.size("rounds"),
		t.measure(ctx, many, "Banyan, in Go", writers, batch, t.store),
		t.measure(ctx, many, "COPY", writers, batch, t.copy),
		t.measure(ctx, many, "Banyan, over HTTP", writers, batch, t.http),
	); err != nil {
		return err
	}
	r.atLeast(single, "of pgbench's rate", r.median(single, rate, "Banyan, in Go")/r.median(single, rate, "pgbench"), 0.5)
	r.atLeast(many, "of COPY's rate", r.median(many, rate, "Banyan, in Go")/r.median(many, rate, "COPY"), 0.5)
	return nil
}

const rate = "accepted"

// teller tells events, each with an id of its own.
type teller struct {
	h     *house
	api   *api
	bench string
	last  atomic.Int64
}

func (t *teller) events(n int) []campaign.Event {
	first, members := t.last.Add(int64(n))-int64(n), int64(t.h.run.size("members"))
	events := make([]campaign.Event, n)
	now := time.Now()
	for i := range events {
		id := first + int64(i)
		events[i] = campaign.Event{
			// Spread over the members as a hash would, so that batches meet each other's members.
			ID: "e-" + strconv.FormatInt(id, 10), Member: "m-" + strconv.FormatInt(1+id*7919%members, 10),
			Type: campaign.EventOrderPaid, Time: now, Properties: json.RawMessage(orderProperties),
		}
	}
	return events
}

func (t *teller) store(ctx context.Context, events []campaign.Event) error {
	_, err := t.h.store.StoreEvents(ctx, events)
	return err
}

func (t *teller) http(ctx context.Context, events []campaign.Event) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	for i := range events {
		if err := encoder.Encode(&events[i]); err != nil {
			return fmt.Errorf("write the events: %w", err)
		}
	}
	if len(events) == 1 {
		return t.api.post(ctx, "/v1/events", "application/json", &body)
	}
	return t.api.post(ctx, "/v1/events/batch", "application/x-ndjson", &body)
}

func (t *teller) copy(ctx context.Context, events []campaign.Event) error {
	return copyRows(ctx, t.h.pool, "same", []string{"id", "member", "seq", "type", "time", "stored_at", "properties"}, len(events), func(i int) []any {
		e := &events[i]
		number, err := strconv.ParseInt(e.ID[len("e-"):], 10, 64)
		if err != nil {
			panic(err) // ids are made above
		}
		return []any{e.ID, e.Member, number, e.Type, e.Time, e.Time, e.Properties}
	})
}

// clean empties what events are put into, so that every measurement begins alike.
func (t *teller) clean(ctx context.Context) error {
	_, err := t.h.pool.Exec(ctx, `truncate events, intents, same`)
	if err == nil {
		_, err = t.h.pool.Exec(ctx, `vacuum analyze members`)
	}
	if err == nil {
		_, err = t.h.pool.Exec(ctx, `checkpoint`)
	}
	return err
}

func (t *teller) measure(ctx context.Context, of, by string, clients, size int, tell func(context.Context, []campaign.Event) error) func(int) error {
	return func(int) error {
		if err := t.clean(ctx); err != nil {
			return err
		}
		var told atomic.Int64
		length := time.Duration(t.h.run.size("seconds")) * time.Second
		began := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for range clients {
			group.Go(func() error {
				for time.Since(began) < length {
					if err := tell(ctx, t.events(size)); err != nil {
						return err
					}
					told.Add(int64(size))
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		t.h.run.add(of, rate, by, "events/s", float64(told.Load())/time.Since(began).Seconds())
		return nil
	}
}

var tps = regexp.MustCompile(`tps = ([0-9.]+) \(without`)

func (t *teller) pgbench(ctx context.Context, of string, clients int) func(int) error {
	return func(int) error {
		if err := t.clean(ctx); err != nil {
			return err
		}
		script, err := os.CreateTemp("", "banyan-bench-*.sql")
		if err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		defer func() { _ = os.Remove(script.Name()) }()
		if _, err := fmt.Fprintf(script, sameScript, t.h.run.size("members"), orderProperties); err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		if err := script.Close(); err != nil {
			return fmt.Errorf("write pgbench's script: %w", err)
		}
		cmd := exec.CommandContext(ctx, t.bench, "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(clients), "--jobs=2",
			"--time="+strconv.Itoa(t.h.run.size("seconds")), "--file="+script.Name(), t.h.url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run pgbench: %w\n%s", err, out)
		}
		match := tps.FindSubmatch(out)
		if match == nil {
			return fmt.Errorf("pgbench says no rate:\n%s", out)
		}
		n, err := strconv.ParseFloat(string(match[1]), 64)
		t.h.run.add(of, rate, "pgbench", "events/s", n)
		return err
	}
}

// pgbench finds the program beside the PostgreSQL that runs.
func (h *house) pgbench() (string, error) {
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(h.database) + "/exe"); err == nil {
		path := filepath.Join(filepath.Dir(exe), "pgbench")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", fmt.Errorf("find pgbench, which comes with PostgreSQL's own programs: %w", err)
	}
	return path, nil
}

// api is Banyan's HTTP API in this process.
type api struct {
	url, key string
	client   *http.Client
	close    func() error
}

func (h *house) serve(ctx context.Context) (*api, error) {
	const key = "byn_a-key-for-the-benchmark-alone"
	if err := h.store.SetBootstrapKey(ctx, key); err != nil {
		return nil, err
	}
	server, err := starter.NewServer(starter.Config{Store: h.store, Rate: 1e9})
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	serving, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- server.Serve(serving, listener) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	return &api{
		url: "http://" + listener.Addr().String(), key: key, client: &http.Client{Transport: transport},
		close: func() error {
			transport.CloseIdleConnections()
			stop()
			return <-done
		},
	}, nil
}

func (a *api) post(ctx context.Context, path, contentType string, body io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+path, body)
	if err != nil {
		return fmt.Errorf("build the request: %w", err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Bearer "+a.key)
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("tell events: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("tell events: %s %s %w", response.Status, answer, err)
	}
	return nil
}

// eventLatency tells events one by one to journeys that wait for them.
func eventLatency(ctx context.Context, r *run) (err error) {
	h, err := openHouse(ctx, r, devstack.StorePostgres)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, h.close()) }()
	c, err := h.start(roleBanyan, h.url)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()
	for _, drive := range drives {
		n := r.size("told")
		name, err := h.submit(ctx, driven(awaitCampaign, drive), nil)
		if err != nil {
			return err
		}
		member := func(i int) string { return fmt.Sprintf("%s-m-%d", name, i) }
		now := time.Now()
		var starts []campaign.Event
		for i := range n {
			starts = append(starts, paid(member(i)+"-trial", member(i), "trial", "9.90", now))
		}
		if err := h.tell(ctx, starts); err != nil {
			return err
		}
		if err := until(ctx, 50*time.Millisecond, h.pool, int64(n),
			`select count(*) from journeys where campaign = $1 and status = 'active' and step_name like 'await%'`, name); err != nil {
			return err
		}
		tick := time.NewTicker(50 * time.Millisecond)
		for i := range n {
			<-tick.C
			if err := h.tell(ctx, []campaign.Event{attended(member(i)+"-lesson", member(i), time.Now())}); err != nil {
				tick.Stop()
				return err
			}
		}
		tick.Stop()
		if err := until(ctx, 50*time.Millisecond, h.pool, int64(n), `select count(*) from messages where campaign = $1 and state = 'sent'`, name); err != nil {
			return err
		}
		if err := r.latencies(ctx, h, "from an event to its journey's turn, 20 events a second", "Banyan, drive: "+drive, `
			select extract(epoch from f.claimed_at - e.stored_at) * 1000
			  from journeys j join events e on e.member = j.member and e.type = 'lesson.attended'
			  join effects f on f.journey = j.id
			 where j.campaign = $1`, name); err != nil {
			return err
		}
		if err := h.retire(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
