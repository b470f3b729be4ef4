package campaign

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
)

// Workflow, activity, signal and task queue names. They are part of every recorded
// history: a name, once released, is never given another meaning.
const (
	WorkflowJourney  = "Journey"
	WorkflowCampaign = "Campaign"
	WorkflowSlice    = "Slice"

	ActivityAdvance      = "Advance"
	ActivitySend         = "Send"
	ActivitySendNow      = "SendNow"
	ActivitySweep        = "Sweep"
	ActivityAdvanceSlice = "AdvanceSlice"
	ActivitySendSlice    = "SendSlice"

	// SignalPoke says "look again" and carries nothing else.
	SignalPoke = "poke"

	// TaskQueueJourneys carries the workflows and their turns.
	TaskQueueJourneys = "banyan-journeys"
)

// TaskQueueSend is the queue of one channel's sends, so that a channel's rate and
// trouble are its own.
func TaskQueueSend(channel string) string { return "banyan-send-" + channel }

// Search attributes (Keyword) by which the Temporal web UI finds journeys.
const (
	AttributeCampaign = "Campaign"
	AttributeJourney  = "Journey"
	AttributeStep     = "Step"
	AttributeOutcome  = "Outcome"
	AttributePhase    = "Phase"
	AttributeMember   = "Member"
	AttributeVersion  = "Version"
)

// SearchAttributes lists the Keyword search attributes that a namespace must have.
func SearchAttributes() []string {
	return []string{
		AttributeCampaign, AttributeJourney, AttributeStep, AttributeOutcome, AttributePhase, AttributeMember, AttributeVersion,
	}
}

// maxWorkflowID is the longest workflow id that we make: Temporal's SQL stores keep
// 255 characters, and we stay well inside.
const maxWorkflowID = 200

// JourneyID is the identity of one entry of one member into a journey.
type JourneyID struct {
	Campaign string `json:"campaign"`
	Journey  string `json:"journey"`
	Member   string `json:"member"`
	Entry    int    `json:"entry"` // from 1
}

// WorkflowID reads well and says what it is: journey/fitness-trial/trial-to-card/m-1024/1.
// A member id so long that the whole would not fit is replaced by its hash.
func (id JourneyID) WorkflowID() string {
	build := func(member string) string {
		return strings.Join([]string{"journey", id.Campaign, id.Journey, member, strconv.Itoa(id.Entry)}, "/")
	}
	full := build(url.PathEscape(id.Member))
	if len(full) <= maxWorkflowID {
		return full
	}
	return build(hashed(id.Member))
}

// Slices is into how many slices the members of a journey with DriveSlices are cut: as
// many pages of them can be turned at once. Two for each core of a usual database
// machine keep it busy; more would only wait for each other.
const Slices = 8

// SliceOf says in which slice a member is, for ever: by the first bytes of the hash of
// her id.
func SliceOf(member string) int {
	sum := sha256.Sum256([]byte("slice\x00" + member))
	return int(binary.BigEndian.Uint32(sum[:4]) % Slices)
}

// SliceWorkflowID is the id of the workflow that turns a slice's members.
func SliceWorkflowID(campaign, journey string, slice int) string {
	return "slice/" + campaign + "/" + journey + "/" + strconv.Itoa(slice)
}

// SweepWorkflowID is the id of the workflow that lives as long as a campaign.
func SweepWorkflowID(campaign string) string { return "campaign/" + campaign }

// EffectKey names one effect of a journey for ever: campaign, version, journey, member
// and entry, step and visit, and a part where one step has several effects. It is
// claimed in PostgreSQL before the effect and passed to the provider.
func (id JourneyID) EffectKey(version int, step string, visit int, part string) string {
	build := func(member string) string {
		s := id.Campaign + "/v" + strconv.Itoa(version) + "/" + id.Journey + "/" + member + "/" +
			strconv.Itoa(id.Entry) + "/" + step + "/" + strconv.Itoa(visit)
		if part != "" {
			s += "/" + part
		}
		return s
	}
	full := build(url.PathEscape(id.Member))
	if len(full) <= maxWorkflowID {
		return full
	}
	return build(hashed(id.Member))
}

// OfferID is the public id of the offer that an effect key opened. It tells nothing
// about the member, so it may stand in a link.
func OfferID(effectKey string) string {
	sum := sha256.Sum256([]byte("offer\x00" + effectKey))
	return "of_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:12]))
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "h-" + hex.EncodeToString(sum[:16])
}
