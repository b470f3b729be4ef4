package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

// MemberPut is what a caller tells of a member. It is merged into what is known:
// attributes one by one (a null forgets one), tags added and taken away, the rest
// where it is given.
type MemberPut struct {
	ID         string
	Attributes map[string]json.RawMessage
	Tags       []string  // added
	Untag      []string  // taken away
	JoinedAt   time.Time // zero: as known, or now
	Source     string
	Inviter    string
}

// Both statements travel in one round trip, see events.go; the first one makes and
// locks the members in the order of their ids' bytes.
const createMembersSQL = `
insert into members as m (id, joined_at)
select id, coalesce(joined_at, now()) from unnest($1::text[], $2::timestamptz[]) as i (id, joined_at)
 order by id collate "C"
on conflict (id) do update set last_stored = m.last_stored where false`

// A member that was told again what is known already is left alone, so that a nightly
// import of everybody wakes the router for those alone who changed. Whoever this
// transaction made has its time of creation.
const mergeMembersSQL = `
with told as (
	select i.id, i.attributes::jsonb as attributes, i.forget::jsonb as forget, i.tags::jsonb as tags,
	       i.untag::jsonb as untag, i.joined_at, i.source, i.inviter
	  from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
	       as i (id, joined_at, attributes, forget, tags, untag, source, inviter)
), merged as (
	select t.id,
	       (m.attributes || t.attributes) - array(select jsonb_array_elements_text(t.forget)) as attributes,
	       array(select tag from (
	             select tag, min(place) as place from (
	                    select u.tag, u.place from unnest(m.tags) with ordinality as u (tag, place)
	                    union all
	                    select a.tag, a.place + 1000000 from jsonb_array_elements_text(t.tags) with ordinality as a (tag, place)
	             ) every_tag group by tag) each_tag
	        where not t.untag ? tag order by place) as tags,
	       coalesce(t.joined_at, m.joined_at) as joined_at,
	       coalesce(nullif(t.source, ''), m.source) as source,
	       coalesce(nullif(t.inviter, ''), m.inviter) as inviter
	  from told t join members m on m.id = t.id
), changed as (
	update members m
	   set attributes = n.attributes, tags = n.tags, joined_at = n.joined_at, source = n.source, inviter = n.inviter,
	       updated_at = now()
	  from merged n
	 where m.id = n.id
	   and (m.created_at = now()
	        or (m.attributes, m.tags, m.joined_at, m.source, m.inviter)
	           is distinct from (n.attributes, n.tags, n.joined_at, n.source, n.inviter))
	returning m.id
)
insert into intents (kind, member) select 'member', id from changed order by id`

// PutMembers merges what is told of members in one transaction and answers how many
// were new or changed. Each of those leaves an intent for the router. Of a member that
// stands twice in the list both are merged, the later one over the earlier.
func (s *Store) PutMembers(ctx context.Context, puts []MemberPut) (changed int64, err error) {
	if len(puts) == 0 {
		return 0, nil
	}
	columns, err := memberColumns(foldPuts(puts))
	if err != nil {
		return 0, err
	}
	err = retry(ctx, func() error {
		var batch pgx.Batch
		batch.Queue(createMembersSQL, columns[0], columns[1])
		batch.Queue(mergeMembersSQL, columns...)
		results := s.pool.SendBatch(ctx, &batch)
		_, err := results.Exec()
		if err == nil {
			tag, failed := results.Exec()
			changed, err = tag.RowsAffected(), failed
		}
		if closing := results.Close(); err == nil {
			err = closing
		}
		return err
	})
	if err != nil {
		return 0, translate(err, "store members")
	}
	if changed > 0 {
		s.Notify()
	}
	return changed, nil
}

// foldPuts merges what is told of the same member, for one statement cannot change a
// row twice.
func foldPuts(puts []MemberPut) []MemberPut {
	at := make(map[string]int, len(puts))
	out := make([]MemberPut, 0, len(puts))
	for _, p := range puts {
		i, again := at[p.ID]
		if !again {
			at[p.ID] = len(out)
			out = append(out, p)
			continue
		}
		out[i] = out[i].then(p)
	}
	return out
}

