// Package doctor looks for what an operator could break by hand, or a restore leave
// behind: a journey without its workflow, a workflow without its journey, a poke that
// was lost, a claim that nobody holds any more. Asked to, it mends what it found.
//
// PostgreSQL is the truth, so a repair brings Temporal to where PostgreSQL stands and
// never the other way round: it starts, ends and wakes workflows and moves intents; it
// decides nothing, sends nothing and leaves the ledger, the offers and the events alone.
// All that it does may be done twice.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// Config is what an examination needs.
type Config struct {
	Store     *store.Store
	Client    client.Client
	Namespace string
	// Repair mends what is found; without it nothing is changed.
	Repair bool
	// Restored says that the database came back from a backup: every journey under way is
	// started again, whatever Temporal believes, and any number of workflows may be ended.
	// It is heeded with Repair only.
	Restored bool
}

// Names of the checks that can be mended.
const (
	CheckWorkflows = "workflows"
	CheckSlices    = "slices"
	CheckStrays    = "stray workflows"
	CheckClaims    = "claims"
	CheckJourneys  = "journeys"
	CheckPostponed = "postponed"
	CheckAside     = "put aside"
	CheckUnknown   = "unknown messages"
)

const (
	// callTimeout bounds one call to Temporal.
	callTimeout = 10 * time.Second
	// hands is how many calls are made at a time: a namespace's default limits take more,
	// and a repair must leave room for the journeys that run.
	hands = 8
	// maxItems bounds what is listed of each check; counts are always whole.
	maxItems = 1_000
	// claimPatience is how long a message may be tried before somebody should look at the
	// receiver.
	claimPatience = time.Hour
)

// Examine checks that the database and Temporal agree, and mends what does not where it
// is asked to. An error means that the examination itself could not be done.
func Examine(ctx context.Context, cfg Config) ([]store.Finding, error) {
	findings, err := cfg.Store.Examine(ctx)
	if err != nil {
		return nil, err
	}
	if len(findings) == 1 { // no tables to look at
		return append(findings, Temporal(ctx, cfg.Client, cfg.Namespace)...), nil
	}
	e := &examination{Config: cfg, started: map[int64]bool{}}
	temporal := Temporal(ctx, cfg.Client, cfg.Namespace)
	findings = append(findings, temporal...)
	checks := []func(context.Context) (store.Finding, error){e.postponed, e.aside, e.unknown}
	if !slices.ContainsFunc(temporal, func(f store.Finding) bool { return !f.OK }) {
		// In this order: a journey whose workflow has just been started needs no poke.
		checks = append(checks, e.workflows, e.slices, e.strays, e.claims)
	}
	for _, check := range append(checks, e.journeys) {
		f, err := check(ctx)
		if err != nil {
			return nil, err
		}
		findings = append(findings, f)
	}
	return findings, nil
}

type examination struct {
	Config

	mu      sync.Mutex
	started map[int64]bool // journeys whose workflow this examination has started
}

func (e *examination) hasStarted(journey int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started[journey]
}

// found makes a finding of what was found one by one.
func found(check, fine string, wrong string, items []store.Item) store.Finding {
	if len(items) == 0 {
		return store.Finding{Check: check, OK: true, Detail: fine}
	}
	f := store.Finding{Check: check, Detail: strconv.Itoa(len(items)) + " " + wrong, Items: items}
	if f.Mended() {
		f.Detail += "; mended"
	}
	if len(items) > maxItems {
		f.Items = items[:maxItems]
	}
	return f
}

// workflows finds the journeys that need a workflow and have none that runs.
func (e *examination) workflows(ctx context.Context) (store.Finding, error) {
	const fine, wrong = "every journey under way has a workflow that runs", "journeys need a workflow and have none that runs"
	var suspects []store.NeedsWorkflow
	if e.Repair && e.Restored {
		err := e.Store.UnderWay(ctx, func(n store.NeedsWorkflow) { suspects = append(suspects, n) })
		if err != nil {
			return store.Finding{}, err
		}
		items, err := e.each(ctx, len(suspects), func(ctx context.Context, i int) (*store.Item, error) {
			return e.startAgain(ctx, suspects[i].Row, "started again after the restore", enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING)
		})
		return found(CheckWorkflows, fine, "journeys were under way when the database was saved", items), err
	}
	running, err := e.running(ctx, campaign.WorkflowJourney)
	if err != nil {
		return store.Finding{}, err
	}
	err = e.Store.UnderWay(ctx, func(n store.NeedsWorkflow) {
		if !running[n.Workflow] {
			suspects = append(suspects, n)
		}
	})
	if err != nil {
		return store.Finding{}, err
	}
	items, err := e.each(ctx, len(suspects), func(ctx context.Context, i int) (*store.Item, error) {
		return e.missing(ctx, suspects[i])
	})
	return found(CheckWorkflows, fine, wrong, items), err
}

