-- The whole of Banyan's truth. Safe on a live database: it only creates.
-- Times called at, opened_at, expires_at … are on the campaign's clock; stored_at,
-- created_at and the like are real. For all but demo campaigns they are the same.

-- +goose Up

create table campaigns (
    name            text primary key,
    state           text not null default 'draft'
                    check (state in ('draft', 'running', 'paused', 'draining', 'ended')),
    version         int  not null,                -- the one that new entrants take
    version_at      timestamptz not null default now(), -- since when
    clock_factor    bigint not null default 1 check (clock_factor between 1 and 86400),
    clock_real      timestamptz,                  -- when a demo clock was started
    clock_start     timestamptz,                  -- what it showed then
    created_at      timestamptz not null default now(),
    started_at      timestamptz,
    ended_at        timestamptz
);

create table campaign_versions (
    campaign    text not null references campaigns,
    version     int  not null,
    digest      text not null,                    -- SHA-256 of the source
    source      text not null,
    definition  jsonb not null,                   -- checked; the core reads this, never the source
    -- Asked for with every message; the whole definition is too large to be read for it.
    timezone    text generated always as (coalesce(definition ->> 'timezone', '')) stored,
    created_at  timestamptz not null default now(),
    primary key (campaign, version),
    unique (campaign, digest)
);
create index campaign_versions_digest on campaign_versions (digest);

create table members (
    id           text primary key check (octet_length(id) between 1 and 128),
    attributes   jsonb not null default '{}',
    tags         text[] not null default '{}',
    joined_at    timestamptz not null,
    source       text not null default '',
    inviter      text not null default '',
    points       bigint not null default 0,       -- projection of the ledger
    event_seq    bigint not null default 0,       -- number of the last stored event
    last_stored  timestamptz not null default 'epoch', -- when it was stored; clock readings never go behind it
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
) with (fillfactor = 80);

-- The event log is the truth. seq is taken under the member's row lock, so that a
-- cursor can never pass a row that commits late; stored_at is read under the same lock.
-- To check a reference to the member would look up again what is locked already, at a
-- sixth of what storing an event costs.
create table events (
    id          text primary key check (octet_length(id) between 1 and 128),
    member      text not null,
    seq         bigint not null,
    type        text not null,
    time        timestamptz not null,
    stored_at   timestamptz not null,
    properties  jsonb not null default '{}',
    unique (member, seq)
);
create index events_member_type_time on events (member, type, time);

-- The members of a journey with `drive: slices`, cut by a stable hash. One workflow
-- turns all members of a slice.
create table slices (
    id           int generated always as identity primary key,
    campaign     text not null references campaigns,
    journey      text not null,
    slice        int  not null check (slice >= 0),
    workflow_id  text not null unique,
    unique (campaign, journey, slice)
);

-- How far each start at moments of the calendar has come: the latest moment, and up to
-- which member by id she was let in for it. A page of members and the place that it
-- leads to are written together.
create table schedules (
    campaign  text not null references campaigns,
    journey   text not null,
    schedule  text not null,
    segment   text not null,
    moment    timestamptz not null,                 -- campaign time
    after     text not null default '',             -- the last member that was looked at
    done      boolean not null,
    primary key (campaign, journey, schedule, segment)
);

-- What the router has still to do. An intent is deleted in the transaction that did it.
create table intents (
    id          bigint generated always as identity primary key,
    kind        text not null check (kind in ('event', 'member', 'team', 'start', 'poke', 'recheck', 'slice')),
    campaign    text not null default '',          -- kind start, poke, recheck: nobody waits for another campaign's
    member      text,
    event       text,                              -- kind event; of a poke, the event that caused it; of a team, the one that is to be stored
    journey     bigint,                            -- kind team, start, poke, recheck
    slice       int,                               -- kind slice: somebody of it is due
    created_at  timestamptz not null default now(),
    due_at      timestamptz not null default now(), -- not before; moved on by failures
    tries       int not null default 0,            -- how often it could not be decided
    reason      text not null default ''           -- why it is put aside; empty: it is not
);
-- One for each half of the router: a million starts that wait for Temporal must not
-- stand in the way of events.
create index intents_route on intents (due_at, id) where kind in ('event', 'member', 'team');
create index intents_slice on intents (slice) where kind = 'slice';
-- A lane for each kind and campaign, from which deliveries are taken in turn.
create index intents_deliver on intents (kind, campaign, due_at, id) where kind in ('start', 'poke', 'recheck', 'slice');

