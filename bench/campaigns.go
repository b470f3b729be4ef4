package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// The campaigns that are measured.

const messageCampaign = `
campaign: message
title: one message
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  welcome: "你好，{{ start.offer }}"
journeys:
  one:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - send: welcome
`

const waitCampaign = `
campaign: wait
title: a wait and a message
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  reminder: "你好，还记得我们吗？"
journeys:
  one:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - wait: %s
      - send: reminder
`

const awaitCampaign = `
campaign: await
title: a journey that listens
events:
  order.paid: {order: string, offer: string, amount: money}
  lesson.attended: {lesson: string}
messages:
  thanks: "谢谢你来上课！"
journeys:
  one:
    start: {on: order.paid, when: event.offer == "trial"}
    goal: {on: order.paid, when: event.offer == "card"}
    steps:
      - await: lesson.attended
        for: 30d
        otherwise:
          - end: none
      - send: thanks
`

// funnelCampaign is the model campaign that Banyan ships, without its holdout, stock and
// budgets: the hand-written service has none, and more members come here than those let
// through.
func funnelCampaign() (string, error) {
	source, err := fs.ReadFile(definitions.Shipped(), "fitness-trial.yaml")
	if err != nil {
		return "", fmt.Errorf("read the model campaign: %w", err)
	}
	return regexp.MustCompile(`(?m)^ +(?:holdout|stock): .*\n|, budget: \d+`).ReplaceAllString(string(source), ""), nil
}

// drives are the ways to turn journeys that are compared.
var drives = []string{"members", "slices"}

// driven is a campaign with another drive.
func driven(source, drive string) string {
	if drive == "members" {
		return source
	}
	return regexp.MustCompile(`(?m)^( +)start: .*$`).ReplaceAllString(source, "$0\n${1}drive: "+drive)
}

func paid(id, member, offer, amount string, at time.Time) campaign.Event {
	return campaign.Event{ID: id, Type: campaign.EventOrderPaid, Member: member, Time: at, Properties: json.RawMessage(
		fmt.Sprintf(`{"order":"o-%s","offer":%q,"amount":{"amount":%q,"currency":"CNY"}}`, id, offer, amount))}
}

func attended(id, member string, at time.Time) campaign.Event {
	return campaign.Event{ID: id, Type: "lesson.attended", Member: member, Time: at, Properties: json.RawMessage(`{"lesson":"intro"}`)}
}

// latencies notes the percentiles of what a question in SQL answers, in milliseconds.
func (r *run) latencies(ctx context.Context, h *house, of, by, sql string, args ...any) error {
	pool := h.pool
	if strings.HasPrefix(by, byHand) {
		pool = h.hand
	}
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("ask for latencies: %w", err)
	}
	samples, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err != nil {
		return fmt.Errorf("ask for latencies: %w", err)
	}
	if len(samples) == 0 {
		return fmt.Errorf("there are no latencies of %s", of)
	}
	for _, p := range []float64{50, 99} {
		r.add(of, fmt.Sprintf("p%.0f", p), by, "ms", percentile(samples, p))
	}
	r.add(of, "latest", by, "ms", percentile(samples, 100))
	return nil
}

const byHand = "hand-written"

// firstOf keeps the error that came first.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}