// missing looks closer at one journey: what the list of workflows says may be seconds
// old, so the workflow itself is asked, and then the journey once more.
func (e *examination) missing(ctx context.Context, n store.NeedsWorkflow) (*store.Item, error) {
	state, _, err := e.describe(ctx, n.Workflow)
	if err != nil || state == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, err
	}
	r, needed, err := e.Store.RestartOf(ctx, n.Row)
	if err != nil || !needed {
		return nil, err // over, or about to be started
	}
	what := fmt.Sprintf("journey %d: its workflow %s is %s", n.Row, n.Workflow, statusWord(state))
	if len(r.Held) > 0 {
		what += fmt.Sprintf(", with %d messages to go out", len(r.Held))
	}
	if !e.Repair {
		return &store.Item{What: what, ToDo: "banyan doctor --repair starts it again where the journey stands"}, nil
	}
	item, err := e.startAgain(ctx, n.Row, "started again at turn "+strconv.Itoa(r.Turn+1), enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL)
	if item != nil {
		item.What = what
	}
	return item, err
}

// startAgain starts a journey's workflow where the journey stands. An id that was used
// before is used again, which an ordinary start never does.
func (e *examination) startAgain(ctx context.Context, row int64, done string, conflict enums.WorkflowIdConflictPolicy) (*store.Item, error) {
	r, needed, err := e.Store.RestartOf(ctx, row)
	if err != nil || !needed {
		return nil, err
	}
	options := e.startOptions(&r)
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	options.WorkflowIDConflictPolicy = conflict
	options.WorkflowExecutionErrorWhenAlreadyStarted = true
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err = e.Client.ExecuteWorkflow(ctx, options, campaign.WorkflowJourney, campaign.TurnInput{Journey: r.Row, Turn: r.Turn, Held: r.Held})
	if already := new(serviceerror.WorkflowExecutionAlreadyStarted); errors.As(err, &already) {
		return nil, nil // somebody else has mended it: there is nothing to tell
	}
	if err != nil {
		return nil, fmt.Errorf("start the workflow of journey %d again: %w", row, err)
	}
	e.mu.Lock()
	e.started[row] = true
	e.mu.Unlock()
	return &store.Item{What: fmt.Sprintf("journey %d: %s", row, r.Workflow), Done: done, Mended: true}, nil
}

// slices finds the slices that need a workflow and have none that runs.
func (e *examination) slices(ctx context.Context) (store.Finding, error) {
	needed, err := e.Store.NeededSlices(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	items, err := e.each(ctx, len(needed), func(ctx context.Context, i int) (*store.Item, error) {
		s := needed[i]
		restored, conflict := e.Repair && e.Restored, enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL
		item := &store.Item{What: fmt.Sprintf("slice %d: its workflow %s was started before the restore", s.ID, s.Workflow)}
		if restored {
			conflict = enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING
		} else {
			state, _, err := e.describe(ctx, s.Workflow)
			if err != nil || state == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
				return nil, err
			}
			item.What = fmt.Sprintf("slice %d: its workflow %s is %s", s.ID, s.Workflow, statusWord(state))
		}
		if !e.Repair {
			item.ToDo = "banyan doctor --repair starts it again"
			return item, nil
		}
		options := starter.SliceOptions(store.Delivery{Workflow: s.Workflow, ID: campaign.JourneyID{Campaign: s.Campaign, Journey: s.Journey}})
		options.WorkflowIDConflictPolicy, options.WorkflowExecutionErrorWhenAlreadyStarted = conflict, true
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		_, err := e.Client.ExecuteWorkflow(ctx, options, campaign.WorkflowSlice, campaign.SliceInput{Slice: s.ID})
		if already := new(serviceerror.WorkflowExecutionAlreadyStarted); errors.As(err, &already) {
			return nil, nil // somebody else has mended it: there is nothing to tell
		}
		if err != nil {
			return nil, fmt.Errorf("start the workflow of slice %d again: %w", s.ID, err)
		}
		item.Done, item.Mended = "started again", true
		return item, nil
	})
	return found(CheckSlices, "every slice with somebody under way has a workflow that runs", "slices need a workflow", items), err
}

