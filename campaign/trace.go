package campaign

import (
	"fmt"
	"time"
)

// TraceLine records one decision, or one message that was not sent and why. Its
// parameters are names, ids and amounts, never names of people or message bodies.
type TraceLine struct {
	At     time.Time         `json:"at"`
	Step   string            `json:"step,omitempty"`
	Kind   TraceKind         `json:"kind"`
	Params map[string]string `json:"params,omitempty"`
}

// TraceKind is the sort of a decision.
type TraceKind string

// Trace kinds.
const (
	TraceEntered       TraceKind = "entered"
	TraceHeldOut       TraceKind = "held_out"
	TraceStep          TraceKind = "step"
	TraceSend          TraceKind = "send"
	TraceNotSent       TraceKind = "not_sent"
	TraceDelayed       TraceKind = "delayed"
	TraceWaiting       TraceKind = "waiting"
	TraceHappened      TraceKind = "happened"
	TraceTimedOut      TraceKind = "timed_out"
	TraceOfferOpened   TraceKind = "offer_opened"
	TraceOfferSkipped  TraceKind = "offer_skipped"
	TraceOfferTaken    TraceKind = "offer_taken"
	TraceOfferRefused  TraceKind = "offer_refused"
	TraceOfferLapsed   TraceKind = "offer_lapsed"
	TraceOfferWithdraw TraceKind = "offer_withdrawn"
	TraceOfferOrdered  TraceKind = "offer_ordered"
	TraceRefundAsked   TraceKind = "refund_asked"
	TraceRefundEnded   TraceKind = "refund_ended"
	TraceUnderpaid     TraceKind = "underpaid"
	TraceCurrency      TraceKind = "wrong_currency"
	TraceReserved      TraceKind = "offer_reserved"
	TraceReleased      TraceKind = "offer_released"
	TraceRefunded      TraceKind = "refunded"
	TraceClawedBack    TraceKind = "clawed_back"
	TraceGoalReversed  TraceKind = "goal_reversed"
	TraceRestocked     TraceKind = "restocked"
	TraceAfterEnd      TraceKind = "after_end"
	TraceLate          TraceKind = "late"
	TraceGranted       TraceKind = "granted"
	TraceNotGranted    TraceKind = "not_granted"
	TraceTagged        TraceKind = "tagged"
	TraceUntagged      TraceKind = "untagged"
	TraceSet           TraceKind = "set"
	TraceChose         TraceKind = "chose"
	TraceExposed       TraceKind = "exposed"
	TraceRound         TraceKind = "round"
	TraceRoundsOver    TraceKind = "rounds_over"
	TracePassed        TraceKind = "passed"
	TraceJumped        TraceKind = "jumped"
	TraceGoal          TraceKind = "goal"
	TraceExited        TraceKind = "exited"
	TraceMigrated      TraceKind = "migrated"
	TraceEnded         TraceKind = "ended"
	TraceReviewOpened  TraceKind = "review_opened"
	TraceReviewSkipped TraceKind = "review_skipped"
	TraceReviewBackup  TraceKind = "review_backup"
	TraceReviewDecided TraceKind = "review_decided"
	TraceReviewOver    TraceKind = "review_over"
	TraceReviewTooLate TraceKind = "review_too_late"
	TraceReviewDropped TraceKind = "review_withdrawn"
	TraceAsked         TraceKind = "asked"
	TraceAnswered      TraceKind = "answered"
	TraceNotUnderstood TraceKind = "not_understood"
	TraceTeamOpened    TraceKind = "team_opened"
	TraceTeamJoined    TraceKind = "team_joined"
	TraceTeamNotJoined TraceKind = "team_not_joined"
	TraceTeamSkipped   TraceKind = "team_skipped"
	TraceTeamFormed    TraceKind = "team_formed"
	TraceTeamFailed    TraceKind = "team_failed"
	TraceTeamLeft      TraceKind = "team_left"
	TraceCalled        TraceKind = "called"
	TraceCallSkipped   TraceKind = "call_skipped"
	TraceCallAnswered  TraceKind = "call_answered"
	TraceCallRefused   TraceKind = "call_refused"
	TraceCallTooLate   TraceKind = "call_too_late"
	TraceCallDropped   TraceKind = "call_withdrawn"
	TracePassedOver    TraceKind = "passed_over"

	TraceReferralQualified  TraceKind = "referral_qualified"
	TraceReferralVested     TraceKind = "referral_vested"
	TraceReferralRejected   TraceKind = "referral_rejected"
	TraceReferralExpired    TraceKind = "referral_expired"
	TraceReferralClawedBack TraceKind = "referral_clawed_back"
	TraceReferralRefunded   TraceKind = "referral_refunded"

	TraceFault TraceKind = "fault"

	// Of no journey: what rules of points did.
	TracePoints        TraceKind = "points"
	TracePointsTaken   TraceKind = "points_taken_back"
	TracePointsExpired TraceKind = "points_expired"
	TraceLevel         TraceKind = "level"
)