create table journeys (
    id           bigint generated always as identity primary key,
    campaign     text not null,
    version      int not null,
    digest       text not null,
    journey      text not null,
    member       text not null references members,
    entry        int not null check (entry > 0),
    workflow_id  text not null,                    -- of her own; not started where a slice turns her
    holdout      boolean not null default false,
    state        jsonb not null,                   -- the core's own
    turn         int not null default 0,           -- last turn taken
    cursor       bigint not null,                  -- last event judged
    step         text not null default '',
    step_name    text not null default '',
    summary      text not null default '',
    listens      text[] not null default '{}',
    wait_until   timestamptz,
    status       text not null default 'active' check (status in ('active', 'done')),
    outcome      text not null default '',
    goal_at      timestamptz,
    goal_event   text,
    goal_minor   bigint,
    entered_by   text not null,                    -- event, segment, schedule or api
    start_event  text,                             -- the event that started it: once, however often it is routed
    slice        int references slices,            -- null: it has a workflow of its own
    due_at       timestamptz,                      -- of a slice's member: real time of the next look; null: an event will say
    entered_at   timestamptz not null,             -- campaign time
    ended_at     timestamptz,                      -- campaign time
    created_at   timestamptz not null default now(),
    unique (member, campaign, journey, entry),
    unique (campaign, journey, start_event),
    foreign key (campaign, version) references campaign_versions
) with (fillfactor = 70);
create unique index journeys_workflow on journeys (workflow_id) where slice is null;
create index journeys_due on journeys (slice, due_at) where due_at is not null;
create index journeys_slice on journeys (slice) where slice is not null and status = 'active';
create index journeys_active on journeys (campaign, journey, step) where status = 'active';

-- One row per turn: a turn that is asked for again after a lost answer is answered from here.
create table turns (
    journey   bigint not null references journeys,
    turn      int not null,
    result    jsonb not null,
    at        timestamptz not null default clock_timestamp(),
    primary key (journey, turn)
);

-- A decision to bring members in flight to another version. It is worked off in pages,
-- in the order of the journeys' rows, by any router.
create table migrations (
    id          bigint generated always as identity primary key,
    campaign    text not null,
    version     int  not null,                    -- the one that it leads to
    choices     jsonb not null,                   -- [{version, journey, step, do, to, outcome}], without those that are kept
    state       text not null default 'running' check (state in ('running', 'done', 'stopped')),
    reverts     bigint references migrations,     -- the one whose moves it takes back
    cursor      bigint not null default 0,        -- the last journey of this pass
    found       bigint not null,                  -- journeys that stood at these steps when it was decided
    moved       bigint not null default 0,
    ended       bigint not null default 0,
    kept        bigint not null default 0,
    failed      bigint not null default 0,
    created_at  timestamptz not null default clock_timestamp(),
    done_at     timestamptz,
    foreign key (campaign, version) references campaign_versions
);
create unique index migrations_running on migrations (campaign) where state = 'running';
create index migrations_campaign on migrations (campaign, id);

-- What a migration did with each journey that it came to, once, and what it takes to go back.
create table migration_moves (
    migration     bigint not null references migrations,
    journey       bigint not null references journeys,
    done          text not null check (done in ('move', 'end', 'keep')),
    reason        text not null default '',       -- of one that was kept: over, ending, moved_on, withdrawn, failed
    from_version  int  not null,
    from_digest   text not null,
    from_step     text not null default '',
    from_state    jsonb,                          -- the core's own, as the version that was left had it; null: kept
    to_step       text not null default '',
    turn          int  not null default 0,        -- the turn that did it; 0: there was nothing to do
    at            timestamptz not null default clock_timestamp(),
    primary key (migration, journey)
);

