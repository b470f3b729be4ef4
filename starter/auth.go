package starter

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/callbacks"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/store"
)

// securityKey is the name of the API's security scheme in the OpenAPI document.
const securityKey = "key"

type contextKey int

const (
	contextPrincipal contextKey = iota
	contextBody
	contextStream
	contextRequest
)

// open paths answer without a key: probes have none, members who opt out have a link
// that is signed, who follows an invitation has a code, and platforms sign what they tell.
func openPath(path string) bool {
	return path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, optout.Path) || strings.HasPrefix(path, ReferralPath) || strings.HasPrefix(path, callbacks.Path)
}

// authenticated lets nobody past without a valid key, not even to learn which paths
// there are.
func (s *Server) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if openPath(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		secret := secretOf(r)
		if secret == "" {
			s.refuse(w, r, "send a key: Authorization: Bearer KEY")
			return
		}
		key, ok, err := s.store.Authenticate(r.Context(), secret)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if !ok {
			s.refuse(w, r, "this key is unknown, revoked or expired")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextPrincipal, key)))
	})
}

// secretOf finds the key. The pages that people open in a browser and that Prometheus
// fetches take it as a password too, for neither sends a bearer token by itself.
func secretOf(r *http.Request) string {
	if secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(secret)
	}
	if browsed(r.URL.Path) {
		if _, password, ok := r.BasicAuth(); ok {
			return password
		}
	}
	return ""
}

func browsed(path string) bool {
	return path == "/docs" || path == "/openapi.json" || path == "/metrics" || path == schemaPath
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, detail string) {
	challenge := `Bearer realm="banyan"`
	if browsed(r.URL.Path) {
		challenge = `Basic realm="banyan: any name, a key as the password", charset="UTF-8"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	writeProblem(w, problem(http.StatusUnauthorized, detail))
}

// scoped refuses what the key has no scope for. The scopes are those of the OpenAPI
// document, so the two cannot differ.
func (s *Server) scoped(ctx huma.Context, next func(huma.Context)) {
	for _, required := range ctx.Operation().Security {
		for _, scope := range required[securityKey] {
			if key, ok := principal(ctx.Context()); !ok || !key.May(store.Scope(scope)) {
				_ = huma.WriteErr(s.api, ctx, http.StatusForbidden, "this key has no scope "+scope)
				return
			}
		}
	}
	next(ctx)
}

func principal(ctx context.Context) (store.Key, bool) {
	key, ok := ctx.Value(contextPrincipal).(store.Key)
	return key, ok
}

// needs is the security of an operation: a key with this scope.
func needs(scope store.Scope) []map[string][]string {
	return []map[string][]string{{securityKey: {string(scope)}}}
}
