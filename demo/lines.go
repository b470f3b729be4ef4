package demo

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// memberLines turns a CSV with a title line into what the API imports. The columns id,
// tags (by spaces) and joined_at have a place of their own, all others are attributes.
func memberLines(file []byte) ([]byte, error) {
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the members: %w", err)
	}
	if len(rows) == 0 || !slices.Contains(rows[0], "id") {
		return nil, fmt.Errorf("read the members: the file has no column id")
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out) // a value a line
	for _, row := range rows[1:] {
		member, attributes := map[string]any{}, map[string]string{}
		for i, title := range rows[0] {
			switch value := row[i]; {
			case value == "":
			case title == "tags":
				member[title] = strings.Fields(value)
			case title == "id" || title == "joined_at":
				member[title] = value
			default:
				attributes[title] = value
			}
		}
		member["attributes"] = attributes
		if err := encoder.Encode(member); err != nil {
			return nil, fmt.Errorf("write the members: %w", err)
		}
	}
	return out.Bytes(), nil
}

// eventLines reads the file of events, in the order in which they arrive.
func eventLines(file []byte) ([]line, error) {
	var all []line
	for text := range bytes.Lines(file) {
		event := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &event); err != nil {
			return nil, fmt.Errorf("line %d of the events: %w", len(all)+1, err)
		}
		var l line
		if err := json.Unmarshal(event["arrives"], &l.arrives); err != nil {
			return nil, fmt.Errorf("line %d of the events: arrives: %w", len(all)+1, err)
		}
		if err := json.Unmarshal(event["id"], &l.id); err != nil {
			return nil, fmt.Errorf("line %d of the events: id: %w", len(all)+1, err)
		}
		delete(event, "arrives") // is the player's alone
		body, err := json.Marshal(event)
		if err != nil {
			return nil, fmt.Errorf("line %d of the events: %w", len(all)+1, err)
		}
		l.body = body
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b line) int { return a.arrives.Compare(b.arrives) })
	return all, nil
}

// Clock is a moment as the demo shows it.
func Clock(t time.Time) string { return t.In(From.Location()).Format("01-02 15:04") }
