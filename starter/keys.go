package starter

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// KeyRequest asks for a key.
type KeyRequest struct {
	Name      string        `json:"name" minLength:"1" maxLength:"128" doc:"Who will use it"`
	Scopes    []store.Scope `json:"scopes" minItems:"1" doc:"What it may do"`
	ExpiresAt time.Time     `json:"expires_at,omitzero" required:"false" doc:"Never, unless given"`
}

// KeyAnswer is a key without its secret.
type KeyAnswer struct {
	ID        int64         `json:"id"`
	Name      string        `json:"name"`
	Prefix    string        `json:"prefix" doc:"The first characters, to recognise it"`
	Scopes    []store.Scope `json:"scopes"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt *time.Time    `json:"expires_at,omitempty"`
	RevokedAt *time.Time    `json:"revoked_at,omitempty"`
}

// NewKeyAnswer is a key with its secret, which is shown here and never again.
type NewKeyAnswer struct {
	KeyAnswer
	Key string `json:"key" doc:"The secret. It is kept nowhere; a lost key is revoked and made anew"`
}

// KeyList is all keys.
type KeyList struct {
	Keys []KeyAnswer `json:"keys"`
}

func (s *Server) registerKeys() {
	handle(s, operation{
		id: "create-key", method: http.MethodPost, path: "/v1/keys", tag: "keys", scope: store.ScopeAdmin, status: http.StatusCreated,
		summary: "Make a key", detail: "It heeds no Idempotency-Key: its answer is kept nowhere.",
		errors: []int{http.StatusBadRequest, http.StatusUnprocessableEntity},
	}, s.createKey)
	handle(s, operation{
		id: "list-keys", method: http.MethodGet, path: "/v1/keys", tag: "keys", scope: store.ScopeAdmin, summary: "List keys, revoked ones too",
	}, func(ctx context.Context, _ *struct{}) (*answer[KeyList], error) {
		keys, err := s.store.Keys(ctx)
		list := make([]KeyAnswer, len(keys))
		for i, k := range keys {
			list[i] = keyAnswer(k)
		}
		return &answer[KeyList]{KeyList{list}}, err
	})
	handle(s, operation{
		id: "revoke-key", method: http.MethodDelete, path: "/v1/keys/{key}", tag: "keys", scope: store.ScopeAdmin, status: http.StatusNoContent,
		summary: "Revoke a key for good", detail: "Other servers notice within five seconds.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		Key int64 `path:"key" minimum:"1"`
	},
	) (*struct{}, error) {
		return nil, s.store.RevokeKey(ctx, in.Key)
	})
}

func (s *Server) createKey(ctx context.Context, in *struct{ Body KeyRequest }) (*answer[NewKeyAnswer], error) {
	if err := CheckScopes(in.Body.Scopes); err != nil {
		return nil, err
	}
	if why := checkID(in.Body.Name); why != "" {
		return nil, campaign.Errorf(campaign.CodeInvalid, "the name cannot be used: %s", why)
	}
	if !in.Body.ExpiresAt.IsZero() && in.Body.ExpiresAt.Before(time.Now()) {
		return nil, campaign.Errorf(campaign.CodeInvalid, "the key would have expired already")
	}
	secret, key, err := s.store.CreateKey(ctx, in.Body.Name, in.Body.Scopes, in.Body.ExpiresAt)
	return &answer[NewKeyAnswer]{NewKeyAnswer{keyAnswer(key), secret}}, err
}

// CheckScopes refuses scopes that there are not.
func CheckScopes(scopes []store.Scope) error {
	for _, scope := range scopes {
		if !slices.Contains(store.Scopes(), scope) {
			var known []string
			for _, k := range store.Scopes() {
				known = append(known, string(k))
			}
			return campaign.Errorf(campaign.CodeInvalid, "there is no scope %q; there are %s", scope, strings.Join(known, ", "))
		}
	}
	return nil
}

func keyAnswer(k store.Key) KeyAnswer {
	return KeyAnswer{k.ID, k.Name, k.Prefix, notNil(k.Scopes), k.CreatedAt, k.ExpiresAt, k.RevokedAt}
}
