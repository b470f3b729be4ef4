package starter

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// IdentityRequest is what a caller tells of how a member is reached.
type IdentityRequest struct {
	Address string                 `json:"address,omitempty" maxLength:"254" doc:"The mail address, phone number or platform id; as known, where it is left out"`
	State   campaign.IdentityState `json:"state,omitempty" enum:"reachable,unreachable,opted_out" doc:"As known where it is left out: a new address is reachable, but a member who has opted out stays so"`
	Reason  string                 `json:"reason,omitempty" maxLength:"128" doc:"Why it is in this state, in your words"`
}

// IdentityLine is one line of a batch.
type IdentityLine struct {
	Member  string                `json:"member" minLength:"1" maxLength:"128"`
	Kind    campaign.IdentityKind `json:"kind" enum:"mail,phone,wecom_userid,wecom_external_userid,openid,unionid"`
	Account string                `json:"account,omitempty" maxLength:"128" doc:"Of the platform: corp id, app id. Mail and phone have none"`
	IdentityRequest
}

// IdentityAnswer is how a member is reached. The whole address is never shown.
type IdentityAnswer struct {
	Kind      campaign.IdentityKind  `json:"kind"`
	Account   string                 `json:"account,omitempty"`
	Address   string                 `json:"address,omitempty" doc:"Enough of it to recognise it; none where only an opt-out is known"`
	State     campaign.IdentityState `json:"state"`
	Reason    string                 `json:"reason,omitempty"`
	StateAt   time.Time              `json:"state_at"`
	UpdatedAt time.Time              `json:"updated_at"`
}

// IdentityList is how a member is reached.
type IdentityList struct {
	Identities []IdentityAnswer `json:"identities"`
}

// IdentityBatch says what became of a batch.
type IdentityBatch struct {
	Identities int `json:"identities" doc:"How many lines there were"`
}

// IdentityQuestion asks whose an address is.
type IdentityQuestion struct {
	Kind    campaign.IdentityKind `json:"kind" enum:"mail,phone,wecom_userid,wecom_external_userid,openid,unionid"`
	Account string                `json:"account,omitempty" maxLength:"128"`
	Address string                `json:"address" minLength:"1" maxLength:"254"`
}

// IdentityMembers are those who are reached by an address.
type IdentityMembers struct {
	Members []string `json:"members"`
}

// IdentityPath names an identity.
type IdentityPath struct {
	MemberPath
	Kind    campaign.IdentityKind `path:"kind" enum:"mail,phone,wecom_userid,wecom_external_userid,openid,unionid" doc:"What sort of address"`
	Account string                `query:"account" maxLength:"128" doc:"Of the platform: corp id, app id. Mail and phone have none"`
}

const tagIdentities = "identities"

func (s *Server) registerIdentities() {
	const path = "/v1/members/{member}/identities"
	refusals := []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity}
	handle(s, operation{
		id: "put-identity", method: http.MethodPut, path: path + "/{kind}", tag: tagIdentities, scope: store.ScopeMembersWrite,
		summary: "Tell how a member is reached", errors: refusals,
	}, func(ctx context.Context, in *struct {
		IdentityPath
		Body IdentityRequest
	},
	) (*answer[IdentityList], error) {
		line := IdentityLine{Member: in.Member, Kind: in.Kind, Account: in.Account, IdentityRequest: in.Body}
		put, wrong := identityPut(&line, "")
		if len(wrong) > 0 {
			return nil, refused(wrong)
		}
		if err := s.store.PutIdentities(ctx, put); err != nil {
			return nil, err
		}
		return s.identities(ctx, in.Member)
	})
	handle(s, operation{
		id: "put-identities", method: http.MethodPost, path: "/v1/identities/batch", tag: tagIdentities, scope: store.ScopeMembersWrite,
		summary: "Tell how up to 1,000 members are reached, one JSON object a line", detail: "All or none.",
		errors: append(refusals, http.StatusRequestEntityTooLarge),
		body:   textBody("One identity a line", map[string]*huma.Schema{typeNDJSON: schemaOf[IdentityLine](s)}),
	}, s.putIdentities)
	handle(s, operation{
		id: "list-identities", method: http.MethodGet, path: path, tag: tagIdentities, scope: store.ScopeMembersRead,
		summary: "How a member is reached", detail: "Addresses are shown in part, enough to recognise them.", errors: refusals,
	}, func(ctx context.Context, in *MemberPath) (*answer[IdentityList], error) {
		id, err := in.id()
		if err != nil {
			return nil, err
		}
		if _, err := s.store.Member(ctx, id); err != nil {
			return nil, err
		}
		return s.identities(ctx, id)
	})
	handle(s, operation{
		id: "find-identity", method: http.MethodPost, path: "/v1/identities/find", tag: tagIdentities, scope: store.ScopeMembersRead,
		summary: "Who is reached by an address", detail: "A POST, because addresses have no business in the paths that servers log.", errors: refusals,
	}, s.findIdentity)
	handle(s, operation{
		id: "remove-identity", method: http.MethodDelete, path: path + "/{kind}", tag: tagIdentities, scope: store.ScopeMembersWrite,
		status: http.StatusNoContent, errors: refusals,
		summary: "Forget an address", detail: "That she had opted out is kept, so that a later import does not reach her again.",
	}, func(ctx context.Context, in *IdentityPath) (*struct{}, error) {
		id, err := in.id()
		if err != nil {
			return nil, err
		}
		return nil, s.store.RemoveIdentity(ctx, id, in.Kind, in.Account)
	})
	handle(s, operation{
		id: "erase-identities", method: http.MethodDelete, path: path, tag: tagIdentities, scope: store.ScopeMembersWrite,
		status: http.StatusNoContent, errors: refusals,
		summary: "Erase all of a member's addresses", detail: "Her opt-outs too. For a member who is to be forgotten.",
	}, func(ctx context.Context, in *MemberPath) (*struct{}, error) {
		id, err := in.id()
		if err != nil {
			return nil, err
		}
		return nil, s.store.EraseIdentities(ctx, id)
	})
}