// TraceKinds lists every kind, for the test that each has words in each language.
func TraceKinds() []TraceKind {
	return []TraceKind{
		TraceEntered, TraceHeldOut, TraceStep, TraceSend, TraceNotSent, TraceDelayed, TraceWaiting, TraceHappened,
		TraceTimedOut, TraceOfferOpened, TraceOfferSkipped, TraceOfferTaken, TraceOfferRefused, TraceOfferLapsed,
		TraceOfferWithdraw, TraceOfferOrdered, TraceRefundAsked, TraceRefundEnded,
		TraceUnderpaid, TraceCurrency, TraceReserved, TraceReleased, TraceRefunded, TraceClawedBack, TraceGoalReversed, TraceRestocked,
		TraceAfterEnd, TraceLate, TraceGranted, TraceNotGranted, TraceTagged,
		TraceUntagged, TraceSet, TraceChose, TraceExposed, TraceRound, TraceRoundsOver, TracePassed, TraceJumped, TraceGoal, TraceExited, TraceMigrated, TraceEnded, TraceFault,
		TraceAsked, TraceAnswered, TraceNotUnderstood, TracePassedOver,
		TracePoints, TracePointsTaken, TracePointsExpired, TraceLevel,
		TraceReviewOpened, TraceReviewSkipped, TraceReviewBackup, TraceReviewDecided, TraceReviewOver, TraceReviewTooLate, TraceReviewDropped,
		TraceTeamOpened, TraceTeamJoined, TraceTeamNotJoined, TraceTeamSkipped, TraceTeamFormed, TraceTeamFailed, TraceTeamLeft,
		TraceCalled, TraceCallSkipped, TraceCallAnswered, TraceCallRefused, TraceCallTooLate, TraceCallDropped,
		TraceReferralQualified, TraceReferralVested, TraceReferralRejected, TraceReferralExpired, TraceReferralClawedBack, TraceReferralRefunded,
	}
}

// Reasons for which a message is not sent, or not yet.
const (
	ReasonHoldout    = "holdout"
	ReasonQuietHours = "quiet_hours"
	ReasonCap        = "cap"
	ReasonOfferEnded = "offer_ended"
	ReasonOfferTaken = "offer_taken"
	ReasonPassed     = "moment_passed"
	ReasonLeft       = "left_journey"
	ReasonRender     = "could_not_render"
	ReasonRefused    = "channel_refused"
	ReasonUnknown    = "outcome_unknown"
	ReasonFailed     = "channel_failed"
	ReasonDeadline   = "deadline_passed"
	ReasonEnded      = "campaign_ended"
	ReasonAnswered   = "answered"
	ReasonMigrated   = "migrated"
	ReasonTeamEnded  = "team_over" // formed, failed or left
)

// Reasons for which a call is not answered, beside those of the caller, such as http_404.
const (
	ReasonUnfit    = "answer_unfit"  // the answer is not what the step declares
	ReasonNoBody   = "no_body"       // the expression of the body has no value
	ReasonNoAnswer = "no_answer"     // its time is over; it may have been made
	ReasonNotMade  = "call_not_made" // its time is over, and it was certainly not made
)

// Reasons for which a repeat goes into no further round.
const (
	ReasonTimes = "times"
	ReasonUntil = "until"
)

// Lang is a language in which Banyan speaks to people.
type Lang string

// Languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// Words tells a trace line as a sentence that a marketer understands.
func (l TraceLine) Words(lang Lang) string {
	table, reasons := traceEnglish, reasonsEnglish
	if lang == Chinese {
		table, reasons = traceChinese, reasonsChinese
	}
	p := func(name string) string {
		v := l.Params[name]
		if name == "reason" {
			if w, ok := reasons[v]; ok {
				return w
			}
		}
		return v
	}
	words, ok := table[l.Kind]
	if !ok {
		return fmt.Sprintf("%s %v", l.Kind, l.Params)
	}
	return words(p)
}

type wording = map[TraceKind]func(p func(string) string) string
