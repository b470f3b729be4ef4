package simulate

import "testing"

const reviewed = `
campaign: wall
title: Diaries for the wall
member: {inviter: string}
events:
  diary.posted: {diary: string}
  diary.seen: {diary: string}
segments:
  invited: member.inviter == "m-9"
roles:
  expert: {backup: advisor}
  advisor:
messages: {ready: Ready}
journeys:
  wall:
    start: {on: diary.posted, when: segment("invited")}
    entry: every_time
    goal: {on: diary.seen}
    steps:
      - review: {by: expert, for: 24h, otherwise: reject}
        approved:
          - send: ready
          - end: shown
        rejected:
          - end: kept
`

// People decide about reviews as a population says: whoever is first, within the time of
// the role or of its backup, and not after.
func TestPeopleDecideInRehearsals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, behaviour string
		shown, kept     int64
	}{
		{"nobody", "", 0, 100},
		{"the role", "\n  - {on: {review: expert}, decide: approve, after: 2h}", 100, 0},
		{"no", "\n  - {on: {review: expert}, decide: reject, after: 2h}", 0, 100},
		{"the backup", "\n  - {on: {review: expert}, decide: approve, after: 47h}", 100, 0},
		{"too late", "\n  - {on: {review: expert}, decide: approve, after: 49h}", 0, 100},
		{"the first", "\n  - {on: {review: expert}, decide: approve, after: 3h}\n  - {on: {review: expert}, decide: reject, after: 2h}", 0, 100},
		{"another role", "\n  - {on: {review: advisor}, decide: approve, after: 2h}", 0, 100},
		{"unless", "\n  - {on: arrive, do: diary.seen, after: 1h, with: {diary: d}}\n  - {on: {review: expert}, decide: approve, after: 2h, unless: {event: diary.seen}}", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := planFrom(t, reviewed)
			pop := populationFrom(t, p, "population: x\nmember: {inviter: m-9}\nbehaviour:\n  - {on: arrive, do: diary.posted, with: {diary: d}}"+c.behaviour+"\n")
			if a, b := jsonOf(t, pop), jsonOf(t, populationFrom(t, p, YAML(pop))); a != b {
				t.Errorf("it changes on its way through a file:\n%s\n%s", a, b)
			}
			r := rehearse(t, Config{Plan: p, From: first, Span: 10 * day, People: Made(p, pop, 100, 1, first, day)})
			got := map[string]int64{}
			for _, o := range r.Journeys[0].Outcomes {
				got[o.Name] = o.Count
			}
			if got["shown"] != c.shown || got["kept"] != c.kept {
				t.Errorf("%v, want %d shown and %d kept", got, c.shown, c.kept)
			}
		})
	}
}

// A derived population lets people approve, so that the steps behind a review are come to.
func TestDerivedPeopleDecide(t *testing.T) {
	t.Parallel()
	p := planFrom(t, reviewed)
	pop := Derive(p, first)
	pop.Member = populationFrom(t, p, "population: x\nmember: {inviter: m-9}\nbehaviour: []\n").Member
	r := rehearse(t, Config{Plan: p, From: first, Span: 60 * day, People: Made(p, pop, 500, 1, first, 30*day)})
	for _, s := range r.Journeys[0].Steps {
		if s.Reached == 0 {
			t.Errorf("nobody comes to step %s (%s)", s.ID, s.Name)
		}
	}
}
