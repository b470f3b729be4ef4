package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/store"
)

// What one could have instead of Banyan: the same campaign as a plain Temporal service,
// the way Temporal's own documentation teaches it. Each send and each write to
// PostgreSQL is an activity with a retry policy, what happens outside comes as a signal
// with its data, waits are timers. It keeps no event log, no trace, no caps and no quiet
// hours, and has no rules that anybody could change without a programmer: what it
// leaves out makes it faster.

const handSchema = `
create table journeys (id text primary key, member text not null, status text not null, outcome text not null default '',
    started_at timestamptz not null default clock_timestamp(), ended_at timestamptz);
create table messages (key text primary key, journey text not null references journeys, member text not null, name text not null,
    body text not null, sent_at timestamptz not null default clock_timestamp());
create table offers (id text primary key, journey text not null references journeys, member text not null, offer text not null,
    price bigint not null, state text not null, opened_at timestamptz not null default clock_timestamp(), expires_at timestamptz,
    closed_at timestamptz, order_id text);
create table grants (key text primary key, journey text not null references journeys, member text not null, reward text not null,
    points bigint not null, at timestamptz not null default clock_timestamp());
create table members (id text primary key, name text not null default '', points bigint not null default 0, tags text[] not null default '{}');
create index journeys_active on journeys (status) where status = 'active';
create index messages_member on messages (member, sent_at);
create index offers_open on offers (offer) where state = 'open';
`

const (
	handQueue = "hand"
	// The signals of the funnel.
	signalLesson = "lesson"
	signalPaid   = "paid"
)

// handEntry starts a hand-written journey.
type handEntry struct {
	Journey, Member, Name string
	Due                   time.Time // of the waiting one
}

type lesson struct{ Lesson string }

type order struct {
	Order, Offer string
	Amount       int64
}

// handOptions are those of every activity, as Banyan's sends have them.
func handOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
}

// script runs activities one after the other until one fails.
type script struct {
	ctx workflow.Context
	err error
}

func (s *script) do(activity any, args ...any) {
	if s.err == nil {
		s.err = workflow.ExecuteActivity(s.ctx, activity, args...).Get(s.ctx, nil)
	}
}

var hands *handActivities

// handMessage writes one message and ends.
func handMessage(ctx workflow.Context, in handEntry) error {
	s := &script{ctx: handOptions(ctx)}
	s.do(hands.Begin, in)
	s.do(hands.Send, in, "welcome", "你好，trial")
	s.do(hands.End, in, "completed")
	return s.err
}

// handWait waits, then writes one message.
func handWait(ctx workflow.Context, in handEntry) error {
	s := &script{ctx: handOptions(ctx)}
	s.do(hands.Begin, in)
	if s.err == nil {
		s.err = workflow.Sleep(ctx, in.Due.Sub(workflow.Now(ctx)))
	}
	s.do(hands.Send, in, "reminder", "你好，还记得我们吗？")
	s.do(hands.End, in, "completed")
	return s.err
}

// handFunnel is the trial funnel: a trial lesson, a monthly card with its price locked
// for two days, then gear.
func handFunnel(ctx workflow.Context, in handEntry) (string, error) {
	s := &script{ctx: handOptions(ctx)}
	end := func(outcome string) (string, error) {
		s.do(hands.End, in, outcome)
		return outcome, s.err
	}
	s.do(hands.Begin, in)
	s.do(hands.Send, in, "welcome", in.Name+"，欢迎第一次来！体验课七天内到店都有效，教练等你。")
	if _, came := next[lesson](ctx, signalLesson, 7*24*time.Hour); !came {
		s.do(hands.Send, in, "nudge", in.Name+"，体验课还没用呢。挑一个晚上来出出汗吧，还可以保留三天。")
		if _, came := next[lesson](ctx, signalLesson, 3*24*time.Hour); !came {
			return end("no-show")
		}
	}
	if !s.offer(in, "monthly-card", 19900, 48*time.Hour, "card-offer", "lock-24h") {
		s.do(hands.Tag, in, "price-sensitive")
		s.do(hands.Send, in, "comeback", in.Name+"，月卡的优惠先到这里。想练的时候随时回来，体验课的教练还记得你。")
		return end("lapsed")
	}
	s.do(hands.Grant, in, "first-card", 100)
	s.do(hands.Send, in, "card-receipt", in.Name+"，月卡开好了，接下来一个月见！")
	if !s.offer(in, "gear", 38000, 72*time.Hour, "gear-offer", "gear-24h") {
		return end("card-only")
	}
	s.do(hands.Grant, in, "gear-buyer", 50)
	s.do(hands.Tag, in, "gear-owner")
	return end("champion")
}

// offer opens an offer, reminds a day before its end, and reports whether it was taken.
func (s *script) offer(in handEntry, name string, price int64, lock time.Duration, announce, remind string) bool {
	s.do(hands.Open, in, name, price, lock)
	s.do(hands.Send, in, announce, fmt.Sprintf("%s，现在下单只要 ¥%d，价格为你保留 %s。", in.Name, price/100, lock))
	paid, taken := s.paid(name, price, lock-24*time.Hour)
	if !taken && s.err == nil {
		s.do(hands.Send, in, remind, "还剩 24 小时，之后恢复原价。")
		paid, taken = s.paid(name, price, 24*time.Hour)
	}
	state := "lapsed"
	if taken {
		state = "taken"
	}
	s.do(hands.Close, in, name, state, paid.Order)
	return taken
}

