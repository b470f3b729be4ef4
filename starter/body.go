package starter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/banyanhq/banyan/callbacks"
)

// read reads the whole body and refuses what is too large or no text before anything
// is done with it. Handlers then read it from memory.
func (s *Server) read(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if streams(r) {
			// Its handler reads it piece by piece.
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextStream, stream{r.Body, http.NewResponseController(w)})))
			return
		}
		most := int64(maxBody)
		if openPath(r.URL.Path) {
			most = maxOpenBody
		}
		told := strings.HasPrefix(r.URL.Path, callbacks.Path)
		if told {
			most = callbacks.MaxBody
		}
		if r.ContentLength > most {
			writeProblem(w, tooLarge())
			return
		}
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		var buffer bytes.Buffer
		if r.ContentLength > 0 {
			buffer.Grow(int(r.ContentLength) + bytes.MinRead)
		}
		if _, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, most)); err != nil {
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				writeProblem(w, tooLarge())
				return
			}
			writeProblem(w, problem(http.StatusBadRequest, "the request broke off before its body was whole"))
			return
		}
		body := buffer.Bytes()
		// A signature is over bytes, whatever they are.
		if p := checkText(body); p != nil && !told {
			writeProblem(w, p)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), contextBody, body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func bodyOf(ctx context.Context) []byte {
	body, _ := ctx.Value(contextBody).([]byte)
	return body
}

func tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, "a body has at most 8 MiB; send smaller batches")
}

// checkText refuses bytes that are not UTF-8 (a JSON decoder would replace them
// silently) and strings over the limit.
func checkText(body []byte) *Problem {
	if !utf8.Valid(body) {
		return problem(http.StatusBadRequest, "the body is not UTF-8")
	}
	if len(body) > maxString && longestString(body) > maxString {
		return problem(http.StatusUnprocessableEntity, "a string has at most 64 KiB")
	}
	return nil
}

// longestString measures the longest text between quotation marks, as JSON has them.
// In YAML it measures much the same; a campaign's texts are far below the limit.
func longestString(body []byte) int {
	longest, start, inside := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == '\\' && inside:
			i++
		case body[i] == '"' && inside:
			longest, inside = max(longest, i-start), false
		case body[i] == '"':
			start, inside = i+1, true
		}
	}
	if inside {
		longest = max(longest, len(body)-start)
	}
	return longest
}

// routed answers paths and methods that do not exist with a problem, where ServeMux
// would write plain text.
func (s *Server) routed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := s.mux.Handler(r)
		if pattern != "" {
			next.ServeHTTP(w, r)
			return
		}
		answer := &statusOnly{header: make(http.Header)}
		handler.ServeHTTP(answer, r)
		switch {
		case answer.status == http.StatusMethodNotAllowed:
			allow := answer.header.Get("Allow")
			w.Header().Set("Allow", allow)
			writeProblem(w, problem(http.StatusMethodNotAllowed, "this path is for "+strings.ReplaceAll(allow, ", ", " and ")))
		case answer.status >= 300 && answer.status < 400:
			writeProblem(w, problem(http.StatusNotFound, "there is nothing here; did you mean "+strconv.Quote(answer.header.Get("Location"))+"?"))
		default:
			writeProblem(w, problem(http.StatusNotFound, "there is nothing at this path; /openapi.json lists what there is"))
		}
	})
}

// statusOnly catches what a handler would have answered.
type statusOnly struct {
	header http.Header
	status int
}

func (a *statusOnly) Header() http.Header         { return a.header }
func (a *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
func (a *statusOnly) WriteHeader(status int)      { a.status = status }
