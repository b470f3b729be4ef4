package starter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store"
)

// MemberRequest is what a caller tells of a member. It is merged into what is known.
type MemberRequest struct {
	Attributes map[string]json.RawMessage `json:"attributes,omitempty" doc:"Merged one by one; null forgets one. Declared ones are checked"`
	Tags       []string                   `json:"tags,omitempty" maxItems:"1000" doc:"Added to those that she has"`
	Untag      []string                   `json:"untag,omitempty" maxItems:"1000" doc:"Taken away"`
	JoinedAt   string                     `json:"joined_at,omitempty" doc:"RFC 3339 with an offset; now, for a new member"`
	Source     string                     `json:"source,omitempty" maxLength:"128" doc:"Where she came from"`
	Inviter    string                     `json:"inviter,omitempty" maxLength:"128" doc:"The member who brought her"`
}

// MemberLine is one line of a batch.
type MemberLine struct {
	ID string `json:"id" minLength:"1" maxLength:"128"`
	MemberRequest
}

// MemberAnswer is a member as she is known.
type MemberAnswer struct {
	ID         string                     `json:"id"`
	JoinedAt   time.Time                  `json:"joined_at"`
	Source     string                     `json:"source,omitempty"`
	Inviter    string                     `json:"inviter,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes"`
	Tags       []string                   `json:"tags"`
	Points     int64                      `json:"points" doc:"Below zero she owes what was taken back"`
	Levels     map[string]string          `json:"levels,omitempty" doc:"Her levels, by the campaigns that have them"`
}

// MemberList is a page of members.
type MemberList struct {
	Members []MemberAnswer `json:"members"`
	Next    string         `json:"next,omitempty"`
}

// MemberBatch says what became of a batch.
type MemberBatch struct {
	Members int   `json:"members" doc:"How many lines there were"`
	Changed int64 `json:"changed" doc:"How many members are new or changed"`
}

// MemberPath names a member.
type MemberPath struct {
	Member string `path:"member" doc:"Your id of the member"`
}

// id reads the path's id, which may hold any character, escaped.
func (p MemberPath) id() (string, error) {
	if why := checkID(p.Member); why != "" {
		return "", campaign.Errorf(campaign.CodeInvalid, "the member's id cannot be used: %s", why)
	}
	return p.Member, nil
}

const tagMembers = "members"

func (s *Server) registerMembers() {
	handle(s, operation{
		id: "put-member", method: http.MethodPut, path: "/v1/members/{member}", tag: tagMembers, scope: store.ScopeMembersWrite,
		summary: "Tell what is known of a member", detail: "Makes the member if she is new, and merges what is told otherwise.",
		errors: []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
		adds:   true,
		body:   textBody("The member", map[string]*huma.Schema{typeJSON: schemaOf[MemberRequest](s)}),
	}, s.putMember)
	handle(s, operation{
		id: "put-members", method: http.MethodPost, path: "/v1/members/batch", tag: tagMembers, scope: store.ScopeMembersWrite,
		summary: "Tell of up to 1,000 members at once, one JSON object a line", detail: "All or none. Each line is as the body of one member, with her id.",
		errors: []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
		adds:   true,
		body:   textBody("One member a line", map[string]*huma.Schema{typeNDJSON: schemaOf[MemberLine](s)}),
	}, s.putMembers)
	handle(s, operation{
		id: "get-member", method: http.MethodGet, path: "/v1/members/{member}", tag: tagMembers, scope: store.ScopeMembersRead,
		summary: "A member as she is known", errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *MemberPath) (*answer[MemberAnswer], error) { return s.member(ctx, in) })
	handle(s, operation{
		id: "list-members", method: http.MethodGet, path: "/v1/members", tag: tagMembers, scope: store.ScopeMembersRead,
		summary: "List members", errors: []int{http.StatusUnprocessableEntity},
	}, s.listMembers)
}

func (s *Server) putMember(ctx context.Context, in *MemberPath) (*answer[MemberAnswer], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	var body MemberRequest
	if p := decodeStrict(bodyOf(ctx), &body); p != nil {
		return nil, p
	}
	if _, err := s.storeMembers(ctx, []MemberLine{{ID: id, MemberRequest: body}}, func(int) string { return "" }); err != nil {
		return nil, err
	}
	return s.member(ctx, in)
}

func (s *Server) putMembers(ctx context.Context, _ *struct{}) (*answer[MemberBatch], error) {
	lines, err := ndjson[MemberLine](bodyOf(ctx))
	if err != nil {
		return nil, err
	}
	if err := checkBatch(len(lines)); err != nil {
		return nil, err
	}
	changed, err := s.storeMembers(ctx, lines, func(i int) string { return fmt.Sprintf("members[%d].", i) })
	return &answer[MemberBatch]{MemberBatch{len(lines), changed}}, err
}

