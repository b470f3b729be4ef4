package simulate

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Config says what to rehearse.
type Config struct {
	Plan   *Plan
	People People
	From   time.Time
	Span   time.Duration
	// Workers is how many members are taken at once; 0: one for each core.
	Workers int
	// Progress is told now and then how many members were taken; nil: nobody is.
	Progress func(taken, of int)
}

// MaxMembers is how many members a rehearsal may have.
const MaxMembers = 100_000_000

// rehearsal is a run.
type rehearsal struct {
	Config
	days   int
	until  time.Time
	limits []limit
	before [][]claim // see ledger
}

// outcome is what a run came to.
type outcome struct {
	*tally
	cuts  []claim
	asked []int // claims by limit
}

// run takes all members, until what they share is decided.
func run(ctx context.Context, cfg Config) (*outcome, error) {
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.People.Count() > MaxMembers {
		return nil, campaign.Errorf(campaign.CodeInvalid, "at most %d members can be rehearsed", MaxMembers)
	}
	r := &rehearsal{Config: cfg, until: cfg.From.Add(cfg.Span), days: int((cfg.Span + 24*time.Hour - 1) / (24 * time.Hour))}
	r.limits = cfg.Plan.limitsFor(cfg.Plan.dayOf(cfg.From, r.until) + 1)
	if cfg.Plan.peeks {
		return r.settle(ctx)
	}
	cuts, err := r.guess(ctx)
	if err != nil {
		return nil, err
	}
	everybody := func(i int) int { return i }
	total, claims, err := r.pass(ctx, cfg.People.Count(), everybody, cuts, 1, cfg.Progress)
	if err != nil {
		return nil, err
	}
	for range len(cuts) + 2 {
		right := cutsOf(r.limits, claims, 1)
		again := between(claims, cuts, right)
		if len(again) == 0 {
			return &outcome{total, right, lengths(claims)}, nil
		}
		members := make([]int, 0, len(again))
		for m := range again {
			members = append(members, int(m))
		}
		slices.Sort(members)
		those := func(i int) int { return members[i] }
		old, _, err := r.pass(ctx, len(members), those, cuts, -1, nil)
		if err != nil {
			return nil, err
		}
		mended, fresh, err := r.pass(ctx, len(members), those, right, 1, nil)
		if err != nil {
			return nil, err
		}
		total.merge(old)
		total.merge(mended)
		for i := range claims {
			claims[i] = append(slices.DeleteFunc(claims[i], func(c claim) bool { return again[c.member] }), fresh[i]...)
		}
		cuts = right
	}
	return nil, campaign.Errorf(campaign.CodeInternal, "what members share did not come to rest")
}

// maxRounds bounds how often everybody is taken until what is left of budgets is known. A
// campaign that asks whether less than so much is left needs about three rounds for each
// such question.
const maxRounds = 100

// settle takes everybody again and again, until what is left of budgets at each moment is
// what it was taken for.
func (r *rehearsal) settle(ctx context.Context) (*outcome, error) {
	var (
		cuts     = uncut(len(r.limits))
		progress = r.Progress
	)
	for range maxRounds {
		total, claims, err := r.pass(ctx, r.People.Count(), func(i int) int { return i }, cuts, 1, progress)
		if err != nil {
			return nil, err
		}
		right := cutsOf(r.limits, claims, 1)
		granted := grantedOf(claims, right)
		if slices.Equal(cuts, right) && slices.EqualFunc(granted, r.before, slices.Equal[[]claim]) {
			return &outcome{total, right, lengths(claims)}, nil
		}
		cuts, r.before, progress = right, granted, nil
	}
	return nil, campaign.Errorf(campaign.CodeInvalid,
		"what is left of the budgets did not come to rest in %d rounds: each member's question changes the answer of the next; ask whether more or less than an amount is left", maxRounds)
}

