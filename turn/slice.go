package turn

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const (
	// slicePage is how many members are turned in one transaction: enough that the round
	// trips and the commit do not count, few enough that their locked rows do not keep a
	// shop's orders waiting for longer than a blink.
	slicePage = 500
	// sliceSpan is for how long one activity goes on with page after page. The longer, the
	// fewer activities; but what the workflow learns at the end must not be old.
	sliceSpan = 5 * time.Second
	// heldUp is when a member is turned again whose turn could not be taken. That is a
	// fault of ours, so she waits for a mended program and not for luck.
	heldUp = time.Minute
)

// AdvanceSlice turns the members of a slice that are due, page after page, until nobody
// is, its span is over, or goOn says after a page that it is enough.
func (t *Taker) AdvanceSlice(ctx context.Context, in campaign.SliceInput, goOn func() bool) (result campaign.SliceResult, err error) {
	slice, err := t.Store.Slice(ctx, in.Slice)
	if err != nil {
		return result, err
	}
	result.Wait = -1
	if slice.State != store.StatePaused {
		again, held := false, map[int64]bool{}
		for began := time.Now(); ; {
			due, err := t.Store.DueInSlice(ctx, slice, slicePage)
			if err != nil {
				return result, err
			}
			// When a campaign was ended at once those who are held up stay on the list.
			if due = slices.DeleteFunc(due, func(row int64) bool { return held[row] }); len(due) == 0 {
				break
			}
			if err := t.pageOrPutOff(ctx, due, held); err != nil {
				return result, err
			}
			result.Turned += len(due)
			if again = !goOn() || time.Since(began) > sliceSpan; again {
				break
			}
		}
		rest, err := t.Store.RestOfSlice(ctx, slice)
		if err != nil {
			return result, err
		}
		result.Wait, result.Channels = rest.Wait, rest.Channels
		if again {
			result.Wait = 0
		} else if len(held) > 0 {
			result.Wait = soonest(result.Wait, heldUp)
		}
		result.Over = slice.State == store.StateEnded && !rest.Active && len(rest.Channels) == 0
	}
	if in.Count {
		result.Steps, err = t.Store.StepsInSlice(ctx, in.Slice)
	}
	return result, err
}

// soonest is the shorter of two spans, of which a negative one means never.
func soonest(a, b time.Duration) time.Duration {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// pageOrPutOff turns a page. Those of its members whom it is impossible to turn are put
// off and held up.
func (t *Taker) pageOrPutOff(ctx context.Context, due []int64, held map[int64]bool) error {
	return wholeOrEach(ctx, due, func(due []int64) error { return t.page(ctx, due) }, func(row int64, err error) error {
		if t.Log != nil {
			t.Log.ErrorContext(ctx, "a member of a slice could not be turned; she is kept and tried again",
				slog.Int64("journey", row), slog.Any("code", campaign.CodeOf(err)), slog.Any("error", err))
		}
		held[row] = true
		return t.putOff(ctx, row)
	})
}

// wholeOrEach does something for a whole page, or, should that be impossible for one of
// it, for each alone. impossible is told of those for whom it was. What is nobody's
// fault (a server is away, a campaign cannot be loaded) ends it.
func wholeOrEach[T any](ctx context.Context, page []T, do func([]T) error, impossible func(T, error) error) error {
	nobodys := func(err error) bool {
		var broken *BrokenError
		return campaign.CodeOf(err) == campaign.CodeUnavailable || errors.As(err, &broken) || ctx.Err() != nil
	}
	err := do(page)
	if err == nil || nobodys(err) {
		return err
	}
	for _, one := range page {
		err := do([]T{one})
		if err != nil && nobodys(err) {
			return err
		}
		if err != nil {
			err = impossible(one, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Taker) putOff(ctx context.Context, row int64) error {
	return t.Store.InTurns(ctx, []int64{row}, func(page *store.PageTx) error {
		tx, err := page.Turn(row)
		if err == nil {
			tx.PutOff(heldUp)
		}
		return err
	})
}

// page takes one turn of each of these members of a slice, in one transaction.
func (t *Taker) page(ctx context.Context, due []int64) error {
	return t.Store.InTurns(ctx, due, func(page *store.PageTx) error {
		list := make([]*one, 0, len(due))
		for _, row := range due {
			tx, err := page.Turn(row)
			if err != nil {
				return err
			}
			// Somebody else may have turned her since the list was made, or paused the campaign.
			if j := tx.Journey(); j.CampaignState != store.StatePaused && (j.Due || j.CampaignState == store.StateEnded && !j.Done) {
				list = append(list, &one{tx: tx, j: j})
			}
		}
		if err := t.take(ctx, page, list); err != nil {
			return err
		}
		for _, o := range list {
			if err := o.save(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *one) save() error {
	result := o.result()
	if o.more {
		result.Wait = 0 // also behind the journey's end
	}
	if o.idle {
		o.tx.PutOff(result.Wait)
		return nil
	}
	turn := o.j.Turn
	if !o.j.Done {
		turn++
	}
	return o.tx.Save(turn, &o.decision, &result)
}