-- The lines of the story of a journey. Whoever writes one has read the journey in the same
-- transaction, so the reference needs no check; there are many lines.
create table trace (
    id       bigint generated always as identity,
    journey  bigint not null,
    turn     int not null,                         -- 0: outside a turn (router, send)
    at       timestamptz not null,
    step     text not null default '',
    kind     text not null,
    params   jsonb not null default '{}',
    campaign text not null,
    version  int not null,
    primary key (journey, id)
);
create index trace_campaign on trace (campaign, kind, step);

-- Every effect is claimed here, under its key, in the transaction that decided it, and settled after.
create table effects (
    key         text primary key,
    kind        text not null check (kind in ('send', 'offer', 'grant')),
    journey     bigint not null references journeys,
    turn        int not null,
    state       text not null check (state in ('claimed', 'settled', 'refused', 'failed', 'dropped', 'unknown')),
    reason      text not null default '',
    claimed_at  timestamptz not null default clock_timestamp(),
    settled_at  timestamptz
);
create index effects_open on effects (claimed_at) where state in ('claimed', 'unknown');

create table messages (
    key          text primary key references effects,
    number       bigint generated always as identity, -- of a journey they go out in this order
    campaign     text not null,
    version      int not null,
    journey      bigint not null references journeys,
    member       text not null,
    step         text not null,
    name         text not null,
    kind         text not null,                    -- marketing or service; call: no message, but a service that is called
    bodies       jsonb not null,                   -- [{channel, body}] in the order of trial; of a call: what it takes to make it
    channel      text not null default '',         -- the one that took it, or the last that refused
    state        text not null check (state in ('claimed', 'sent', 'refused', 'failed', 'dropped', 'unknown')),
    reason       text not null default '',
    provider_id  text not null default '',
    attempts     int not null default 0,
    first_try    timestamptz,                      -- real
    slice        int references slices,            -- sent in pages by this slice's workflow; null: by the journey's own
    via          text not null default '',         -- of a slice: the channel to try next
    due_at       timestamptz,                      -- of a slice: real time of the next try; null: settled
    at           timestamptz not null,             -- decided, campaign time
    deadline     timestamptz,                      -- campaign time
    sent_at      timestamptz                       -- real
);
create index messages_member on messages (member, at);
create index messages_slice on messages (slice, via, due_at, number) where slice is not null and due_at is not null;
create index messages_open on messages (journey) where state in ('claimed', 'unknown');
create index messages_campaign on messages (campaign, state);

create table offers (
    id           text primary key,
    key          text not null unique references effects,
    campaign     text not null,
    version      int not null,
    offer        text not null,
    journey      bigint not null references journeys,
    member       text not null,
    step         text not null,
    state        text not null check (state in ('open', 'taken', 'lapsed', 'withdrawn')),
    price        bigint not null,
    list_price   bigint not null,
    currency     text not null,
    opened_at    timestamptz not null,
    expires_at   timestamptz,
    grace_until  timestamptz,
    closed_at    timestamptz,
    order_id     text,
    paid         bigint,
    check (state <> 'taken' or order_id is not null)
);
create index offers_member on offers (member, campaign, offer);
create index offers_campaign on offers (campaign, offer, state);
create index offers_open on offers (campaign, offer) where state = 'open'; -- counted by every scrape

-- At which arm of a split a member came, once for each journey and split. Who is held out
-- is not exposed.
create table exposures (
    journey   bigint not null references journeys,
    split     text not null,
    arm       text not null,
    campaign  text not null,
    version   int not null,
    member    text not null,
    at        timestamptz not null,                 -- campaign time
    primary key (journey, split)
);
create index exposures_campaign on exposures (campaign);

-- Stock is exact under any number of simultaneous orders: the condition stands in the
-- statement and the check stands behind it.
create table offer_stock (
    campaign  text not null,
    offer     text not null,
    stock     int not null,                         -- of the version that was submitted last
    taken     int not null default 0 check (taken >= 0),
    primary key (campaign, offer)
) with (fillfactor = 50);

-- The ledger: append-only double entry. Entries of a posting sum to zero per asset.
create table ledger_accounts (
    id        bigint generated always as identity primary key,
    asset     text not null check (asset in ('points')),
    kind      text not null check (kind in ('issuer', 'member')),
    owner     text not null,                        -- campaign of an issuer, member of the rest
    balance   bigint not null default 0,            -- projection, moved in the same transaction; an issuer's is derived
    unique (asset, kind, owner),
    check (kind = 'issuer' or balance >= 0)
) with (fillfactor = 70);