// strays finds workflows of ours that turn no journey of this database.
func (e *examination) strays(ctx context.Context) (store.Finding, error) {
	const fine, wrong = "every workflow that runs turns a journey of this database", "workflows run and turn no journey of this database"
	var (
		ids   []string
		total int
	)
	page := make([]string, 0, listPage)
	look := func() error {
		known, err := e.Store.KnownWorkflows(ctx, page)
		for _, id := range page {
			if !known[id] {
				ids = append(ids, id)
			}
		}
		total += len(page)
		page = page[:0]
		return err
	}
	running, err := e.running(ctx, campaign.WorkflowJourney)
	if err != nil {
		return store.Finding{}, err
	}
	sliced, err := e.running(ctx, campaign.WorkflowSlice)
	if err != nil {
		return store.Finding{}, err
	}
	maps.Copy(running, sliced)
	for id := range running {
		if !strings.HasPrefix(id, "journey/") && !strings.HasPrefix(id, "slice/") {
			continue // of our type's name, and not of our making
		}
		if page = append(page, id); len(page) == listPage {
			if err := look(); err != nil {
				return store.Finding{}, err
			}
		}
	}
	if err := look(); err != nil {
		return store.Finding{}, err
	}
	slices.Sort(ids)
	// More strays than journeys: rather than all of those workflows, the address of the
	// database is wrong, or it came back from a backup.
	wrongPlace := len(ids) > fewStrays && 2*len(ids) > total && !e.Restored
	items, err := e.each(ctx, len(ids), func(ctx context.Context, i int) (*store.Item, error) { return e.stray(ctx, ids[i], wrongPlace) })
	return found(CheckStrays, fine, wrong, items), err
}

// fewStrays is how many workflows may be ended whatever their share: somebody who
// deletes a campaign's rows by hand leaves a few, a wrong address leaves all.
const fewStrays = 10

func (e *examination) stray(ctx context.Context, id string, wrongPlace bool) (*store.Item, error) {
	state, run, err := e.describe(ctx, id)
	if err != nil || state != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, err
	}
	// It may have been let in after the first look.
	if known, err := e.Store.KnownWorkflows(ctx, []string{id}); err != nil || known[id] {
		return nil, err
	}
	item := &store.Item{What: "workflow " + id}
	switch {
	case wrongPlace:
		item.ToDo = "most of what runs is unknown here: are database and namespace those of one installation? If the database was restored, run banyan doctor --repair --restored"
		return item, nil
	case !e.Repair:
		item.ToDo = "banyan doctor --repair terminates it"
		return item, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = e.Client.TerminateWorkflow(ctx, id, run, "banyan doctor: there is no such journey in the database")
	if gone := new(serviceerror.NotFound); err != nil && !errors.As(err, &gone) {
		return nil, fmt.Errorf("terminate the workflow %s: %w", id, err)
	}
	item.Done, item.Mended = "terminated", true
	return item, nil
}

// claims finds messages that were claimed a while ago and that no workflow is about to
// send. Workflows send one message after the other, so one with a send under way will
// come to the rest.
func (e *examination) claims(ctx context.Context) (store.Finding, error) {
	old, err := e.Store.OldClaims(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	items, err := e.each(ctx, len(old), func(ctx context.Context, i int) (*store.Item, error) {
		c := old[i]
		if e.hasStarted(c.Row) {
			return nil, nil // it has just been given its messages
		}
		state, sending, err := e.sending(ctx, c.Workflow)
		if err != nil || state != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return nil, err // told of among the workflows
		}
		what := fmt.Sprintf("journey %d: a message was claimed at %s", c.Row, c.Since.UTC().Format(time.RFC3339))
		if sending {
			if time.Since(c.Since) < claimPatience {
				return nil, nil // it is being tried
			}
			return &store.Item{What: what + " and is tried still", ToDo: "look after the receiver; the worker's log says why it is not taken"}, nil
		}
		what += " and nobody is sending it"
		if !e.Repair {
			return &store.Item{What: what, ToDo: "banyan doctor --repair gives it to its workflow again"}, nil
		}
		item, err := e.startAgain(ctx, c.Row, "its workflow was started again with the message to go out", enums.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING)
		if item != nil {
			item.What = what
		}
		return item, err
	})
	sliced, serr := e.sliceClaims(ctx)
	items = append(items, sliced...)
	err = errors.Join(err, serr)
	return found(CheckClaims, "every claimed message is being sent, or held by a pause", "journeys or slices have claimed messages that do not go out", items), err
}

// sliceClaims finds the slices whose messages were claimed a while ago and are not sent.
func (e *examination) sliceClaims(ctx context.Context) (items []store.Item, err error) {
	old, err := e.Store.SliceClaims(ctx)
	if err != nil {
		return nil, err
	}
	for _, slice := range slices.Sorted(maps.Keys(old)) {
		item := store.Item{
			What: fmt.Sprintf("slice %d: %d messages were claimed ten minutes ago and are not sent", slice, old[slice]),
			ToDo: "is a worker of their channel running? banyan doctor --repair makes them due",
		}
		if e.Repair {
			if err := e.Store.SendSliceNow(ctx, slice); err != nil {
				return items, err
			}
			item.ToDo, item.Done, item.Mended = "", "made due, and the slice is woken", true
		}
		items = append(items, item)
	}
	return items, nil
}

