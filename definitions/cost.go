package definitions

import (
	"fmt"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Cost is what turning the members of one journey costs Temporal at most, by each
// drive. What the turns themselves cost PostgreSQL is the same by both.
type Cost struct {
	Journey  string         `json:"journey"`
	Entrants int64          `json:"entrants"`
	Drive    campaign.Drive `json:"drive"`   // as the campaign has it
	Advised  campaign.Drive `json:"advised"` // for so many entrants
	Members  DriveCost      `json:"members"`
	Slices   DriveCost      `json:"slices"`
	// Loops is set where a goto goes back: every round costs what lies in it once more.
	Loops bool `json:"loops,omitempty"`
}

// DriveCost is what one drive costs.
type DriveCost struct {
	Transitions int64         `json:"transitions"` // of workflow state, the unit in which Temporal's work is counted
	CPU         time.Duration `json:"cpu"`         // of the Temporal server and its database, in nanoseconds
	Bytes       int64         `json:"bytes"`       // that the workflows hold while everybody waits
}

// What a workflow costs, counted in histories and measured with Temporal 1.32 on
// PostgreSQL; `go run . history journeys` in bench/ measures it again. The start and the
// end take 3 state transitions, an activity 4, a timer or a signal that wakes it 3; a
// local activity none, so neither a turn nor a message that goes out where the turn was
// taken. A transition takes about 6 ms of CPU, 4 in the server and 2 in its database. A workflow that waits
// holds 4.8 KB of state and 13.3 KB of visibility.
const (
	transitionsOfLife = 3
	transitionsOfSend = 4
	transitionsOfWake = 3
	cpuOfTransition   = 6 * time.Millisecond
	bytesOfWorkflow   = 18_100
	// membersOfPage is how many members one transition of a slice stands for.
	membersOfPage = 500
)

// adviseSlices is from how many entrants on slices are advised. A server on two cores
// makes about 250 transitions a second; 50,000 journeys of 24 keep it busy for more than an hour.
const adviseSlices = 50_000

// mostSteps bounds what repeats inside repeats add up to, far above what anybody runs.
const mostSteps = 1_000_000_000

// Costs says for each journey what so many entrants cost by each drive.
func Costs(def *campaign.Definition, entrants int64) []Cost {
	out := make([]Cost, len(def.Journeys))
	for i := range def.Journeys {
		j := &def.Journeys[i]
		var w way
		sends, wakes := w.block(j.Steps)
		each := transitionsOfLife + transitionsOfWake*wakes
		c := Cost{Journey: j.Name, Entrants: entrants, Drive: campaign.DriveMembers, Advised: campaign.DriveMembers, Loops: w.loops}
		if j.Drive == campaign.DriveSlices {
			c.Drive = campaign.DriveSlices
		}
		if entrants >= adviseSlices {
			c.Advised = campaign.DriveSlices
		}
		pages := max((entrants+membersOfPage-1)/membersOfPage, min(entrants, campaign.Slices))
		c.Members = driveCost(entrants*each, entrants)
		c.Slices = driveCost(pages*(each+transitionsOfSend*sends), min(entrants, campaign.Slices))
		out[i] = c
	}
	return out
}

func driveCost(transitions, workflows int64) DriveCost {
	return DriveCost{Transitions: transitions, CPU: time.Duration(transitions) * cpuOfTransition, Bytes: workflows * bytesOfWorkflow}
}

// way finds the dearest way through the steps.
type way struct {
	seen  map[string]bool // labels
	loops bool
}

func (w *way) block(steps campaign.Steps) (sends, wakes int64) {
	for _, s := range steps {
		if l := s.Common().Label; l != "" {
			if w.seen == nil {
				w.seen = map[string]bool{}
			}
			w.seen[l] = true
		}
		switch s := s.(type) {
		case *campaign.Send:
			sends++
		case *campaign.Wait, *campaign.Await:
			wakes++
		case *campaign.FollowReferral:
			wakes += 3 // it qualifies, its rewards are given, and no refund comes
		case *campaign.AskQuestion:
			sends += int64(1 + s.Repeat)
			wakes += int64(1 + s.Repeat)
		case *campaign.OpenReview:
			wakes += 2 // the backup is asked, and a decision comes or the time is over
		case *campaign.CallService:
			wakes += 3 // it is a task by both drives, which costs more than one wake, and its answer is another
		case *campaign.MakeOffer:
			wakes += int64(1 + len(s.Remind))
			sends += int64(len(s.Remind))
			if s.Announce != "" {
				sends++
			}
			if t := s.Team; t != nil {
				wakes += int64(2 + len(t.Remind)) // the news of the team, and a refund, which is a task by both drives
				sends += int64(1 + len(t.Remind))
			}
		case *campaign.FormTeam:
			wakes += int64(1 + len(s.Remind))
			sends += int64(len(s.Remind))
			if s.Announce != "" {
				sends++
			}
		case *campaign.Goto:
			w.loops = w.loops || w.seen[s.Target]
		case *campaign.Repeat:
			bs, bw := w.block(s.Steps)
			if s.Every > 0 {
				bw++ // the last round is followed by none, which hardly counts
			}
			sends, wakes = min(sends+int64(s.Times)*bs, mostSteps), min(wakes+int64(s.Times)*bw, mostSteps)
			continue
		case *campaign.Choose, *campaign.Split, *campaign.Tag, *campaign.Untag, *campaign.Set, *campaign.Grant, *campaign.End:
		}
		var moreSends, moreWakes int64
		for _, b := range campaign.Children(s) {
			bs, bw := w.block(b.Steps)
			if transitionsOfSend*bs+transitionsOfWake*bw > transitionsOfSend*moreSends+transitionsOfWake*moreWakes {
				moreSends, moreWakes = bs, bw
			}
		}
		sends, wakes = sends+moreSends, wakes+moreWakes
	}
	return sends, wakes
}

// Text says it in words, with what to write.
func (c Cost) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "journey %s with %s entrants costs Temporal at most:\n", c.Journey, grouped(c.Entrants))
	for _, d := range []struct {
		drive campaign.Drive
		cost  DriveCost
	}{{campaign.DriveMembers, c.Members}, {campaign.DriveSlices, c.Slices}} {
		fmt.Fprintf(&b, "  drive: %-8s %s state transitions, %s of CPU, %s while all wait\n",
			d.drive, grouped(d.cost.Transitions), span(d.cost.CPU), size(d.cost.Bytes))
	}
	if c.Loops {
		b.WriteString("  A goto goes back: every further round costs what lies in it once more.\n")
	}
	switch {
	case c.Drive == c.Advised:
		fmt.Fprintf(&b, "  It has `drive: %s`, which suits so many.\n", c.Drive)
	case c.Advised == campaign.DriveSlices:
		fmt.Fprintf(&b, "  Write `drive: slices` into it: from %s entrants on a workflow for each is too dear.\n", grouped(adviseSlices))
	default:
		b.WriteString("  `drive: members` would do, and shows every member in the Temporal web UI.\n")
	}
	return b.String()
}

func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func span(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.1f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.1f seconds", d.Seconds())
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f KB", float64(n)/1e3)
}