create table ledger_postings (
    id      bigint generated always as identity primary key,
    key     text not null unique,                   -- idempotency: the effect key
    kind    text not null check (kind in ('grant')),
    reward  text not null default '',
    at      timestamptz not null default clock_timestamp()
);

create table ledger_entries (
    posting  bigint not null references ledger_postings,
    account  bigint not null references ledger_accounts,
    amount   bigint not null check (amount <> 0),
    primary key (posting, account)
);

-- +goose StatementBegin
create function ledger_entries_check() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from fresh f join ledger_accounts a on a.id = f.account
        group by f.posting, a.asset having sum(f.amount) <> 0
    ) then
        raise exception 'ledger entries of a posting do not sum to zero';
    end if;
    -- The issuer's row is never locked: every grant would wait for it.
    update ledger_accounts a set balance = a.balance + s.amount
      from (select account, sum(amount) as amount from fresh group by account order by account) s
     where a.id = s.account and a.kind <> 'issuer';
    return null;
end $$;
-- +goose StatementEnd
create trigger ledger_entries_check after insert on ledger_entries
    referencing new table as fresh for each statement execute function ledger_entries_check();

-- +goose StatementBegin
create function append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end $$;
-- +goose StatementEnd
create trigger ledger_entries_append_only before update or delete on ledger_entries
    for each row execute function append_only();
create trigger ledger_postings_append_only before update or delete on ledger_postings
    for each row execute function append_only();

create table budgets (
    campaign  text not null,
    reward    text not null,
    cap       bigint not null check (cap >= 0),
    used      bigint not null default 0 check (used >= 0),
    primary key (campaign, reward)
) with (fillfactor = 50);

-- Every grant that was asked for, the refused ones too: a retry gets the same answer.
create table grants (
    key       text primary key references effects,
    campaign  text not null,
    version   int not null,
    reward    text not null,
    member    text not null,
    journey   bigint not null references journeys,
    step      text not null,
    points    bigint not null check (points > 0),
    state     text not null check (state in ('granted', 'refused')),
    reason    text not null default '',
    at        timestamptz not null,                 -- campaign time
    created_at timestamptz not null default clock_timestamp()
);
create index grants_member on grants (member, campaign, reward, at);
create index grants_campaign on grants (campaign, reward, state);

-- For people to decide. For one of kind decision a journey waits, until closes_at; the
-- others are there because somebody paid. All times but created_at are the campaign's.
create table reviews (
    id            bigint generated always as identity primary key,
    key           text not null unique,
    kind          text not null,
    campaign      text not null,
    journey       bigint not null references journeys,
    member        text not null,
    step          text not null default '',
    offer         text not null default '',
    event         text not null default '',
    detail        jsonb not null default '{}',
    role          text not null default '',         -- who is asked until escalates_at
    backup        text not null default '',         -- and from then on
    about         text not null default '',
    otherwise     text not null default '' check (otherwise in ('', 'approve', 'reject')),
    escalates_at  timestamptz,                      -- null: the role has no backup
    closes_at     timestamptz,                      -- null: no journey waits
    state         text not null default 'open' check (state in ('open', 'approved', 'rejected', 'withdrawn')),
    at            timestamptz not null,             -- opened, or what it is about happened
    claimed_by    text not null default '',         -- the callers' own ids of people
    claimed_at    timestamptz,
    decided_by    text not null default '',         -- empty in a closed one: nobody in time
    reason        text not null default '',
    decided_at    timestamptz,
    created_at    timestamptz not null default now(),
    check ((state = 'open') = (decided_at is null)),
    check ((claimed_by = '') = (claimed_at is null))
);
create index reviews_campaign on reviews (campaign, state);
create index reviews_open on reviews (id) where state = 'open';

