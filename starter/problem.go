package starter

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/definitions"
)

// Problem is an RFC 9457 problem document, the answer to everything that is not done.
type Problem struct { //nolint:errname // RFC 9457 calls it so
	Type   string          `json:"type" doc:"Stable name of the sort of problem" example:"urn:banyan:problem:invalid"`
	Title  string          `json:"title" doc:"The sort of problem in words"`
	Status int             `json:"status" doc:"The HTTP status"`
	Detail string          `json:"detail" doc:"What is wrong this time, and what to do"`
	Errors []ProblemDetail `json:"errors,omitempty" doc:"Each thing that is wrong: in a definition or a request body"`
}

// ProblemDetail is one thing that is wrong in what was sent.
type ProblemDetail struct {
	Line    int    `json:"line,omitempty" doc:"In the file, from 1"`
	Column  int    `json:"column,omitempty" doc:"In characters, from 1"`
	Path    string `json:"path,omitempty" doc:"Where in the document" example:"journeys.trial-to-card.steps[2].offer"`
	Check   string `json:"check,omitempty" doc:"The stable name of the check"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty" doc:"What is allowed, and what was probably meant"`
	Warning bool   `json:"warning,omitempty" doc:"Worth a look, and no reason to refuse"`
}

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// kinds names the problem of each status; a status of its own makes a type of its own.
var kinds = map[int]struct{ name, title string }{
	http.StatusBadRequest:            {"malformed", "The request cannot be read"},
	http.StatusUnauthorized:          {"unauthorized", "No valid key"},
	http.StatusForbidden:             {"forbidden", "The key may not do this"},
	http.StatusNotFound:              {"not-found", "There is no such thing"},
	http.StatusMethodNotAllowed:      {"method-not-allowed", "Not with this method"},
	http.StatusConflict:              {"conflict", "The state of things forbids it"},
	http.StatusRequestEntityTooLarge: {"too-large", "Too much at once"},
	http.StatusUnsupportedMediaType:  {"unsupported-media-type", "Not in this format"},
	http.StatusUnprocessableEntity:   {"invalid", "The request must be changed"},
	http.StatusTooManyRequests:       {"rate-limited", "Too many requests"},
	http.StatusInternalServerError:   {"internal", "Our fault"},
	http.StatusServiceUnavailable:    {"unavailable", "Not now"},
}

func problem(status int, detail string, details ...ProblemDetail) *Problem {
	kind, ok := kinds[status]
	if !ok {
		kind.name, kind.title = "other", http.StatusText(status)
	}
	return &Problem{
		Type: "urn:banyan:problem:" + kind.name, Title: kind.title, Status: status, Detail: detail, Errors: details,
	}
}

var statusOf = map[campaign.Code]int{
	campaign.CodeInvalid:     http.StatusUnprocessableEntity,
	campaign.CodeNotFound:    http.StatusNotFound,
	campaign.CodeConflict:    http.StatusConflict,
	campaign.CodeForbidden:   http.StatusForbidden,
	campaign.CodeTooLarge:    http.StatusRequestEntityTooLarge,
	campaign.CodeUnavailable: http.StatusServiceUnavailable,
	campaign.CodeInternal:    http.StatusInternalServerError,
}

// problemOf turns any error into a problem. What went wrong inside is for our log, not
// for the caller.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	switch status := statusOf[campaign.CodeOf(err)]; status {
	case http.StatusInternalServerError:
		return problem(status, "something went wrong on our side; the log has the details")
	case http.StatusServiceUnavailable:
		return problem(status, "the database does not answer in time; nothing was lost, try again")
	default:
		return problem(status, err.Error())
	}
}

func definitionProblem(problems definitions.Problems) *Problem {
	p := problem(http.StatusUnprocessableEntity, "the campaign cannot be accepted as it is written", details(problems)...)
	return p
}

func details(problems definitions.Problems) []ProblemDetail {
	out := make([]ProblemDetail, len(problems))
	for i, d := range problems {
		out[i] = ProblemDetail{d.Line, d.Column, d.Path, d.Check, d.Message, d.Hint, d.Warning}
	}
	return out
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", problemType)
	h.Del("Content-Length")
	if p.Status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller has gone, if not
}

// useProblems makes huma's own refusals (a body that does not parse, a parameter of
// the wrong type) problems of ours. huma keeps this in a variable of its package.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		p := problem(status, sentence(msg))
		for _, err := range errs {
			if err == nil {
				continue
			}
			d := ProblemDetail{Message: err.Error()}
			if e, ok := err.(huma.ErrorDetailer); ok {
				// The value stays out: it may be somebody's name.
				detail := e.ErrorDetail()
				d = ProblemDetail{Message: detail.Message, Path: strings.TrimPrefix(detail.Location, "body.")}
			}
			p.Errors = append(p.Errors, d)
		}
		return p
	}
})

func sentence(msg string) string {
	switch msg {
	case "validation failed":
		return "some fields are not as they should be"
	case "unexpected error occurred":
		return "something went wrong on our side; the log has the details"
	}
	return msg
}