// journeys finds those that should have looked again and did not.
func (e *examination) journeys(ctx context.Context) (store.Finding, error) {
	why := map[int64]string{}
	unheard, err := e.Store.Unheard(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	for _, row := range unheard {
		why[row] = "has not heard of an event that it listens to"
	}
	overdue, err := e.Store.Overdue(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	for _, row := range overdue {
		why[row] = "is overdue by five minutes"
	}
	var rows []int64
	for row := range why {
		if !e.hasStarted(row) {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	poked := map[int64]bool{}
	if e.Repair && len(rows) > 0 {
		done, err := e.Store.PokeOnce(ctx, rows)
		if err != nil {
			return store.Finding{}, err
		}
		for _, row := range done {
			poked[row] = true
		}
	}
	items := make([]store.Item, 0, len(rows))
	for _, row := range rows {
		item := store.Item{What: fmt.Sprintf("journey %d %s", row, why[row]), ToDo: "is a worker running? banyan doctor --repair wakes it"}
		if poked[row] {
			item.Done, item.Mended = "woken; if it comes back, its turn fails: the worker's log has its number", true
			item.ToDo = ""
		}
		items = append(items, item)
	}
	return found(CheckJourneys, "no journey has slept through its moment", "journeys should have looked again", items), nil
}

// aside finds intents that the router could not decide.
func (e *examination) aside(ctx context.Context) (store.Finding, error) {
	list, err := e.Store.Aside(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	items, ids := make([]store.Item, 0, len(list)), make([]int64, 0, len(list))
	for _, in := range list {
		what := fmt.Sprintf("intent %d (%s) of member %s", in.ID, in.Kind, in.Member)
		if in.Event != "" {
			what += ", event " + in.Event
		}
		items = append(items, store.Item{
			What: fmt.Sprintf("%s could not be decided at try %d: %s", what, in.Tries, in.Reason),
			ToDo: fmt.Sprintf("mend what the reason names; it is tried again at %s, and at once after banyan doctor --repair", in.Due.Format(time.RFC3339)),
		})
		ids = append(ids, in.ID)
	}
	if e.Repair && len(ids) > 0 {
		if err := e.Store.Retry(ctx, ids); err != nil {
			return store.Finding{}, err
		}
		for i := range items {
			items[i].ToDo, items[i].Done, items[i].Mended = "", "tried again now; if it fails it is put aside again", true
		}
	}
	return found(CheckAside, "the router could decide everything", "intents could not be decided and are kept", items), nil
}

// postponed finds intents that lie further ahead than the router ever puts one off.
func (e *examination) postponed(ctx context.Context) (store.Finding, error) {
	list, err := e.Store.Postponed(ctx)
	if err != nil {
		return store.Finding{}, err
	}
	items := make([]store.Item, 0, len(list))
	ids := make([]int64, 0, len(list))
	for _, in := range list {
		items = append(items, store.Item{
			What: fmt.Sprintf("intent %d (%s) is put off by more than ten minutes", in.ID, in.Kind), ToDo: "banyan doctor --repair makes it due now",
		})
		ids = append(ids, in.ID)
	}
	if e.Repair && len(ids) > 0 {
		if err := e.Store.Hasten(ctx, ids); err != nil {
			return store.Finding{}, err
		}
		for i := range items {
			items[i].ToDo, items[i].Done, items[i].Mended = "", "made due now", true
		}
	}
	return found(CheckPostponed, "no intent is put off for long", "intents are put off further than the router does", items), nil
}

// unknown lists messages that a person must ask about: to send them again might deliver
// them twice, and to forget them might not deliver them at all.
func (e *examination) unknown(ctx context.Context) (store.Finding, error) {
	list, err := e.Store.UnknownMessages(ctx, maxItems)
	if err != nil {
		return store.Finding{}, err
	}
	items := make([]store.Item, 0, len(list))
	for _, m := range list {
		items = append(items, store.Item{
			What: fmt.Sprintf("message %s of journey %d may have arrived by %s", m.Key, m.Journey, m.Channel),
			ToDo: "ask the receiver for this key, then say banyan doctor --arrived KEY or --not-arrived KEY; it is not sent again by itself",
		})
	}
	return found(CheckUnknown, "of every message it is known whether it arrived", "messages may or may not have arrived", items), nil
}

// each does something for each of n things, a few at a time, and gathers the items in
// their order.
func (e *examination) each(ctx context.Context, n int, do func(ctx context.Context, i int) (*store.Item, error)) ([]store.Item, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]*store.Item, n)
	work := make(chan int)
	var crew sync.WaitGroup
	for range min(hands, n) {
		crew.Go(func() {
			for i := range work {
				item, err := do(ctx, i)
				if err != nil {
					cancel(err)
				}
				all[i] = item
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	crew.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	items := make([]store.Item, 0, n)
	for _, item := range all {
		if item != nil {
			items = append(items, *item)
		}
	}
	return items, nil
}
