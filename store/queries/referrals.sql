-- name: PutReferralCode :one
-- A member's code is made once for each campaign; one that is taken already is made anew.
insert into referral_codes (code, campaign, member) values (sqlc.arg(code), sqlc.arg(campaign), sqlc.arg(member))
on conflict do nothing returning *;

-- name: ReferralCodeOf :one
select * from referral_codes where campaign = sqlc.arg(campaign) and member = sqlc.arg(member);

-- name: ReferralCodeBy :one
select * from referral_codes where code = $1;

-- name: CloseReferralCode :one
update referral_codes set state = 'closed', closed_at = coalesce(closed_at, clock_timestamp()) where campaign = sqlc.arg(campaign) and code = sqlc.arg(code) returning *;

-- name: OpenReferralCode :one
update referral_codes set state = 'open', closed_at = null where campaign = sqlc.arg(campaign) and code = sqlc.arg(code) returning *;

-- name: ClickReferralCode :exec
update referral_codes set clicks = clicks + 1 where id = $1;

-- name: GuessLock :one
select coalesce(max(locked_until), 'epoch')::timestamptz as until, clock_timestamp()::timestamptz as now
  from referral_guesses where subject = any(sqlc.arg(subjects)::bytea[]);

-- name: GuessMissed :exec
-- In the order of the subjects, as everybody takes several.
insert into referral_guesses as g (subject, misses, since)
select s.subject, 1, clock_timestamp() from (select distinct unnest(sqlc.arg(subjects)::bytea[]) as subject) s order by s.subject
on conflict (subject) do update
   set misses = case when g.since < clock_timestamp() - make_interval(secs => sqlc.arg(seconds)::double precision) then 1 else g.misses + 1 end,
       since = case when g.since < clock_timestamp() - make_interval(secs => sqlc.arg(seconds)::double precision) then clock_timestamp() else g.since end,
       locked_until = case when g.since >= clock_timestamp() - make_interval(secs => sqlc.arg(seconds)::double precision) and g.misses + 1 >= sqlc.arg(most)::int
                           then clock_timestamp() + make_interval(secs => sqlc.arg(locked)::double precision) else g.locked_until end;

-- name: PruneGuesses :execrows
delete from referral_guesses where since < clock_timestamp() - interval '2 days' and coalesce(locked_until, 'epoch') < clock_timestamp();

-- name: ReferralOfInvitee :one
select * from referrals where campaign = sqlc.arg(campaign) and invitee = sqlc.arg(invitee);

-- name: GetReferral :one
select * from referrals where id = $1;

-- name: HasInvitees :one
select exists (select from referrals where campaign = sqlc.arg(campaign) and inviter = sqlc.arg(inviter))::boolean;

-- name: LockReferralTree :exec
-- Who binds a member who has brought others holds it: two such bindings might close a circle
-- together. Whoever has brought nobody closes none.
select pg_advisory_xact_lock(hashtextextended(sqlc.arg(campaign)::text, 3391540722851));

-- name: ReferralChain :many
-- Who brought a member, who brought that one, and so on to the first. Nobody is brought
-- twice, so it ends, but for a circle, which "cycle" ends.
with recursive up as (
    select r.inviter, r.invitee, 1 as depth from referrals r where r.campaign = sqlc.arg(campaign) and r.invitee = sqlc.arg(member)
    union all
    select r.inviter, r.invitee, u.depth + 1 from up u join referrals r on r.campaign = sqlc.arg(campaign) and r.invitee = u.inviter
) cycle invitee set round using way
select inviter from up where not round order by depth;

-- name: InsertReferral :one
insert into referrals (campaign, version, code, inviter, invitee, channel, held, facts, verdict, bound_at)
values (sqlc.arg(campaign), sqlc.arg(version), sqlc.arg(code), sqlc.arg(inviter), sqlc.arg(invitee), sqlc.arg(channel), sqlc.arg(held), sqlc.arg(facts), sqlc.arg(verdict), sqlc.arg(bound_at))
returning *;

-- name: MarkReferral :exec
insert into referral_marks as m (campaign, kind, hash, member, referral, at)
select sqlc.arg(campaign)::text, i.kind, i.hash, sqlc.arg(member)::text, sqlc.narg(referral)::bigint, sqlc.arg(at)::timestamptz
  from (select unnest(sqlc.arg(kinds)::text[]) as kind, unnest(sqlc.arg(hashes)::bytea[]) as hash) i order by i.kind, i.hash