// paid waits for an order that takes the offer.
func (s *script) paid(name string, price int64, d time.Duration) (order, bool) {
	until := workflow.Now(s.ctx).Add(d)
	for {
		paid, came := next[order](s.ctx, signalPaid, until.Sub(workflow.Now(s.ctx)))
		if !came || paid.Offer == name && paid.Amount >= price {
			return paid, came
		}
	}
}

// next waits for a signal, or for a time.
func next[T any](ctx workflow.Context, signal string, d time.Duration) (got T, came bool) {
	timerCtx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	workflow.NewSelector(ctx).
		AddFuture(workflow.NewTimer(timerCtx, d), func(workflow.Future) {}).
		AddReceive(workflow.GetSignalChannel(ctx, signal), func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(ctx, &got)
			came = true
		}).Select(ctx)
	return got, came
}

// handActivities do the work of the hand-written workflows.
type handActivities struct {
	db      *pgxpool.Pool
	channel channels.Channel
}

func (a *handActivities) exec(ctx context.Context, sql string, args ...any) error {
	_, err := a.db.Exec(ctx, sql, args...)
	return err
}

// Begin writes down that a journey began.
func (a *handActivities) Begin(ctx context.Context, in handEntry) error {
	return a.exec(ctx, `insert into journeys (id, member, status) values ($1, $2, 'active') on conflict do nothing`, in.Journey, in.Member)
}

// Send delivers a message, and writes down that it did.
func (a *handActivities) Send(ctx context.Context, in handEntry, name, body string) error {
	key := in.Journey + "/" + name
	if _, err := a.channel.Deliver(ctx, channels.Message{
		Key: key, Channel: a.channel.Name(), Journey: in.Journey, Name: name, Member: in.Member, Body: body,
	}); err != nil {
		return err
	}
	return a.exec(ctx, `insert into messages (key, journey, member, name, body) values ($1, $2, $3, $4, $5) on conflict do nothing`,
		key, in.Journey, in.Member, name, body)
}

// Open writes down an offer.
func (a *handActivities) Open(ctx context.Context, in handEntry, offer string, price int64, lock time.Duration) error {
	return a.exec(ctx, `insert into offers (id, journey, member, offer, price, state, expires_at)
		values ($1, $2, $3, $4, $5, 'open', clock_timestamp() + $6) on conflict do nothing`,
		in.Journey+"/"+offer, in.Journey, in.Member, offer, price, lock)
}

// Close writes down how an offer ended.
func (a *handActivities) Close(ctx context.Context, in handEntry, offer, state, order string) error {
	return a.exec(ctx, `update offers set state = $2, order_id = $3, closed_at = clock_timestamp() where id = $1 and state = 'open'`,
		in.Journey+"/"+offer, state, order)
}

// Grant books points, once.
func (a *handActivities) Grant(ctx context.Context, in handEntry, reward string, points int64) error {
	return a.exec(ctx, `with booked as (
			insert into grants (key, journey, member, reward, points) values ($1, $2, $3, $4, $5) on conflict do nothing returning points
		) update members m set points = m.points + b.points from booked b where m.id = $3`,
		in.Journey+"/"+reward, in.Journey, in.Member, reward, points)
}

// Tag marks a member.
func (a *handActivities) Tag(ctx context.Context, in handEntry, tag string) error {
	return a.exec(ctx, `update members set tags = array_append(tags, $2) where id = $1 and not $2 = any (tags)`, in.Member, tag)
}

// End writes down how a journey ended.
func (a *handActivities) End(ctx context.Context, in handEntry, outcome string) error {
	return a.exec(ctx, `update journeys set status = 'done', outcome = $2, ended_at = clock_timestamp() where id = $1`, in.Journey, outcome)
}

// playHand runs the worker with the options that Banyan's worker has, and with as many
// connections to PostgreSQL.
func playHand(ctx context.Context, c client.Client) error {
	set, name, err := quiet()
	if err != nil {
		return err
	}
	channel, _ := set.Get(name)
	url := os.Getenv(envDatabase)
	theirs, err := store.Open(ctx, url)
	if err != nil {
		return err
	}
	conns := theirs.MaxConns()
	theirs.Close()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	cfg.MaxConns = int32(conns)
	db, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	hands := &handActivities{db: db, channel: channel}
	w := worker.New(c, handQueue, worker.Options{
		WorkerStopTimeout:          10 * time.Second,
		WorkflowTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
		ActivityTaskPollerBehavior: worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{}),
	})
	w.RegisterWorkflow(handMessage)
	w.RegisterWorkflow(handWait)
	w.RegisterWorkflow(handFunnel)
	w.RegisterActivity(hands)
	if err := w.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	defer w.Stop()
	fmt.Println("ready")
	<-ctx.Done()
	return nil
}

// begin starts hand-written journeys, as many at a time as Banyan's router does.
func (h *house) begin(ctx context.Context, workflow any, entries []handEntry) error {
	return h.side(ctx, len(entries), func(i int) error {
		_, err := h.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: entries[i].Journey, TaskQueue: handQueue, WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		}, workflow, entries[i])
		return err
	})
}

// signal tells hand-written journeys what happened.
func (h *house) signal(ctx context.Context, entries []handEntry, signal string, value func(i int) any) error {
	return h.side(ctx, len(entries), func(i int) error {
		return h.client.SignalWorkflow(ctx, entries[i].Journey, "", signal, value(i))
	})
}

// side does something n times, 16 at a time: the number of Banyan's deliverers.
func (h *house) side(_ context.Context, n int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}