func lengths(claims [][]claim) []int {
	n := make([]int, len(claims))
	for i := range claims {
		n[i] = len(claims[i])
	}
	return n
}

// sample is the share of the members by whom the cuts are guessed.
const sample = 64

// guess guesses the cuts by a part of the members. It changes nothing but the time that
// a run takes.
func (r *rehearsal) guess(ctx context.Context) ([]claim, error) {
	limits := r.limits
	cuts := uncut(len(limits))
	count := r.People.Count() / sample
	if len(limits) == 0 || count < sample {
		return cuts, nil
	}
	for range len(limits) + 2 {
		_, claims, err := r.pass(ctx, count, func(i int) int { return i * sample }, cuts, 1, nil)
		if err != nil {
			return nil, err
		}
		next := cutsOf(limits, claims, sample)
		if slices.Equal(next, cuts) {
			break
		}
		cuts = next
	}
	return cuts, nil
}

// chunk is how many members a worker takes at a time.
const chunk = 64

// pass takes count members with given cuts, and adds them to a tally with a weight.
func (r *rehearsal) pass(
	ctx context.Context, count int, who func(int) int, cuts []claim, weight int64, progress func(taken, of int),
) (*tally, [][]claim, error) {
	total, claims := newTally(r.Plan, r.days), make([][]claim, len(cuts))
	var (
		next, taken atomic.Int64
		mu          sync.Mutex
		group       sync.WaitGroup
		failed      error
		failedAt    = count
	)
	for range min(r.Workers, count/chunk+1) {
		group.Go(func() {
			own := &worker{
				r: r, ledger: ledger{limits: r.limits, before: r.before, cuts: cuts, claims: make([][]claim, len(cuts))},
				scribe: scribe{p: r.Plan, from: r.From, t: newTally(r.Plan, r.days), weight: weight},
			}
			for ctx.Err() == nil {
				first := int(next.Add(chunk)) - chunk
				if first >= count {
					break
				}
				for i := first; i < min(first+chunk, count); i++ {
					if err := own.take(who(i)); err != nil {
						mu.Lock()
						if i < failedAt {
							failed, failedAt = err, i
						}
						mu.Unlock()
						next.Store(int64(count))
						break
					}
				}
				if progress != nil {
					n := taken.Add(chunk)
					mu.Lock()
					progress(min(int(n), count), count)
					mu.Unlock()
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.merge(own.scribe.t)
			for i := range claims {
				claims[i] = append(claims[i], own.ledger.claims[i]...)
			}
		})
	}
	group.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return total, claims, failed
}

// worker takes one member after the other.
type worker struct {
	r      *rehearsal
	ledger ledger
	scribe scribe
	people *behaviour
}

func (w *worker) take(i int) error {
	w.scribe.reset()
	w.ledger.member = int32(i)
	l := &life{p: w.r.Plan, from: w.r.From, keeper: &w.ledger, watch: w}
	w.r.People.begin(i, l)
	w.people = w.r.People.behaves(i, l)
	if err := l.run(w.r.until); err != nil {
		return campaign.Errorf(campaign.CodeOf(err), "member %s: %w", l.member.ID, err)
	}
	w.scribe.finish(l)
	return nil
}

func (w *worker) arrived(l *life) {
	if w.people != nil {
		w.people.arrived(l)
	}
}

func (w *worker) happened(l *life, e *campaign.Event) {
	w.scribe.happened(l, e)
	if w.people != nil {
		w.people.heard(l, e)
	}
}

func (w *worker) entered(l *life, walk *walk) { w.scribe.entered(l, walk) }

func (w *worker) answered(l *life, walk *walk, ask *campaign.Ask, a campaign.Answer) {
	w.scribe.answered(l, walk, ask, a)
}

func (w *worker) decided(l *life, walk *walk, d *campaign.Decision) {
	w.scribe.decided(l, walk, d)
	if w.people != nil {
		w.people.decided(l, walk, d)
	}
}