on conflict (campaign, kind, hash, member) do update set referral = coalesce(m.referral, excluded.referral), at = excluded.at;

-- name: BroughtBy :exec
-- What expressions read of her, unless somebody else is known to have brought her.
update members set inviter = sqlc.arg(inviter), source = case when source in ('', 'event') then 'referral' else source end, updated_at = clock_timestamp()
 where id = sqlc.arg(member) and inviter = '';

-- name: TellReferral :one
-- Under the lock of the member's row, like every event: it takes the next number of her
-- sequence, and her clock never goes back. The intent lets the router wake and let in.
with stored as (
    insert into events (id, member, seq, type, time, stored_at, properties)
    select sqlc.arg(event)::text, m.id, m.event_seq + 1, sqlc.arg(type)::text, sqlc.arg(at)::timestamptz, greatest(m.last_stored, clock_timestamp()), sqlc.arg(properties)::jsonb
      from members m where m.id = sqlc.arg(member)::text
    returning id, member, seq, stored_at
), counted as (
    update members m set event_seq = s.seq, last_stored = s.stored_at from stored s where m.id = s.member
), queued as (
    insert into intents (kind, member, event) select 'event', member, id from stored
)
select seq, stored_at::timestamptz from stored;

-- name: ReferralFacts :one
-- What package fraud asks about a binding that is about to be made.
with marks as (
    select m.kind, m.hash, m.member, m.referral, m.at from referral_marks m
     where m.campaign = sqlc.arg(campaign) and m.hash = any(sqlc.arg(hashes)::bytea[])
), phones as (
    select unnest(sqlc.arg(phones)::bytea[]) as hash
    union
    select i.hash from identities i where i.member = sqlc.arg(invitee) and i.kind = 'phone' and i.hash is not null
)
select (exists (select from phones p where exists (select from identities i where i.member = sqlc.arg(inviter) and i.kind = 'phone' and i.hash = p.hash)
                or exists (select from referral_marks m where m.campaign = sqlc.arg(campaign) and m.kind = 'phone' and m.hash = p.hash and m.member = sqlc.arg(inviter))))::boolean as same_phone,
       (exists (select from marks where kind = 'payment' and member = sqlc.arg(inviter)))::boolean as same_payment,
       (exists (select from marks where kind = 'device' and member = sqlc.arg(inviter)))::boolean as same_device,
       (select count(distinct m.member) from referral_marks m join phones p on p.hash = m.hash join referrals r on r.id = m.referral
         where m.campaign = sqlc.arg(campaign) and m.kind = 'phone' and m.member <> sqlc.arg(invitee) and r.state not in ('rejected', 'expired'))::int as phone_bound,
       (select count(distinct m.member) from marks m join referrals r on r.id = m.referral
         where m.kind = 'payment' and m.member <> sqlc.arg(invitee) and r.state not in ('rejected', 'expired'))::int as payment_bound,
       (select count(distinct m.member) from marks m where m.kind = 'device' and m.referral is not null and m.member <> sqlc.arg(invitee)
           and m.at > sqlc.arg(since_device)::timestamptz)::int as device_members,
       (select count(*) from referrals r where r.campaign = sqlc.arg(campaign) and r.inviter = sqlc.arg(inviter) and r.bound_at > sqlc.arg(since_inviter)::timestamptz)::int as inviter_binds,
       (select count(distinct n.hash) from (
            select m.hash from referrals r join referral_marks m on m.referral = r.id and m.kind = 'network'
             where r.campaign = sqlc.arg(campaign) and r.inviter = sqlc.arg(inviter) and r.bound_at > sqlc.arg(since_inviter)::timestamptz
            union all select m.hash from unnest(sqlc.arg(networks)::bytea[]) as m (hash)) n)::int as inviter_networks,
       (select count(*) from marks m join referrals r on r.id = m.referral where m.kind = 'network' and r.inviter = sqlc.arg(inviter)
           and m.at > sqlc.arg(since_inviter_network)::timestamptz)::int as inviter_network,
       (select count(*) from marks m where m.kind = 'network' and m.referral is not null and m.at > sqlc.arg(since_network)::timestamptz)::int as network_binds,
       (select count(*) from referrals r where r.campaign = sqlc.arg(campaign) and r.inviter = sqlc.arg(inviter) and r.bound_at > sqlc.arg(since_burst)::timestamptz)::int as burst_binds,
       (select count(distinct n.hash) from (
            select m.hash from referrals r join referral_marks m on m.referral = r.id and m.kind = 'network'
             where r.campaign = sqlc.arg(campaign) and r.inviter = sqlc.arg(inviter) and r.bound_at > sqlc.arg(since_burst)::timestamptz
            union all select m.hash from unnest(sqlc.arg(networks)::bytea[]) as m (hash)) n)::int as burst_networks,
       (select count(distinct m.member) from marks m where m.kind = 'request' and m.member <> sqlc.arg(invitee))::int as request_members,
       (select coalesce(max(g.misses), 0) from referral_guesses g where g.subject = any(sqlc.arg(guessers)::bytea[])
           and g.since > clock_timestamp() - make_interval(secs => sqlc.arg(code_seconds)::double precision))::int as code_failures,
       (select coalesce(max(g.misses), 0) from referral_guesses g where g.subject = any(sqlc.arg(guessing_networks)::bytea[])
           and g.since > clock_timestamp() - make_interval(secs => sqlc.arg(network_seconds)::double precision))::int as network_failures;