-- Members who come together at a step of a journey. Who changes a team, or says that its
-- time is over, holds its row: so it never has more members than its size, and all are
-- told the same. The code is its own, made by chance, and no way to the members.
create table teams (
    id          bigint generated always as identity primary key,
    key         text not null unique,               -- of the step's visit that opened it
    code        text not null unique,
    campaign    text not null,
    version     int  not null,                      -- of the journey that opened it
    journey     text not null,
    place       text not null,                      -- the step: its label or, without one, its id
    size        int  not null check (size between 2 and 100),
    joined      int  not null check (joined between 0 and size), -- who are in it now
    came        int  not null,                      -- who have ever come into it
    state       text not null check (state in ('open', 'formed', 'failed', 'withdrawn')),
    opened_at   timestamptz not null,               -- these times are the campaign's
    ends_at     timestamptz not null,
    closed_at   timestamptz,
    created_at  timestamptz not null default clock_timestamp(),
    check ((state = 'open') = (closed_at is null)),
    check ((state = 'formed') = (joined = size)),
    check ((state = 'withdrawn') = (joined = 0))
) with (fillfactor = 70);
create index teams_campaign on teams (campaign, state);

create table team_members (
    team       bigint not null references teams,
    number     int  not null check (number > 0),    -- in the order of coming; of those in it the first is the leader
    member     text not null,
    journey    bigint not null references journeys,
    joined_at  timestamptz not null,                -- campaign time
    left_at    timestamptz,                         -- campaign time; null: in it
    primary key (team, number)
);
create unique index team_members_once on team_members (team, member) where left_at is null;
create index team_members_journey on team_members (journey);
create index team_members_member on team_members (member);

-- The key under which addresses are sealed, itself sealed by one that stands in no database
-- (BANYAN_ADDRESS_KEY). It is made once: what is looked up by a keyed hash must be found
-- after the outer key was changed.
create table data_keys (
    id          int primary key check (id = 1),
    wrapped     bytea not null,
    created_at  timestamptz not null default now()
);

-- How members are reached: mail addresses, phones, ids of platforms. They stand here and
-- nowhere else.
create table identities (
    id          bigint generated always as identity primary key, -- what a link to opt out names
    member      text not null references members on delete cascade,
    kind        text not null check (kind in ('mail', 'phone', 'wecom_userid', 'wecom_external_userid', 'openid', 'unionid')),
    account     text not null default '',           -- of the platform to which it belongs
    address     bytea,                              -- null: only an opt-out is known
    sealed      boolean not null default false,     -- by the data key
    hash        bytea,                              -- of the address, to look it up; keyed where it is sealed
    state       text not null default 'reachable' check (state in ('reachable', 'unreachable', 'opted_out')),
    reason      text not null default '',           -- of the state
    state_at    timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    unique (member, kind, account),
    check ((address is null) = (hash is null))
);
create index identities_hash on identities (kind, account, hash) where hash is not null;
create index identities_plain on identities (id) where address is not null and not sealed;

-- The token by which an account calls its platform. All workers share it: who holds the
-- row's lock asks for a new one, and the others wait for it.
create table platform_tokens (
    account     text primary key,
    token       bytea,
    sealed      boolean not null default false,     -- by the data key
    expires_at  timestamptz
);

-- How much each receiver got from an account, in spans of ten seconds, where a platform
-- drops without a word what is too much. A row is of use for an hour.
create table platform_sends (
    account     text not null,
    receiver    bytea not null,                     -- as identities.hash
    slot        timestamptz not null,
    sends       int not null,
    primary key (account, receiver, slot)
);

create table api_keys (
    id          bigint generated always as identity primary key,
    name        text not null,
    hash        bytea not null unique,              -- SHA-256 of the key; the key itself is shown once
    prefix      text not null,                      -- the first characters, to recognise it
    scopes      text[] not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);

create table idempotency (
    api_key       bigint not null references api_keys on delete cascade,
    key           text not null check (octet_length(key) between 1 and 255),
    request_hash  bytea not null,
    status        int,                              -- null: the first call is still at work
    body          bytea,
    created_at    timestamptz not null default now(),
    primary key (api_key, key)
);

-- +goose Down
drop table idempotency, api_keys, platform_sends, platform_tokens, identities, data_keys, team_members, teams, reviews, grants, budgets, ledger_entries, ledger_postings, ledger_accounts,
    offer_stock, exposures, offers, messages, effects, trace, migration_moves, migrations, turns, journeys, intents, events, members, slices, schedules, campaign_versions, campaigns;
drop function ledger_entries_check();
drop function append_only();
