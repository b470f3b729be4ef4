package starter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/banyanhq/banyan/store"
)

const (
	headerIdempotency = "Idempotency-Key"
	headerReplayed    = "Idempotency-Replayed"
	maxIdempotencyKey = 255
	// settleTimeout bounds keeping an answer after the caller has gone.
	settleTimeout = 5 * time.Second
)

// repeatable reports whether the header is heeded. Events have ids of their own, and codes
// that are imported are known again; the answer to making a key is the key itself, which is
// kept nowhere. What tells of addresses says where things are to stand, so it may be repeated
// as it is, and nothing by which an address could be guessed is kept of it.
func repeatable(r *http.Request) bool {
	if r.Method != http.MethodPost && r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return false
	}
	path := r.URL.Path
	addresses := strings.HasPrefix(path, "/v1/identities/") || strings.HasPrefix(path, "/v1/members/") && strings.Contains(path, "/identities")
	return !addresses && !strings.HasPrefix(path, "/v1/events") && path != "/v1/keys" && !streams(r)
}

// repeated answers a request that carries an Idempotency-Key once, and every repeat of
// it with that same answer.
func (s *Server) repeated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Header.Get(headerIdempotency)
		caller, known := principal(r.Context())
		if name == "" || !known || !repeatable(r) {
			next.ServeHTTP(w, r)
			return
		}
		if len(name) > maxIdempotencyKey || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' }) {
			writeProblem(w, problem(http.StatusUnprocessableEntity, "an Idempotency-Key has at most 255 printable ASCII characters"))
			return
		}
		before, err := s.store.BeginIdempotent(r.Context(), caller.ID, name, requestHash(r))
		if err != nil {
			p := problemOf(err)
			if p.Status == http.StatusConflict {
				w.Header().Set("Retry-After", "1")
			}
			s.logFailure(r, err)
			writeProblem(w, p)
			return
		}
		if before != nil {
			replay(w, before)
			return
		}
		s.first(w, r, caller.ID, name, next)
	})
}

// first does the request and keeps its answer. A failure of ours is not kept, and no
// "not now" either, so that the caller's next try is a real one.
func (s *Server) first(w http.ResponseWriter, r *http.Request, caller int64, name string, next http.Handler) {
	kept := &keptAnswer{ResponseWriter: w, status: http.StatusOK}
	done := false
	defer func() {
		// The caller may have hung up; the answer is kept for when she asks again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), settleTimeout)
		defer cancel()
		var err error
		if done && kept.status < http.StatusInternalServerError && kept.status != http.StatusTooManyRequests {
			err = s.store.FinishIdempotent(ctx, caller, name, store.Answer{Status: kept.status, Body: kept.body.Bytes()})
		} else {
			err = s.store.ForgetIdempotent(ctx, caller, name)
		}
		if err != nil {
			s.logFailure(r, err)
		}
	}()
	next.ServeHTTP(kept, r)
	done = true
}

func requestHash(r *http.Request) []byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.Path), []byte(r.URL.RawQuery), bodyOf(r.Context())} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return h.Sum(nil)
}

func replay(w http.ResponseWriter, a *store.Answer) {
	contentType := "application/json"
	if a.Status >= http.StatusBadRequest {
		contentType = problemType
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set(headerReplayed, "true")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // the caller has gone, if not
}

// keptAnswer writes an answer and remembers it.
type keptAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (k *keptAnswer) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

func (k *keptAnswer) Write(p []byte) (int, error) {
	k.body.Write(p)
	return k.ResponseWriter.Write(p)
}