func (s *Server) storeMembers(ctx context.Context, lines []MemberLine, path func(int) string) (int64, error) {
	puts := make([]store.MemberPut, len(lines))
	err := s.checked(ctx, func(v *vocabulary) (wrong []ProblemDetail) {
		for i := range lines {
			put, why := v.member(&lines[i], path(i))
			puts[i], wrong = put, append(wrong, why...)
		}
		return wrong
	})
	if err != nil {
		return 0, err
	}
	return s.store.PutMembers(ctx, puts)
}

// reserved are what Banyan itself knows of every member. A level is the caller's.
var reserved = []string{"id", "joined_at", "tags", "points", "benefits", "source", "inviter"}

const maxAttributes = 500

// member checks what is told of one member. Texts are read as what is declared, for
// they often come from a spreadsheet.
func (v *vocabulary) member(m *MemberLine, path string) (store.MemberPut, []ProblemDetail) {
	var wrong []ProblemDetail
	add := func(field, message, hint string) {
		wrong = append(wrong, ProblemDetail{Path: path + field, Message: message, Hint: hint})
	}
	put := store.MemberPut{ID: m.ID, Tags: m.Tags, Untag: m.Untag, Source: m.Source, Inviter: m.Inviter}
	if why := checkID(m.ID); why != "" {
		add("id", "the member's id cannot be used: "+why, "")
	}
	for _, f := range []struct{ name, value string }{{"source", m.Source}, {"inviter", m.Inviter}} {
		if f.value != "" && checkID(f.value) != "" {
			add(f.name, "this cannot be used: "+checkID(f.value), "")
		}
	}
	if m.Inviter != "" && m.Inviter == m.ID {
		add("inviter", "nobody is her own inviter", "")
	}
	for _, tag := range slices.Concat(m.Tags, m.Untag) {
		if why := checkID(tag); why != "" {
			add("tags", "a tag cannot be used: "+why, "")
			break
		}
	}
	if m.JoinedAt != "" {
		put.JoinedAt = v.time(m.JoinedAt, v.clocks, "joined_at", add)
	}
	put.Attributes = v.attributesOf(m.Attributes, add)
	return put, wrong
}

func (v *vocabulary) attributesOf(told map[string]json.RawMessage, add func(field, message, hint string)) map[string]json.RawMessage {
	if len(told) > maxAttributes {
		add("attributes", "a member has at most 500 attributes", "")
		return nil
	}
	out := make(map[string]json.RawMessage, len(told))
	for name, raw := range told {
		field := "attributes." + name
		value, why := decodeValue(raw)
		switch {
		case slices.Contains(reserved, name):
			add(field, name+" is Banyan's own word and no attribute", "id, joined_at, tags, source and inviter stand beside attributes; points and benefits come from rewards")
			continue
		case checkID(name) != "":
			add("attributes", "an attribute's name cannot be used: "+checkID(name), "")
			continue
		case why != "":
			add(field, "the attribute cannot be kept: "+why, "")
			continue
		}
		out[name] = raw
		declarations := v.attributes[name]
		if value == nil || len(declarations) == 0 {
			continue
		}
		fitted, changed, hint := fit(declarations, value, true)
		if hint != "" {
			add(field, "the attribute is of another type", hint)
			continue
		}
		if !changed {
			continue
		}
		text, err := json.Marshal(fitted)
		if err != nil {
			add(field, "the attribute cannot be kept", "")
			continue
		}
		out[name] = text
	}
	return out
}

func decodeValue(raw json.RawMessage) (value any, why string) {
	object, why := decodeObject(json.RawMessage(`{"v":` + string(raw) + `}`))
	return object["v"], why
}

func (s *Server) member(ctx context.Context, in *MemberPath) (*answer[MemberAnswer], error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	m, err := s.store.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	return &answer[MemberAnswer]{memberAnswer(m)}, nil
}

func memberAnswer(m campaign.Member) MemberAnswer {
	attributes := m.Attributes
	if attributes == nil {
		attributes = map[string]json.RawMessage{}
	}
	return MemberAnswer{m.ID, m.JoinedAt, m.Source, m.Inviter, attributes, notNil(m.Tags), m.Points, m.Levels}
}

func (s *Server) listMembers(ctx context.Context, in *struct {
	Page
	Tag string `query:"tag" maxLength:"128" doc:"Those who have this tag"`
},
) (*answer[MemberList], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	list, err := s.store.Members(ctx, after, in.Tag, in.Limit+1)
	if err != nil {
		return nil, err
	}
	part, next := cut(list, in.Limit, func(m campaign.Member) string { return m.ID })
	out := MemberList{Members: make([]MemberAnswer, len(part)), Next: next}
	for i, m := range part {
		out.Members[i] = memberAnswer(m)
	}
	return &answer[MemberList]{out}, nil
}

// MemberURL is the path of a member, whatever her id holds.
func MemberURL(member string, rest ...string) string {
	return "/v1/members/" + strings.Join(append([]string{url.PathEscape(member)}, rest...), "/")
}
