package starter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// EventRequest is an event as a caller tells it.
type EventRequest struct {
	ID         string          `json:"id" minLength:"1" maxLength:"128" doc:"Yours. The same id again is a duplicate and changes nothing, for ever"`
	Type       string          `json:"type" doc:"As a campaign declares it" example:"order.paid"`
	Member     string          `json:"member" minLength:"1" maxLength:"128" doc:"Yours; a member that is not known yet is made"`
	Time       string          `json:"time" format:"date-time" doc:"When it happened"`
	Properties json.RawMessage `json:"properties,omitempty" doc:"An object. Declared properties are checked, others are kept"`
}

// EventResult says what became of one event.
type EventResult struct {
	ID     string            `json:"id"`
	Status store.EventStatus `json:"status" enum:"accepted,duplicate"`
}

// EventResults says what became of each event, in the order in which they were sent.
type EventResults struct {
	Accepted   int           `json:"accepted"`
	Duplicates int           `json:"duplicates"`
	Results    []EventResult `json:"results"`
}

// EventBatch is a batch of events.
type EventBatch struct {
	Events []EventRequest `json:"events" maxItems:"1000"`
}

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
)

func (s *Server) registerEvents() {
	errs := []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	handle(s, operation{
		id: "send-event", method: http.MethodPost, path: "/v1/events", tag: "events", scope: store.ScopeEventsWrite,
		summary: "Tell one event", status: http.StatusAccepted, errors: errs, adds: true,
		body: textBody("The event", map[string]*huma.Schema{typeJSON: schemaOf[EventRequest](s)}),
	}, s.sendEvent)
	handle(s, operation{
		id: "send-events", method: http.MethodPost, path: "/v1/events/batch", tag: "events", scope: store.ScopeEventsWrite,
		summary: "Tell up to 1,000 events at once", status: http.StatusAccepted, errors: errs, adds: true,
		detail: "All or none: if one is refused, nothing is stored. Events of one member keep their order.",
		body: textBody("A batch, or one event a line", map[string]*huma.Schema{
			typeJSON: schemaOf[EventBatch](s), typeNDJSON: {Type: huma.TypeString},
		}),
	}, s.sendEvents)
}

func (s *Server) sendEvent(ctx context.Context, _ *struct{}) (*answer[EventResult], error) {
	var w EventRequest
	if p := decodeStrict(bodyOf(ctx), &w); p != nil {
		return nil, p
	}
	results, err := s.storeEvents(ctx, []EventRequest{w}, func(int) string { return "" })
	if err != nil {
		return nil, err
	}
	return &answer[EventResult]{results.Results[0]}, nil
}

func (s *Server) sendEvents(ctx context.Context, in *struct {
	ContentType string `header:"Content-Type" hidden:"true"`
},
) (*answer[EventResults], error) {
	var batch []EventRequest
	if isNDJSON(in.ContentType) {
		lines, err := ndjson[EventRequest](bodyOf(ctx))
		if err != nil {
			return nil, err
		}
		batch = lines
	} else {
		var b EventBatch
		if p := decodeStrict(bodyOf(ctx), &b); p != nil {
			return nil, p
		}
		batch = b.Events
	}
	if err := checkBatch(len(batch)); err != nil {
		return nil, err
	}
	results, err := s.storeEvents(ctx, batch, func(i int) string { return fmt.Sprintf("events[%d].", i) })
	if err != nil {
		return nil, err
	}
	return &answer[EventResults]{*results}, nil
}

func (s *Server) storeEvents(ctx context.Context, batch []EventRequest, path func(int) string) (*EventResults, error) {
	events := make([]campaign.Event, len(batch))
	err := s.checked(ctx, func(v *vocabulary) (wrong []ProblemDetail) {
		for i := range batch {
			e, why := v.event(&batch[i], path(i))
			events[i], wrong = e, append(wrong, why...)
		}
		return wrong
	})
	if err != nil {
		return nil, err
	}
	statuses, err := s.store.StoreEvents(ctx, events)
	if err != nil {
		return nil, err
	}
	out := &EventResults{Results: make([]EventResult, len(statuses))}
	for i, status := range statuses {
		out.Results[i] = EventResult{events[i].ID, status}
		if status == store.EventAccepted {
			out.Accepted++
			if s.cfg.Trace != nil {
				s.cfg.Trace.Accepted(ctx, &events[i])
			}
		} else {
			out.Duplicates++
		}
	}
	s.metrics.events.WithLabelValues(string(store.EventAccepted)).Add(float64(out.Accepted))
	s.metrics.events.WithLabelValues(string(store.EventDuplicate)).Add(float64(out.Duplicates))
	return out, nil
}

func checkBatch(size int) error {
	switch {
	case size == 0:
		return problem(http.StatusUnprocessableEntity, "there is nothing in the batch")
	case size > maxBatch:
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a batch has at most 1,000 items, and this one has %d", size))
	}
	return nil
}

// decodeStrict reads one JSON value: no unknown fields, nothing after it.
func decodeStrict(body []byte, into any) *Problem {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		// Asking the decoder for more would make it grow its buffer, for every event of a batch.
		if len(bytes.TrimSpace(body[decoder.InputOffset():])) == 0 {
			return nil
		}
		return problem(http.StatusBadRequest, "there is something after the JSON value")
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return problem(http.StatusUnprocessableEntity, "a field is of another type", ProblemDetail{
			Path: wrongType.Field, Message: "this is a " + wrongType.Value + ", where a " + kindName(wrongType) + " is expected",
		})
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return problem(http.StatusUnprocessableEntity, "there is no field "+strings.TrimPrefix(err.Error(), "json: unknown field "))
	case len(bytes.TrimSpace(body)) == 0:
		return problem(http.StatusBadRequest, "the body is empty")
	}
	return problem(http.StatusBadRequest, "the body is not JSON: "+strings.TrimPrefix(err.Error(), "json: "))
}

func kindName(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "slice":
		return "list"
	case "struct", "map":
		return "object"
	}
	return e.Type.Kind().String()
}

func isNDJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == typeNDJSON || mediaType == "application/ndjson" || mediaType == "application/jsonl")
}

// ndjson reads one value a line; empty lines are passed over.
func ndjson[T any](body []byte) ([]T, error) {
	var out []T
	number := 0
	for line := range bytes.Lines(body) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var v T
		if p := decodeStrict(line, &v); p != nil {
			p.Detail = fmt.Sprintf("line %d: %s", number, p.Detail)
			for i := range p.Errors {
				p.Errors[i].Line = number
			}
			return nil, p
		}
		if out = append(out, v); len(out) > maxBatch {
			return nil, problem(http.StatusRequestEntityTooLarge, "a batch has at most 1,000 items")
		}
	}
	return out, nil
}