-- name: ReferralFactsOf :one
select facts from referrals where id = $1;

-- name: SetVerdict :exec
update referrals set verdict = sqlc.arg(verdict), held = held or sqlc.arg(held)::boolean where id = sqlc.arg(id);

-- name: ReferralFactsSince :one
-- What package fraud asks about a referral that is to vest, and what has come since the
-- binding. How long after she was bound, or did what counts, an invitee first left: by an
-- event, by opting out of an address, or by a refund of what qualified her; negative: she has
-- not. Opting out has a real time, so its distance is stretched by the campaign's clock. Of an
-- inviter with many invitees the latest are looked at.
with r as (
    select * from referrals where id = sqlc.arg(referral)::bigint
), mine as (
    select m.kind, m.hash from r join referral_marks m on m.referral = r.id
), others as (
    select o.* from r join referrals o on o.campaign = r.campaign and o.inviter = r.inviter and o.id <> r.id
       and o.bound_at >= r.bound_at and o.bound_at <= sqlc.arg(now)::timestamptz
), earlier as (
    select o.* from r join referrals o on o.campaign = r.campaign and o.inviter = r.inviter and o.id <> r.id
       and o.bound_at <= sqlc.arg(now)::timestamptz - make_interval(secs => sqlc.arg(left_seconds)::double precision)
     order by o.bound_at desc limit sqlc.arg(most)
), leaving as (
    select w.id, min(extract(epoch from d.at - case when d.at >= w.qualified_at then w.qualified_at else w.bound_at end)) as seconds
      from (select r.id, r.invitee, r.state, r.reason, r.bound_at, r.qualified_at, r.closed_at, r.clawed_back_at, r.created_at from r
            union all select e.id, e.invitee, e.state, e.reason, e.bound_at, e.qualified_at, e.closed_at, e.clawed_back_at, e.created_at from earlier e) w
     cross join lateral (
           select e.time as at from events e
            where e.member = w.invitee and e.type = any(sqlc.arg(events)::text[]) and e.time >= w.bound_at and e.time <= sqlc.arg(now)::timestamptz
           union all
           select w.bound_at + (i.state_at - w.created_at) * sqlc.arg(factor)::double precision from identities i
            where i.member = w.invitee and i.state = 'opted_out' and i.state_at >= w.created_at
           union all
           select coalesce(w.clawed_back_at, w.closed_at) where w.state = 'clawed-back' or w.state = 'rejected' and w.reason = 'refunded'
           ) d
     group by w.id
)
select (exists (select from mine d join r on true where d.kind = 'phone'
                  and (exists (select from identities i where i.member = r.inviter and i.kind = 'phone' and i.hash = d.hash)
                    or exists (select from referral_marks m where m.campaign = r.campaign and m.kind = 'phone' and m.hash = d.hash and m.member = r.inviter))))::boolean as same_phone,
       (exists (select from mine d join r on true join referral_marks m on m.campaign = r.campaign and m.kind = d.kind and m.hash = d.hash and m.member = r.inviter
                 where d.kind = 'payment'))::boolean as same_payment,
       (exists (select from mine d join r on true join referral_marks m on m.campaign = r.campaign and m.kind = d.kind and m.hash = d.hash and m.member = r.inviter
                 where d.kind = 'device'))::boolean as same_device,
       (select count(distinct m.member) from mine d join r on true join referral_marks m on m.campaign = r.campaign and m.kind = d.kind and m.hash = d.hash
         where d.kind = 'device' and m.referral is not null and m.member <> r.invitee
           and m.at >= r.bound_at and m.at <= r.bound_at + make_interval(secs => sqlc.arg(device_seconds)::double precision))::int as device_members,
       (select count(*) from others o join r on true
         where o.bound_at <= r.bound_at + make_interval(secs => sqlc.arg(inviter_seconds)::double precision))::int as inviter_binds,
       (select count(distinct n.hash) from (
            select m.hash from others o join r on true join referral_marks m on m.referral = o.id and m.kind = 'network'
             where o.bound_at <= r.bound_at + make_interval(secs => sqlc.arg(inviter_seconds)::double precision)
            union all select d.hash from mine d where d.kind = 'network') n)::int as inviter_networks,
       (select count(*) from others o join r on true join referral_marks m on m.referral = o.id and m.kind = 'network' join mine d on d.kind = 'network' and d.hash = m.hash
         where o.bound_at <= r.bound_at + make_interval(secs => sqlc.arg(network_seconds)::double precision))::int as inviter_network,
       (select count(*) from others o join r on true
         where o.bound_at <= r.bound_at + make_interval(secs => sqlc.arg(burst_seconds)::double precision))::int as burst_binds,
       (select count(distinct n.hash) from (
            select m.hash from others o join r on true join referral_marks m on m.referral = o.id and m.kind = 'network'
             where o.bound_at <= r.bound_at + make_interval(secs => sqlc.arg(burst_seconds)::double precision)
            union all select d.hash from mine d where d.kind = 'network') n)::int as burst_networks,
       (select count(*) from earlier)::int as inviter_old,
       (select count(*) from leaving l join earlier e on e.id = l.id where l.seconds < sqlc.arg(left_seconds)::double precision)::int as inviter_left,
       coalesce((select l.seconds from leaving l join r on r.id = l.id), -1)::double precision as left_seconds;