func (p MemberPut) then(next MemberPut) MemberPut {
	attributes := make(map[string]json.RawMessage, len(p.Attributes)+len(next.Attributes))
	for _, from := range []map[string]json.RawMessage{p.Attributes, next.Attributes} {
		for k, v := range from {
			attributes[k] = v
		}
	}
	p.Attributes = attributes
	p.Tags, p.Untag = append(without(p.Tags, next.Untag), next.Tags...), append(without(p.Untag, next.Tags), next.Untag...)
	if !next.JoinedAt.IsZero() {
		p.JoinedAt = next.JoinedAt
	}
	if next.Source != "" {
		p.Source = next.Source
	}
	if next.Inviter != "" {
		p.Inviter = next.Inviter
	}
	return p
}

func without(list, gone []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(gone, s) {
			out = append(out, s)
		}
	}
	return out
}

func memberColumns(puts []MemberPut) ([]any, error) {
	n := len(puts)
	ids, joined, sources, inviters := make([]string, n), make([]*time.Time, n), make([]string, n), make([]string, n)
	attributes, forget, tags, untag := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, p := range puts {
		ids[i], sources[i], inviters[i] = p.ID, p.Source, p.Inviter
		if !p.JoinedAt.IsZero() {
			joined[i] = &p.JoinedAt
		}
		keep, gone := make(map[string]json.RawMessage, len(p.Attributes)), []string{}
		for name, v := range p.Attributes {
			if string(v) == "null" {
				gone = append(gone, name)
				continue
			}
			keep[name] = v
		}
		for column, value := range map[*string]any{
			&attributes[i]: keep, &forget[i]: gone, &tags[i]: orEmpty(p.Tags), &untag[i]: orEmpty(p.Untag),
		} {
			text, err := json.Marshal(value)
			if err != nil {
				return nil, campaign.Errorf(campaign.CodeInvalid, "member %d cannot be written: %w", i+1, err)
			}
			*column = string(text)
		}
	}
	return []any{ids, joined, attributes, forget, tags, untag, sources, inviters}, nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Member reads one member.
func (s *Store) Member(ctx context.Context, id string) (campaign.Member, error) {
	row, err := s.queries.GetMember(ctx, id)
	if err != nil {
		return campaign.Member{}, found(err, "member", id)
	}
	list, err := membersOf(ctx, s.pool, []db.Member{row})
	if err != nil {
		return campaign.Member{}, translate(err, "read the member")
	}
	return list[0], nil
}

// Members lists members by id, those after the id given; with a tag, those who have it.
func (s *Store) Members(ctx context.Context, after, tag string, size int) ([]campaign.Member, error) {
	var having *string
	if tag != "" {
		having = &tag
	}
	rows, err := s.queries.ListMembers(ctx, after, having, int32(size))
	if err != nil {
		return nil, translate(err, "list the members")
	}
	list, err := membersOf(ctx, s.pool, rows)
	return list, translate(err, "list the members")
}

// membersOf are members as they are now: without points that are past their end.
func membersOf(ctx context.Context, on db.DBTX, rows []db.Member) ([]campaign.Member, error) {
	out := make([]campaign.Member, len(rows))
	ends, byID := map[string]bool{}, map[string]*campaign.Member{}
	for i, r := range rows {
		var err error
		if out[i], err = memberOf(r); err != nil {
			return nil, err
		}
		if r.PointsEnd != nil {
			ends[r.ID], byID[r.ID] = true, &out[i]
		}
	}
	return out, withoutOver(ctx, on, ends, byID)
}

// memberOf is a member with the points that are booked; see membersOf.
func memberOf(r db.Member) (campaign.Member, error) {
	m := campaign.Member{ID: r.ID, JoinedAt: r.JoinedAt, Source: r.Source, Inviter: r.Inviter, Tags: r.Tags, Points: r.Points}
	if err := json.Unmarshal(r.Attributes, &m.Attributes); err != nil {
		return m, campaign.Errorf(campaign.CodeInternal, "the attributes of a member cannot be read: %w", err)
	}
	var err error
	if m.Benefits, err = benefitsOf(r.Benefits); err != nil {
		return m, err
	}
	if len(r.Levels) > len("{}") {
		if err := json.Unmarshal(r.Levels, &m.Levels); err != nil {
			return m, campaign.Errorf(campaign.CodeInternal, "the levels of a member cannot be read: %w", err)
		}
	}
	if level, ok := m.Attributes["level"]; ok {
		// A level may be read without being declared, where it is a string.
		_ = json.Unmarshal(level, &m.Level)
	}
	return m, nil
}
