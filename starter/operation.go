package starter

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

const apiDescription = `JSON in and out, UTF-8. Times are RFC 3339 with an offset, money is
{"amount": "199.00", "currency": "CNY"}, errors are RFC 9457 problem documents. Every write may be
repeated: events by their id, the rest with an Idempotency-Key header. A 2xx on a write means that it
is on disk. Lists are paged: pass "next" of one answer as "after" of the next question.`

// operation describes one call of the API.
type operation struct {
	id      string // also the name of the operation in generated clients
	method  string
	path    string
	summary string
	detail  string
	tag     string
	scope   store.Scope // empty: any key
	status  int         // on success, 200 unless set
	errors  []int       // besides those that every call may answer
	body    *huma.RequestBody
	adds    bool // it leaves work for the router, and is refused while too much waits
}

// handle registers a handler. Its errors become problems by their campaign.Code; what
// is our fault is logged.
func handle[I, O any](s *Server, op operation, handler func(context.Context, *I) (*O, error)) {
	security := []map[string][]string{{securityKey: {}}}
	if op.scope != "" {
		security = needs(op.scope)
	}
	if openPath(op.path) {
		security = []map[string][]string{{}}
	}
	errs := append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}, op.errors...)
	huma.Register(s.api, huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Description: op.detail,
		Tags: []string{op.tag}, Security: security, DefaultStatus: op.status, Errors: errs,
		// The body has been read and measured when huma comes to it, see read.
		MaxBodyBytes: maxBody + 1, BodyReadTimeout: -1,
		RejectUnknownQueryParameters: true,
	}, func(ctx context.Context, in *I) (*O, error) {
		if op.adds {
			if p := s.pressure.refusal(); p != nil {
				return nil, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfter(pressureRetry)}})
			}
		}
		out, err := handler(ctx, in)
		if err == nil {
			return out, nil
		}
		var locked *store.LockedOutError
		if errors.As(err, &locked) {
			return nil, huma.ErrorWithHeaders(problem(http.StatusTooManyRequests, locked.Error()), http.Header{"Retry-After": {retryAfter(locked.After)}})
		}
		s.logError(ctx, err)
		p := problemOf(err)
		if p.Status == http.StatusServiceUnavailable {
			return nil, huma.ErrorWithHeaders(p, http.Header{"Retry-After": {"1"}})
		}
		return nil, p
	})
	if op.body != nil {
		// Only now: huma would check the body by the schema that it is given before, and
		// these handlers read theirs themselves, with better words.
		operationsOf(s.api.OpenAPI().Paths[op.path])[op.method].RequestBody = op.body
	}
}

// textBody describes a body that a handler reads by itself.
func textBody(description string, content map[string]*huma.Schema) *huma.RequestBody {
	body := &huma.RequestBody{Description: description, Required: true, Content: map[string]*huma.MediaType{}}
	for mediaType, schema := range content {
		body.Content[mediaType] = &huma.MediaType{Schema: schema}
	}
	return body
}

// schemaOf describes a Go type in the document.
func schemaOf[T any](s *Server) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// Page are the parameters of a list.
type Page struct {
	After string `query:"after" maxLength:"512" doc:"Where to go on: the \"next\" of the answer before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
}

// cursor is opaque, so that what a list is ordered by can change.
func cursor(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

func (p Page) after() (string, error) {
	last, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil || checkText(last) != nil {
		return "", errCursor
	}
	return string(last), nil
}

// afterNumber is after of a list that is ordered by number; 0: from the beginning.
func (p Page) afterNumber() (int64, error) {
	last, err := p.after()
	if err != nil || last == "" {
		return 0, err
	}
	after, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return 0, errCursor
	}
	return after, nil
}

var errCursor = campaign.Errorf(campaign.CodeInvalid, "this cursor is not one that a list answered")

// cut takes what was asked for from a list that was read one longer, and the cursor of
// the rest if there is one.
func cut[T any](list []T, limit int, key func(T) string) (part []T, next string) {
	if len(list) <= limit {
		return notNil(list), ""
	}
	return list[:limit], cursor(key(list[limit-1]))
}

// notNil makes an empty list an empty list in JSON too.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