-- name: VestReferral :one
-- Under the lock of the inviter, so that her successes are counted one by one. Asked again in
-- the same turn it answers the same.
with counted as (
    select (select count(*) from referrals o where o.campaign = r.campaign and o.inviter = r.inviter and o.state = 'vested' and o.id <> r.id)::int + 1 as success,
           (select count(*) from referrals o where o.campaign = r.campaign and o.inviter = r.inviter and o.state = 'vested' and o.id <> r.id
               and o.inviter_reward <> '' and o.closed_at > sqlc.arg(since)::timestamptz)::int as rewarded
      from referrals r where r.id = sqlc.arg(id)
)
update referrals u set state = 'vested', closed_at = sqlc.arg(at)::timestamptz, success = c.success
  from counted c where u.id = sqlc.arg(id) and u.inviter = sqlc.arg(inviter) and u.state = 'qualified'
returning c.success, c.rewarded;

-- name: QualifyReferral :exec
-- Of one that qualified in the very turn in which it vests.
update referrals set state = 'qualified', qualified_at = sqlc.arg(at)::timestamptz, event = sqlc.arg(event), order_id = sqlc.arg(order_id)
 where id = sqlc.arg(id) and state = 'bound';

-- name: MoveReferral :exec
update referrals set state = sqlc.arg(state),
       qualified_at = case when sqlc.arg(state) = 'qualified' then sqlc.arg(at)::timestamptz else qualified_at end,
       event = case when sqlc.arg(state) = 'qualified' then sqlc.arg(event)::text else event end,
       order_id = case when sqlc.arg(state) = 'qualified' then sqlc.arg(order_id)::text else order_id end,
       closed_at = case when sqlc.arg(state) in ('vested', 'rejected', 'expired') then sqlc.arg(at)::timestamptz else closed_at end,
       clawed_back_at = case when sqlc.arg(state) = 'clawed-back' then sqlc.arg(at)::timestamptz else clawed_back_at end,
       reason = case when sqlc.arg(state) = 'rejected' then sqlc.arg(reason)::text else reason end,
       inviter_reward = case when sqlc.arg(state) = 'vested' then sqlc.arg(inviter_reward)::text else inviter_reward end,
       invitee_reward = case when sqlc.arg(state) = 'vested' then sqlc.arg(invitee_reward)::text else invitee_reward end
 where id = sqlc.arg(id);

