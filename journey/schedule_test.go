package journey_test

import (
	"testing"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/journey"
)

const weekly = `
campaign: weekly
title: weekly
timezone: Europe/Berlin
window: {until: 2027-04-30}
events: {go: {}, late: {}}
segments:
  warm: '"warm" in member.tags'
  cold: '!("warm" in member.tags)'
journeys:
  letter:
    start:
      - {schedule: 0 9 * * 1, segment: warm}
      - {schedule: 2027-03-28 02:30, segment: cold}
      - {segment: cold}
      - {on: go}
    entry: {again_after: 7d}
    steps:
      - await: late
        for: 1h
        otherwise: [{end: none}]
      - end: came
`

func TestAStartByTheCalendar(t *testing.T) {
	t.Parallel()
	p := compile(t, weekly)
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(mo time.Month, d, h, mi int) time.Time { return time.Date(2027, mo, d, h, mi, 0, 0, loc) }
	schedules := p.Schedules()
	if len(schedules) != 2 || len(p.StartsBySegment()) != 1 || len(p.StartsOn("go")) != 1 {
		t.Fatalf("%+v, %+v", schedules, p.StartsBySegment())
	}
	monday, once := schedules[0], schedules[1]
	// The clocks change on Sunday, 28 March; Monday is the 29th.
	if got := monday.Next(at(3, 22, 9, 0)); !got.Equal(at(3, 29, 9, 0)) {
		t.Errorf("next on %s", got)
	}
	if got := monday.Last(at(3, 1, 9, 0), at(3, 29, 8, 59)); !got.Equal(at(3, 22, 9, 0)) {
		t.Errorf("last on %s", got)
	}
	if got := once.Next(at(3, 1, 0, 0)); !got.Equal(at(3, 28, 3, 0)) {
		t.Errorf("once on %s", got)
	}
	if got := once.Next(at(3, 28, 3, 0)); !got.IsZero() {
		t.Errorf("once more on %s", got)
	}

	moment := at(4, 5, 9, 0).UTC()
	warm := &campaign.Member{ID: "m-1", Tags: []string{"warm"}}
	entrant := journey.Entrant{Campaign: "weekly", Member: warm, Now: moment.Add(3 * time.Hour), Stored: 7}
	adm, why, err := p.Admit(monday.At(moment), entrant)
	if err != nil || why != "" {
		t.Fatal(why, err)
	}
	if !adm.Entered.Equal(moment) || !adm.State.Since.Equal(moment) || adm.Trace[0].Params["by"] != "schedule 0 9 * * 1, segment warm" {
		t.Errorf("%+v", adm)
	}
	for name, c := range map[string]struct {
		change func(*journey.Entrant)
		why    string
	}{
		"not in the segment": {func(e *journey.Entrant) { e.Member = &campaign.Member{ID: "m-1"} }, journey.NotMatched},
		"on the way":         {func(e *journey.Entrant) { e.Entries, e.Active = 1, true }, journey.NotActive},
		"a week after the last moment, though late": {func(e *journey.Entrant) { e.Entries, e.LastEntered = 1, moment.AddDate(0, 0, -7) }, ""},
		"entered in between":                        {func(e *journey.Entrant) { e.Entries, e.LastEntered = 1, moment.AddDate(0, 0, -6) }, journey.NotAgain},
		"after the window":                          {func(e *journey.Entrant) { e.Now = at(5, 1, 0, 0) }, journey.NotWindow},
	} {
		e := entrant
		c.change(&e)
		if _, why, err := p.Admit(monday.At(moment), e); err != nil || why != c.why {
			t.Errorf("%s: %q %v, want %q", name, why, err, c.why)
		}
	}

	// Let in three hours late, she is where she would be: an event of the first hour, though
	// stored before she was let in, counts.
	e := campaign.Event{ID: "e", Type: "late", Member: "m-1", Seq: 7, Time: moment.Add(30 * time.Minute), Stored: moment.Add(31 * time.Minute)}
	for _, c := range []struct {
		events  []campaign.Event
		outcome string
	}{{nil, "none"}, {[]campaign.Event{e}, "came"}} {
		d, _, err := p.Turn(adm.State, journey.Input{ID: adm.ID, Version: 1, Now: entrant.Now, Member: warm, Events: c.events})
		if err != nil || d.Outcome != c.outcome {
			t.Errorf("outcome %q, want %q; %v", d.Outcome, c.outcome, err)
		}
	}
}
