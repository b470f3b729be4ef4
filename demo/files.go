package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"time"
)

//go:generate go run ./generate

var (
	//go:embed members.csv
	membersCSV []byte
	//go:embed events.ndjson
	eventsNDJSON []byte
)

// Members is the file of members that the demo imports, as CSV.
func Members() []byte { return membersCSV }

// Events is the file of events that the demo plays: one JSON object a line, in the order
// in which they arrive. `arrives` is when, on the campaign's clock.
func Events() []byte { return eventsNDJSON }

// File is the campaign's file among those that Banyan ships, Campaign its name.
const (
	File     = "fitness-trial.yaml"
	Campaign = "fitness-trial"
)

// Interesting is a member whose story shows much: her order for the card was paid in
// time, arrived after the end, took the offer all the same, and led to the next one.
func Interesting() string {
	late := map[string]bool{} // members, by the first that we hear of a card
	for line := range bytes.Lines(eventsNDJSON) {
		var e struct {
			Arrives, Time time.Time
			Member        string
			Properties    struct{ Offer string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			continue
		}
		_, known := late[e.Member]
		switch took := e.Arrives.Sub(e.Time); {
		case e.Properties.Offer == "monthly-card" && !known:
			late[e.Member] = took > time.Hour && took < 12*time.Hour
		case e.Properties.Offer == "gear" && took < time.Hour && late[e.Member]:
			return e.Member
		}
	}
	return ""
}