-- name: NewsOfReferral :exec
-- To the inviter. It becomes an event of hers when a router holds her row.
insert into intents (kind, campaign, member, journey, event)
select 'referral', r.campaign, r.inviter, sqlc.arg(of_journey)::bigint, sqlc.arg(prefix)::text || r.id || '/' || sqlc.arg(state)::text
  from referrals r where r.id = sqlc.arg(id);

-- name: StoreNewsOfReferrals :exec
-- As StoreNewsOfTeams.
with news as (
    select i.event, i.member, r.id as referral, r.campaign, r.invitee, r.order_id,
           substr(i.event, length(sqlc.arg(prefix)::text || r.id || '/') + 1) as state,
           r.qualified_at, r.closed_at, r.clawed_back_at, row_number() over (partition by i.member order by i.id) as place
      from intents i
      join referrals r on r.inviter = i.member and r.id = split_part(substr(i.event, length(sqlc.arg(prefix)::text) + 1), '/', 1)::bigint
     where i.id = any(sqlc.arg(intents)::bigint[])
), stored as (
    insert into events (id, member, seq, type, time, stored_at, properties)
    select n.event, m.id, m.event_seq + n.place, 'referral.' || replace(n.state, '-', '_'),
           case n.state when 'qualified' then n.qualified_at when 'clawed-back' then n.clawed_back_at else n.closed_at end,
           greatest(m.last_stored, clock_timestamp()),
           jsonb_build_object('campaign', n.campaign, 'referral', n.referral::text, 'invitee', n.invitee, 'order', n.order_id)
      from news n join members m on m.id = n.member
     order by n.event
    on conflict (id) do nothing
    returning id, member, seq, stored_at
)
update members m set event_seq = s.seq, last_stored = s.stored_at
  from (select member, max(seq) as seq, max(stored_at) as stored_at from stored group by member) s
 where m.id = s.member;

-- name: ListReferrals :many
select r.*, c.code as code_text
  from referrals r join referral_codes c on c.id = r.code
 where r.campaign = sqlc.arg(campaign) and (sqlc.arg(before)::bigint = 0 or r.id < sqlc.arg(before)::bigint)
   and (sqlc.arg(state)::text = '' or r.state = sqlc.arg(state)::text)
   and (sqlc.arg(inviter)::text = '' or r.inviter = sqlc.arg(inviter)::text)
 order by r.id desc limit sqlc.arg(most);

-- name: ReferralLeaders :many
-- Inviters by how many of their referrals are vested, those with more points first among
-- equals; who came first then.
select l.inviter, l.bound, l.qualified, l.vested, l.rewarded, (rank() over (order by l.vested desc))::bigint as place from (
    select r.inviter, count(*)::bigint as bound, count(*) filter (where r.state in ('qualified', 'vested', 'clawed-back', 'rejected'))::bigint as qualified,
           count(*) filter (where r.state = 'vested')::bigint as vested,
           count(*) filter (where r.state = 'vested' and r.inviter_reward <> '')::bigint as rewarded,
           max(r.closed_at) filter (where r.state = 'vested') as last_at
      from referrals r
     where r.campaign = sqlc.arg(campaign) and r.bound_at >= sqlc.arg(since)::timestamptz
     group by r.inviter
) l
 order by l.vested desc, l.last_at nulls last, l.inviter limit sqlc.arg(most);

-- name: ReferralCounts :many
select state, count(*)::bigint as referrals from referrals where campaign = $1 group by state;

-- name: DoctorReferrals :one
-- A referral that is not over is followed by a journey that is under way, and its inviter was
-- told, or is going to be, of every later state.
select (count(*) filter (where r.state in ('bound', 'qualified') and not exists (
           select from journeys j where j.member = r.invitee and j.campaign = r.campaign and j.start_event = sqlc.arg(prefix)::text || r.id || '/bound' and j.journey = 'referral' and j.status = 'active')))::bigint as forgotten,
       (count(*) filter (where r.state <> 'bound'
           and not exists (select from events e where e.id = sqlc.arg(prefix)::text || r.id || '/' || r.state)
           and not exists (select from intents i where i.kind = 'referral' and i.event = sqlc.arg(prefix)::text || r.id || '/' || r.state)))::bigint as untold
  from referrals r;