func (s *Server) putIdentities(ctx context.Context, _ *struct{}) (*answer[IdentityBatch], error) {
	lines, err := ndjson[IdentityLine](bodyOf(ctx))
	if err != nil {
		return nil, err
	}
	if err := checkBatch(len(lines)); err != nil {
		return nil, err
	}
	puts := make([]store.IdentityPut, len(lines))
	var wrong []ProblemDetail
	for i := range lines {
		put, why := identityPut(&lines[i], fmt.Sprintf("identities[%d].", i))
		puts[i], wrong = put, append(wrong, why...)
	}
	if len(wrong) > 0 {
		return nil, refused(wrong)
	}
	return &answer[IdentityBatch]{IdentityBatch{len(lines)}}, s.store.PutIdentities(ctx, puts...)
}

// identityPut checks what is told. No message quotes the address.
func identityPut(l *IdentityLine, path string) (put store.IdentityPut, wrong []ProblemDetail) {
	add := func(field, message, hint string) {
		wrong = append(wrong, ProblemDetail{Path: path + field, Message: message, Hint: hint})
	}
	put = store.IdentityPut{Member: l.Member, Kind: l.Kind, Account: l.Account, State: l.State, Reason: l.Reason}
	if why := checkID(l.Member); why != "" {
		add("member", "the member's id cannot be used: "+why, "")
	}
	if l.State != "" && !l.State.Valid() {
		add("state", "there is no such state", "write reachable, unreachable or opted_out")
	}
	if l.Reason != "" && checkID(l.Reason) != "" {
		add("reason", "this cannot be used: "+checkID(l.Reason), "")
	}
	if l.Address == "" && l.State == "" {
		add("address", "nothing is told", "write an address, a state, or both")
	}
	switch {
	case !l.Kind.Valid():
		add("kind", "there is no such kind of identity", fmt.Sprintf("write one of %v", campaign.IdentityKinds()))
		return put, wrong
	case l.Kind.OfAccount() && checkID(l.Account) != "":
		add("account", "an identity of this kind belongs to an account of its platform", "write the corp id or the app id")
	case !l.Kind.OfAccount() && l.Account != "":
		add("account", "an identity of this kind belongs to no account", "leave it out")
	}
	if l.Address != "" {
		var why string
		if put.Address, why = campaign.ParseAddress(l.Kind, l.Address); why != "" {
			add("address", "the address cannot be used", why)
		}
	}
	return put, wrong
}

func (s *Server) identities(ctx context.Context, member string) (*answer[IdentityList], error) {
	list, err := s.store.Identities(ctx, member)
	if err != nil {
		return nil, err
	}
	out := IdentityList{Identities: make([]IdentityAnswer, len(list))}
	for i, l := range list {
		out.Identities[i] = IdentityAnswer{l.Kind, l.Account, l.Masked, l.State, l.Reason, l.StateAt, l.UpdatedAt}
	}
	return &answer[IdentityList]{out}, nil
}

func (s *Server) findIdentity(ctx context.Context, in *struct{ Body IdentityQuestion }) (*answer[IdentityMembers], error) {
	address, why := campaign.ParseAddress(in.Body.Kind, in.Body.Address)
	if why != "" {
		return nil, problem(http.StatusUnprocessableEntity, "nobody can have this address",
			ProblemDetail{Path: "address", Message: "the address cannot be used", Hint: why})
	}
	members, err := s.store.MembersOf(ctx, in.Body.Kind, in.Body.Account, address)
	return &answer[IdentityMembers]{IdentityMembers{notNil(members)}}, err
}

func refused(wrong []ProblemDetail) *Problem {
	return problem(http.StatusUnprocessableEntity, "nothing was stored, because of what is wrong here", wrong[:min(len(wrong), maxDetails)]...)
}
