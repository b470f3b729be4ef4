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
    benefits     jsonb not null default '{}',     -- projection: until when, by name; null: for ever
    points_end   timestamptz,                     -- the first end of what is left in her batches of points; real
    levels       jsonb not null default '{}',     -- by campaign; projection of point_members
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
    kind        text not null check (kind in ('event', 'member', 'team', 'referral', 'points', 'start', 'poke', 'recheck', 'slice')),
    campaign    text not null default '',          -- kind points, start, poke, recheck: nobody waits for another campaign's
    member      text,
    event       text,                              -- kind event and points; of a poke, the event that caused it; of a team or a referral, the one that is to be stored
    journey     bigint,                            -- kind team, referral, start, poke, recheck
    slice       int,                               -- kind slice: somebody of it is due
    created_at  timestamptz not null default now(),
    due_at      timestamptz not null default now(), -- not before; moved on by failures
    tries       int not null default 0,            -- how often it could not be decided
    parted      boolean not null default false,    -- it was done in part, and is routed again for the rest
    reason      text not null default ''           -- why it is put aside; empty: it is not
);
-- One for each half of the router: a million starts that wait for Temporal must not
-- stand in the way of events.
create index intents_route on intents (due_at, id) where kind in ('event', 'member', 'team', 'referral', 'points');
-- What a paused campaign has still to give points for: due when it is resumed.
create unique index intents_points on intents (campaign, event) where kind = 'points';
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
    goal_refunded bigint not null default 0,       -- of goal_minor, what went back
    goal_reversed_at timestamptz,                  -- when all of it had, campaign time
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
-- Who claims one has read its journey in that transaction, so the reference needs no check.
create table effects (
    key         text primary key,
    kind        text not null check (kind in ('send', 'offer', 'grant')),
    journey     bigint not null,
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
    kind         text not null,                    -- marketing or service; call: no message, but a service that is called; refund: a shop that is asked to pay back
    bodies       jsonb not null,                   -- [{channel, body}] in the order of trial; of a call or a refund: what it takes to make it
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
    order_id     text,                             -- that took it or, of one that is open, has paid for a place in a team
    paid         bigint,
    refunded_at  timestamptz,                      -- when its order had gone back as a whole
    restocked    boolean not null default false,   -- its piece is there again, and the member may take it once more
    team         text,                             -- the code of the team in which its order pays for it, complete or not
    check (state <> 'taken' or order_id is not null),
    check (state <> 'open' or (order_id is null) = (team is null)),
    check (not restocked or refunded_at is not null)
);
create index offers_member on offers (member, campaign, offer);
create index offers_campaign on offers (campaign, offer, state);
create index offers_open on offers (campaign, offer) where state = 'open'; -- counted by every scrape

-- Orders that a shop was asked to pay back, because their team was not complete or their
-- member left it. What became of the asking stands in messages, under the same key; that the
-- money is back the shop tells by order.refunded. An order is asked for once.
create table refund_requests (
    key           text primary key references messages,
    campaign      text not null,
    version       int not null,
    journey       bigint not null references journeys,
    member        text not null,
    step          text not null,
    offer         text not null,
    order_id      text not null,
    team          text not null,                   -- its code
    amount        bigint not null,
    currency      text not null,
    reason        text not null check (reason in ('team_failed', 'left_journey', 'migrated')),
    at            timestamptz not null,            -- decided, campaign time
    confirmed_at  timestamptz,                     -- by the shop: the event's own time
    confirmed_by  text,                            -- that event
    unique (member, order_id),
    check ((confirmed_at is null) = (confirmed_by is null))
);
create index refund_requests_campaign on refund_requests (campaign, offer);
create index refund_requests_journey on refund_requests (journey);

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
    held      int not null default 0 check (held >= 0), -- for reservations
    primary key (campaign, offer)
) with (fillfactor = 50);

-- Orders that keep an offer's price until a moment. An offer that is reserved holds one piece
-- of a limited stock, however many orders have reserved it, since only one can take it.
-- held_until stands at the reservation that holds it. When that moment is past, whoever
-- looks for a piece gives it back: he locks the stock's row first, and then these. Times are
-- the campaign's.
create table offer_reservations (
    id           bigint generated always as identity primary key,
    offer        text not null references offers,   -- its id
    campaign     text not null,
    name         text not null,                     -- the offer's, as in offer_stock
    member       text not null,
    order_id     text not null check (octet_length(order_id) between 1 and 128),
    state        text not null check (state in ('reserved', 'captured', 'released', 'expired')),
    reserved_at  timestamptz not null,
    expires_at   timestamptz not null,              -- the moment itself is in time
    closed_at    timestamptz,
    held_until   timestamptz,                       -- null: holds nothing; the epoch: to be given back
    check ((state = 'reserved') = (closed_at is null)),
    check (held_until is null or state <> 'captured')
);
create unique index offer_reservations_live on offer_reservations (offer, order_id) where state = 'reserved';
create unique index offer_reservations_piece on offer_reservations (offer) where held_until is not null;
create index offer_reservations_offer on offer_reservations (offer, order_id, id);
create index offer_reservations_held on offer_reservations (campaign, name, held_until) where held_until is not null;
create index offer_reservations_open on offer_reservations (campaign, name, expires_at) where state = 'reserved';
create index offer_reservations_member on offer_reservations (member) where state = 'reserved';

-- The ledger: append-only double entry. Entries of a posting sum to zero per asset.
-- Points come from the campaign's issuer and end with the member. Those of a reward with a
-- budget go by way of the budget's own accounts: the issuer funds its pool (slot 0) with
-- what may be given, leases (slots 1 to 64) take blocks from the pool, and a grant draws
-- from one of them. So what is left of a budget is a balance. What a member redeems is
-- reserved in an account of hers first, and goes on to redeemed or back.
-- Pieces (coupons, benefits) are booked in the same way, each reward's as an asset of its own,
-- such as coupon:fitness-trial/welcome.
create table ledger_accounts (
    id        bigint generated always as identity primary key,
    asset     text not null check (asset = 'points' or asset ~ '^(coupon|benefit):'),
    kind      text not null check (kind in ('issuer', 'budget', 'lease', 'member', 'reserved', 'redeemed', 'expired', 'voided', 'clawed_back')),
    owner     text not null,                        -- campaign of an issuer and of what was clawed back, id of a budget, member; of redeemed, expired and voided nobody
    budget    bigint,                               -- kind budget and lease: whose
    slot      smallint,                             -- 0: the pool; above: a lease
    balance   bigint not null default 0,            -- projection, moved in the same transaction; that of the issuer and of the last four is derived
    floor     bigint not null default 0 check (floor <= 0), -- below zero: so far points were clawed back that were spent
    unique (asset, kind, owner),
    check (balance >= floor),
    check ((budget is not null) = (kind in ('budget', 'lease'))),
    check ((budget is null) = (slot is null))
) with (fillfactor = 70);
create unique index ledger_accounts_budget on ledger_accounts (budget, slot) where budget is not null;

create table ledger_postings (
    id      bigint generated always as identity primary key,
    key     text not null unique,                   -- idempotency: of a grant, the effect key
    kind    text not null check (kind in ('grant', 'fund', 'lease', 'reserve', 'capture', 'release', 'take', 'redeem', 'expire', 'void', 'claw_back', 'earn', 'reverse')),
    reward  text not null default '',
    at      timestamptz not null default clock_timestamp()
);

-- That posting and accounts exist is checked by the trigger. References would lock the
-- issuer's row once for each entry, by every grant at the same time.
create table ledger_entries (
    posting  bigint not null,
    account  bigint not null,
    amount   bigint not null check (amount <> 0),
    primary key (posting, account)
);

-- +goose StatementBegin
create function ledger_entries_check() returns trigger language plpgsql as $$
begin
    if exists (
        select from fresh f left join ledger_accounts a on a.id = f.account left join ledger_postings p on p.id = f.posting
         group by f.posting, a.asset, p.id having sum(f.amount) <> 0 or a.asset is null or p.id is null
    ) then
        raise exception 'ledger entries of a posting do not sum to zero';
    end if;
    -- The issuer's row is never locked: every grant would wait for it. Nor are the last ones.
    update ledger_accounts a set balance = a.balance + s.amount
      from (select account, sum(amount) as amount from fresh group by account order by account) s
     where a.id = s.account and a.kind not in ('issuer', 'redeemed', 'expired', 'voided', 'clawed_back');
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

-- What may be given of a reward: in all (day is empty), and on each day on which it was
-- granted, where a day has a budget of its own. What is left stands in the accounts.
create table budgets (
    id          bigint generated always as identity primary key,
    campaign    text not null,
    reward      text not null,
    asset       text not null default 'points',     -- what it is counted in
    day         text not null default '',           -- 2026-12-01, of the campaign's calendar
    from_at     timestamptz,                        -- of a day: its first moment, campaign time
    until_at    timestamptz,                        --   and that of the next
    cap         bigint check (cap > 0),             -- of the version submitted last; null: no limit
    per_day     bigint check (per_day > 0),         -- of the one in all: what each day may give
    per_member  bigint check (per_member > 0),      --   and each member may get
    pause_at    bigint not null default 0 check (pause_at >= 0), -- of cap, what is kept back
    resumed     boolean not null default false,     --   until somebody has resumed the reward
    kept        bigint not null generated always as (case when resumed then 0 else pause_at end) stored,
    funded      bigint not null default 0,          -- what the issuer gave it, less what it took back
    outside     bigint not null default 0,          -- what was granted while it had no limit
    changes     int not null default 0,             -- how often it was funded, or what it was given taken back
    unique (campaign, reward, day)
) with (fillfactor = 70);

create view budget_balances as
select b.id, b.campaign, b.reward, b.day, b.cap, (b.outside + b.funded - a.available)::bigint as used, a.available,
       least(b.kept, greatest(0, b.cap - (b.outside + b.funded - a.available)))::bigint as kept
  from budgets b
 cross join lateral (select coalesce(sum(balance), 0)::bigint as available from ledger_accounts where budget = b.id) a
 where b.cap is not null;

-- What is left of each reward with a budget, in all and today on the campaign's clock. A cap
-- or a per_day of 0 is none.
create view reward_budgets as
select b.campaign, b.reward, coalesce(b.cap, 0)::bigint as cap, coalesce(t.used, 0)::bigint as used, coalesce(t.available, 0)::bigint as available,
       coalesce(t.kept, 0)::bigint as kept, coalesce(b.per_day, 0)::bigint as per_day, (case when b.per_day is null then 0 else coalesce(today.available, b.per_day) end)::bigint as available_today,
       c.state
  from budgets b
  join campaigns c on c.name = b.campaign
  left join budget_balances t on t.id = b.id
 cross join lateral (
       select case c.clock_factor when 1 then clock_timestamp()
                   else c.clock_start + (clock_timestamp() - c.clock_real) * c.clock_factor::double precision end as now) k
  left join lateral (
       select v.available from budgets d join budget_balances v on v.id = d.id
        where d.campaign = b.campaign and d.reward = b.reward and d.day <> '' and d.from_at <= k.now and d.until_at > k.now
        order by d.day desc limit 1) today on true
 where b.day = '' and (b.cap is not null or b.per_day is not null);

-- Every grant that was asked for, the refused ones too: a retry gets the same answer. It is
-- written by grant_rewards alone, together with its effect.
create table grants (
    key       text primary key,
    campaign  text not null,
    version   int not null,
    reward    text not null,
    member    text not null,
    journey   bigint not null,
    step      text not null,
    points    bigint not null check (points >= 0),
    -- What it takes of a budget: its points, or one piece.
    worth     bigint not null generated always as (case when points > 0 then points else 1 end) stored,
    state     text not null check (state in ('granted', 'refused')),
    reason    text not null default '',
    at        timestamptz not null,                 -- campaign time
    created_at timestamptz not null default clock_timestamp()
);
create index grants_member on grants (member, campaign, reward, at);
create index grants_campaign on grants (campaign, reward, state, at) include (worth);

-- Which order led to a grant, if it is taken back when that is refunded.
create table order_grants (
    id         bigint generated always as identity primary key, -- in the order of granting
    grant_key  text not null unique references grants,
    journey    bigint not null,
    order_id   text not null
);
create index order_grants_order on order_grants (journey, order_id);

-- What was asked back of a grant. Of the points so many were there and taken; the rest is owed.
create table clawbacks (
    key         text primary key,                   -- of the posting too, where something was taken
    grant_key   text not null references grants,
    campaign    text not null,
    version     int not null,                       -- of the grant
    reward      text not null,
    member      text not null,
    journey     bigint not null,
    order_id    text not null,
    refund      text not null,                      -- type and id
    points      bigint not null check (points > 0),
    taken       bigint not null check (taken between 0 and points),
    at          timestamptz not null,               -- campaign time
    created_at  timestamptz not null default clock_timestamp()
);
create index clawbacks_grant on clawbacks (grant_key);
create index clawbacks_campaign on clawbacks (campaign, reward);
create index clawbacks_member on clawbacks (member);

-- claw_back_points takes points of a grant back from a member whose row is locked: as many
-- as she has or, in full, all of them, though she has less than nothing then. Answers how
-- many were taken. They go to no budget: what was used of it stays used.
-- +goose StatementBegin
create function claw_back_points(of_key text, of_campaign text, of_reward text, of_member text, amount bigint, in_full boolean) returns bigint language plpgsql as $$
declare
    mine    ledger_accounts;
    back    bigint;
    taken   bigint;
    posting bigint;
begin
    select * into mine from ledger_accounts where asset = 'points' and kind = 'member' and owner = of_member;
    if mine.id is null then
        raise exception 'member % has no points to claw back', of_member;
    end if;
    taken := case when in_full then amount else least(amount, greatest(0, mine.balance)) end;
    if taken <= 0 then
        return 0;
    end if;
    if mine.balance - taken < mine.floor then
        update ledger_accounts set floor = mine.balance - taken where id = mine.id;
    end if;
    select id into back from ledger_accounts where asset = 'points' and kind = 'clawed_back' and owner = of_campaign;
    if back is null then
        insert into ledger_accounts (asset, kind, owner) values ('points', 'clawed_back', of_campaign) on conflict do nothing;
        select id into back from ledger_accounts where asset = 'points' and kind = 'clawed_back' and owner = of_campaign;
    end if;
    insert into ledger_postings (key, kind, reward) values (of_key, 'claw_back', of_reward) returning id into posting;
    insert into ledger_entries (posting, account, amount) values (posting, mine.id, -taken), (posting, back, taken);
    update members m set points = m.points - taken, updated_at = clock_timestamp() where m.id = of_member;
    return taken;
end $$;
-- +goose StatementEnd

-- Whoever grants holds this lock shared, whoever changes a campaign's budgets alone: so a
-- budget changes between transactions that grant and never within one, and what has been
-- granted so far can be counted.
-- +goose StatementBegin
create function budgets_lock(of_campaign text) returns bigint language sql immutable as
$$ select hashtextextended(of_campaign, 7239014158625310) $$;
-- +goose StatementEnd

-- +goose StatementBegin
create function issuer_account(of_campaign text, of_asset text default 'points') returns bigint language plpgsql as $$
declare
    found_id bigint;
begin
    select id into found_id from ledger_accounts where asset = of_asset and kind = 'issuer' and owner = of_campaign;
    if found_id is null then
        insert into ledger_accounts (asset, kind, owner) values (of_asset, 'issuer', of_campaign) on conflict do nothing;
        select id into found_id from ledger_accounts where asset = of_asset and kind = 'issuer' and owner = of_campaign;
    end if;
    return found_id;
end $$;
-- +goose StatementEnd

-- fund_budget makes what is left of a budget what its limit leaves of what was granted so
-- far, but for what is kept back. Nobody else draws from it meanwhile.
-- +goose StatementBegin
create function fund_budget(of_budget bigint, new_cap bigint, granted bigint) returns void language plpgsql as $$
declare
    b       budgets;
    have    bigint;
    give    bigint;    -- what the issuer gives; below zero: takes back
    posting bigint;
    issuer  bigint;
begin
    select * into b from budgets where id = of_budget for no key update;
    if not exists (select from ledger_accounts where budget = of_budget and slot = 0) then
        insert into ledger_accounts (asset, kind, owner, budget, slot) values (b.asset, 'budget', of_budget::text, of_budget, 0);
    end if;
    select sum(balance) into have from ledger_accounts where budget = of_budget;
    give := greatest(0, new_cap - b.kept - granted) - have;
    update budgets set cap = new_cap, funded = b.funded + give, outside = granted - b.funded + have,
           changes = b.changes + (give <> 0)::int where id = of_budget;
    if give = 0 then
        return;
    end if;
    issuer := issuer_account(b.campaign, b.asset);
    insert into ledger_postings (key, kind, reward) values ('fund/' || b.id || '/' || b.changes + 1, 'fund', b.reward) returning id into posting;
    if give > 0 then
        insert into ledger_entries (posting, account, amount)
        select posting, a.id, case a.kind when 'issuer' then -give else give end from ledger_accounts a
         where a.id = issuer or a.budget = of_budget and a.slot = 0;
        return;
    end if;
    insert into ledger_entries (posting, account, amount)
    select posting, t.id, -t.part
      from (select a.id, least(a.balance, greatest(0, -give - (sum(a.balance) over (order by a.slot) - a.balance))) as part
              from ledger_accounts a where a.budget = of_budget) t
     where t.part > 0
    union all select posting, issuer, -give;
end $$;
-- +goose StatementEnd

-- set_budget sets the limits of a reward for journeys of every version; null: none. Where the
-- limit or what is kept back changes, that is kept back again. The budget of a day that has
-- not begun is made when it is first granted from.
-- +goose StatementBegin
create function set_budget(of_campaign text, of_reward text, new_cap bigint, new_per_day bigint, new_per_member bigint, of_asset text default 'points', new_pause_at bigint default 0) returns void language plpgsql as $$
declare
    b       budgets;
    granted bigint;
begin
    perform pg_advisory_xact_lock(budgets_lock(of_campaign));
    select * into b from budgets where campaign = of_campaign and reward = of_reward and day = '';
    if (b.cap, b.per_day, b.per_member, b.pause_at) is not distinct from (new_cap, new_per_day, new_per_member, new_pause_at) then
        return;
    elsif b.id is null then
        insert into budgets (campaign, reward, asset) values (of_campaign, of_reward, of_asset) returning * into b;
    end if;
    -- The grants are counted only where a limit begins: it may be millions of them, and
    -- everybody who grants waits. One that is changed knows what it has given.
    select used into granted from budget_balances where id = b.id;
    update budgets set per_day = new_per_day, per_member = new_per_member, cap = new_cap, pause_at = new_pause_at,
           resumed = b.resumed and (b.cap, b.pause_at) is not distinct from (new_cap, new_pause_at)
     where id = b.id;
    if new_cap is not null and (b.cap, b.pause_at) is distinct from (new_cap, new_pause_at) then
        perform fund_budget(b.id, new_cap, coalesce(granted, (select coalesce(sum(g.worth), 0)::bigint from grants g
            where g.campaign = of_campaign and g.reward = of_reward and g.state = 'granted')));
    end if;
    -- Of the days only the last may still be under way.
    select * into b from budgets where campaign = of_campaign and reward = of_reward and day <> '' order by day desc limit 1;
    if b.id is not null and b.cap is distinct from new_per_day then
        select used into granted from budget_balances where id = b.id;
        update budgets set cap = new_per_day where id = b.id;
        if new_per_day is not null then
            perform fund_budget(b.id, new_per_day, coalesce(granted, (select coalesce(sum(g.worth), 0)::bigint from grants g
                where g.campaign = of_campaign and g.reward = of_reward and g.state = 'granted' and g.at >= b.from_at and g.at < b.until_at)));
        end if;
    end if;
end $$;
-- +goose StatementEnd

-- resume_reward gives what a reward has kept back of its budget. It says what came of it:
-- resumed, already, never (the reward pauses never) or none (it has no budget).
-- +goose StatementBegin
create function resume_reward(of_campaign text, of_reward text) returns text language plpgsql as $$
declare
    b       budgets;
    granted bigint;
begin
    perform pg_advisory_xact_lock(budgets_lock(of_campaign));
    select * into b from budgets where campaign = of_campaign and reward = of_reward and day = '';
    if b.cap is null then
        return 'none';
    elsif b.pause_at = 0 then
        return 'never';
    elsif b.resumed then
        return 'already';
    end if;
    select used into granted from budget_balances where id = b.id;
    update budgets set resumed = true where id = b.id;
    perform fund_budget(b.id, b.cap, granted);
    return 'resumed';
end $$;
-- +goose StatementEnd

-- draw_budget finds and locks accounts of a budget from which need can be drawn, or else
-- all that is left; nothing where that is less than smallest. Drawing is the caller's, by
-- entries, in this transaction.
--
-- A lease is drawn from under its own lock alone. Who needs the pool locks it first and then
-- waits for no lease that he could do without; only when the pool and the own lease together
-- have too little is every lease waited for. Who has just locked a lease does not wait for the
-- pool. So nobody waits in a circle within one draw. Transactions that ask in several rounds
-- (for stock after a grant, or for two rewards in different orders) may, while a budget runs
-- out; PostgreSQL breaks one off, and it is taken again. A budget is used up to the last point.
-- +goose StatementBegin
create function draw_budget(
    of_budget bigint, own int, need bigint, smallest bigint, key text, out accounts bigint[], out amounts bigint[], out total bigint
) language plpgsql as $$
declare
    have    bigint;
    pool    bigint;    -- its account
    left_in bigint;    -- and what is in it
    lease   bigint;
    block   bigint;
    posting bigint;
    a       record;
begin
    select balance into have from ledger_accounts where budget = of_budget and slot = own;
    if have >= need then
        select id, balance into lease, have from ledger_accounts where budget = of_budget and slot = own for no key update;
        if have >= need then
            accounts := array[lease];
            amounts := array[need];
            total := need;
            return;
        end if;
    end if;
    -- Who draws at the same time can only make it less than what is seen here, and a budget
    -- does not grow while it is drawn from: what is not there now needs no lock to be refused.
    select sum(balance) into total from ledger_accounts where budget = of_budget;
    if total < smallest then
        total := 0;
        return;
    end if;
    if lease is not null then
        -- Another has drawn meanwhile. Who holds the pool may be waiting for this very lease.
        select id, balance into pool, left_in from ledger_accounts where budget = of_budget and slot = 0 for no key update skip locked;
        if pool is null then
            raise exception 'the pool of a budget is taken' using errcode = 'serialization_failure';
        end if;
    else
        select id, balance into pool, left_in from ledger_accounts where budget = of_budget and slot = 0 for no key update;
        select id, balance into lease, have from ledger_accounts where budget = of_budget and slot = own for no key update skip locked;
    end if;
    have := coalesce(have, 0);
    if have + left_in >= need then
        -- A block is a 128th of the pool, so that all leases together never hold back much of
        -- what is left, and a small budget is drawn from the pool itself.
        total := need;
        block := least(left_in / 128, need * 500);
        if have + block >= 2 * need then
            if lease is null and not exists (select from ledger_accounts where budget = of_budget and slot = own) then
                insert into ledger_accounts (asset, kind, owner, budget, slot)
                values ((select p.asset from ledger_accounts p where p.id = pool), 'lease', of_budget || '/' || own, of_budget, own) returning id into lease;
            end if;
            if lease is not null then
                insert into ledger_postings (key, kind) values ('lease/' || of_budget || '/' || key, 'lease') returning id into posting;
                insert into ledger_entries (posting, account, amount) values (posting, pool, -block), (posting, lease, block);
                accounts := array[lease];
                amounts := array[need];
                return;
            end if;
        end if;
        if have > 0 then
            accounts := array[lease];
            amounts := array[least(have, need)];
        end if;
        if have < need then
            accounts := accounts || pool;
            amounts := amounts || (need - have);
        end if;
        return;
    end if;
    total := 0;
    accounts := '{}';
    amounts := '{}';
    for a in select id, balance from ledger_accounts where budget = of_budget and balance > 0 order by slot for no key update loop
        exit when total >= need;
        block := least(a.balance, need - total);
        if block > 0 then
            accounts := accounts || a.id;
            amounts := amounts || block;
            total := total + block;
        end if;
    end loop;
end $$;
-- +goose StatementEnd

-- grant_rewards books grants of one campaign on one day: within each member's limits, the
-- day's budget and the budget in all, in the order given where not all can be granted. Each
-- is claimed and written down under its key, whatever came of it. Answers for each why it was
-- refused: per_member, per_day, budget, paused, pool, or what it lacks; empty: granted. The members' rows
-- are locked, and none of them stands here twice. worth is what a grant takes of its budget, in
-- its asset; stocks is how many pieces are there for all grants of its reward that need one, null:
-- it needs none.
-- +goose StatementBegin
create function grant_rewards(
    of_campaign text, of_day text, day_from timestamptz, day_until timestamptz,
    keys text[], journeys bigint[], turns int[], versions int[], whose text[], steps text[], rewards text[], worth bigint[],
    most int[], since timestamptz[], moments timestamptz[], assets text[], lacks text[], stocks int[]
) returns text[] language plpgsql as $$
declare
    n        int := cardinality(keys);
    reasons  text[];
    own      int := (hashtextextended(whose[1], 0) & 63)::int + 1;
    receives bigint[];
    issuer   bigint;
    posting  bigint;
    postings bigint[] := array_fill(null::bigint, array[n]);
    posts    bigint[] := '{}';
    debited  bigint[] := '{}';
    moved    bigint[] := '{}';
    r        record;
    d        budgets;
    drawn    record;
    t_from   bigint[];
    t_have   bigint[];
    t_left   bigint;
    t_at     int;
    d_from   bigint[];
    d_have   bigint[];
    d_left   bigint;
    d_at     int;
    p_left   bigint;
    rest     bigint;
    part     bigint;
    i        int;
begin
    perform pg_advisory_xact_lock_shared(budgets_lock(of_campaign));
    -- A plan that is made while the tables are small is used when they have grown. So of a
    -- member's grants the conditions are written such that the index by member alone will do,
    -- and her account is looked up where a join might read all accounts.
    select array_agg(case
               when g.most is not null and g.most <= (
                   select count(*) filter (where x.at > g.since) from grants x where x.member = g.member and x.campaign is not distinct from of_campaign
                      and x.reward is not distinct from g.reward and x.state is not distinct from 'granted') then 'per_member'
               when b.per_member is not null and b.per_member < g.points + (
                   select coalesce(sum(x.worth), 0) from grants x where x.member = g.member and x.campaign is not distinct from of_campaign
                      and x.reward is not distinct from g.reward and x.state is not distinct from 'granted') then 'per_member'
               else g.lack end order by g.n),
           array_agg((select a.id from ledger_accounts a where a.asset = g.asset and a.kind = 'member' and a.owner = g.member) order by g.n)
      into reasons, receives
      from unnest(whose, rewards, worth, most, since, assets, lacks) with ordinality as g (member, reward, points, most, since, asset, lack, n)
      left join budgets b on b.campaign = of_campaign and b.reward = g.reward and b.day = '';

    -- In the order of the budgets, as everybody locks them.
    for r in
        select b.id, g.reward, g.asset, b.cap, b.per_day, coalesce(b.kept, 0) > 0 as pauses, sum(g.points)::bigint as need, min(g.points) as smallest, min(g.stock) as stock,
               array_agg(g.n::int order by g.n) as who
          from unnest(rewards, worth, reasons, assets, stocks) with ordinality as g (reward, points, reason, asset, stock, n)
          left join budgets b on b.campaign = of_campaign and b.reward = g.reward and b.day = ''
         where g.reason = ''
         group by b.id, g.reward, g.asset, b.cap, b.per_day, b.kept order by b.id nulls first, g.reward
    loop
        p_left := r.stock;
        issuer := null;
        t_left := r.need;
        d_left := r.need;
        if r.cap is not null then
            drawn := draw_budget(r.id, own, r.need, r.smallest, keys[r.who[1]]);
            t_from := drawn.accounts;
            t_have := drawn.amounts;
            t_left := drawn.total;
            t_at := 1;
        end if;
        if r.per_day is not null then
            select * into d from budgets where campaign = of_campaign and reward = r.reward and day = of_day;
            if d.cap is null then
                -- Whoever comes second waits here for the first to have opened the day.
                insert into budgets (campaign, reward, asset, day, from_at, until_at) values (of_campaign, r.reward, r.asset, of_day, day_from, day_until)
                on conflict (campaign, reward, day) do nothing;
                select * into d from budgets where campaign = of_campaign and reward = r.reward and day = of_day for no key update;
                if d.cap is null then
                    perform fund_budget(d.id, r.per_day, (select coalesce(sum(x.worth), 0)::bigint from grants x
                        where x.campaign = of_campaign and x.reward = r.reward and x.state = 'granted' and x.at >= day_from and x.at < day_until));
                end if;
            end if;
            drawn := draw_budget(d.id, own, r.need, r.smallest, keys[r.who[1]]);
            d_from := drawn.accounts;
            d_have := drawn.amounts;
            d_left := drawn.total;
            d_at := 1;
        end if;
        foreach i in array r.who loop
            if d_left < worth[i] then
                reasons[i] := 'per_day';
                continue;
            elsif t_left < worth[i] then
                reasons[i] := case when r.pauses then 'paused' else 'budget' end;
                continue;
            elsif stocks[i] is not null then
                if p_left < worth[i] then
                    reasons[i] := 'pool';
                    continue;
                end if;
                p_left := p_left - worth[i];
            end if;
            posting := nextval('ledger_postings_id_seq');
            postings[i] := posting;
            if r.cap is not null then
                t_left := t_left - worth[i];
                rest := worth[i];
                while rest > 0 loop
                    part := least(rest, t_have[t_at]);
                    posts := posts || posting;
                    debited := debited || t_from[t_at];
                    moved := moved || -part;
                    rest := rest - part;
                    t_have[t_at] := t_have[t_at] - part;
                    t_at := t_at + (t_have[t_at] = 0)::int;
                end loop;
            end if;
            if r.per_day is not null then
                d_left := d_left - worth[i];
                rest := worth[i];
                while rest > 0 loop
                    part := least(rest, d_have[d_at]);
                    posts := posts || posting;
                    debited := debited || d_from[d_at];
                    moved := moved || -part;
                    rest := rest - part;
                    d_have[d_at] := d_have[d_at] - part;
                    d_at := d_at + (d_have[d_at] = 0)::int;
                end loop;
            end if;
            -- The issuer pays where no budget does; where two do, it takes the day's share back.
            if (r.cap is null) = (r.per_day is null) then
                issuer := coalesce(issuer, issuer_account(of_campaign, r.asset));
                posts := posts || posting;
                debited := debited || issuer;
                moved := moved || case when r.cap is null then -worth[i] else worth[i] end;
            end if;
        end loop;
    end loop;

    insert into effects (key, kind, journey, turn, state, reason, settled_at)
    select g.key, 'grant', g.journey, g.turn, case g.reason when '' then 'settled' else 'refused' end, g.reason, clock_timestamp()
      from unnest(keys, journeys, turns, reasons) as g (key, journey, turn, reason);
    insert into grants (key, campaign, version, reward, member, journey, step, points, state, reason, at)
    select g.key, of_campaign, g.version, g.reward, g.member, g.journey, g.step, case when g.asset = 'points' and g.reason <> 'step' then g.worth else 0 end,
           case g.reason when '' then 'granted' else 'refused' end, g.reason, g.at
      from unnest(keys, versions, rewards, whose, journeys, steps, worth, reasons, moments, assets)
           as g (key, version, reward, member, journey, step, worth, reason, at, asset);
    if cardinality(posts) = 0 then
        return reasons;
    end if;
    if array_position(receives, null) is not null then
        insert into ledger_accounts (asset, kind, owner)
        select g.asset, 'member', g.member from unnest(whose, assets, receives) as g (member, asset, account) where g.account is null
        on conflict do nothing;
        select array_agg((select a.id from ledger_accounts a where a.asset = g.asset and a.kind = 'member' and a.owner = g.member) order by g.n)
          into receives from unnest(whose, assets) with ordinality as g (member, asset, n);
    end if;
    insert into ledger_postings (id, key, kind, reward) overriding system value
    select g.posting, g.key, 'grant', g.reward from unnest(postings, keys, rewards) as g (posting, key, reward) where g.posting is not null;
    insert into ledger_entries (posting, account, amount)
    select * from unnest(posts, debited, moved)
    union all
    select g.posting, g.account, g.points from unnest(postings, receives, worth) as g (posting, account, points) where g.posting is not null;
    update members m set points = m.points + g.points, updated_at = clock_timestamp()
      from unnest(postings, whose, worth, assets) as g (posting, member, points, asset)
     where g.posting is not null and g.asset = 'points' and m.id = g.member;
    return reasons;
end $$;
-- +goose StatementEnd

-- How many codes of a reward were imported. What is left of them stands in the pool's
-- accounts, as it does for a budget: it has a number of its own among theirs.
create table coupon_pools (
    id         bigint primary key default nextval(pg_get_serial_sequence('budgets', 'id')),
    campaign   text not null references campaigns,
    reward     text not null,
    asset      text not null,
    imported   bigint not null default 0,
    changes    int not null default 0,              -- how often codes came into it
    low_water  bigint not null default 0,           -- of the version submitted last; 0: a tenth
    unique (campaign, reward)
);

-- A coupon is a code that somebody holds or, of a pool, that is still free. Whoever knows a
-- code can redeem it, so it is sealed like an address where there is a key, and looked up by
-- its hash. A code that is given back to its pool is leased again.
create table coupons (
    id           bigint generated always as identity primary key,
    campaign     text not null,
    reward       text not null,
    hash         bytea not null unique,
    code         bytea not null,
    sealed       boolean not null,                  -- by the data key
    pooled       boolean not null,
    state        text not null check (state in ('free', 'granted', 'redeemed', 'expired', 'voided')),
    leases       int  not null default 0,           -- how often it was granted
    key          text unique,                       -- of the grant
    member       text,
    returns      boolean not null default false,    -- once expired it is free again
    value        bigint not null default 0,         -- minor units, of the version that granted it
    currency     text not null default '',
    granted_at   timestamptz,                       -- campaign time
    ends_at      timestamptz,                       -- campaign time; good until then, and at that moment; null: for ever
    order_id     text,                              -- that it is reserved for, or was redeemed with
    span         interval,                          -- of the reservation, as it was asked for
    reserved_at  timestamptz,                       -- real
    held_until   timestamptz,                       -- real; reserved until then; null: not reserved
    closed_at    timestamptz,                       -- real
    check ((state = 'free') = (key is null)),
    check ((key is null) = (member is null)),
    check ((state in ('redeemed', 'expired', 'voided')) = (closed_at is not null))
) with (fillfactor = 80);
create index coupons_free on coupons (campaign, reward, id) where state = 'free';
create index coupons_member on coupons (member, campaign, reward, granted_at) where member is not null;
create index coupons_ending on coupons (campaign, ends_at) where state = 'granted';
create index coupons_state on coupons (campaign, reward, state) where state <> 'free';
create index coupons_plain on coupons (id) where not sealed;

-- draw_codes finds and locks up to need free codes of a pool, and the accounts from which
-- they are drawn. A code is drawn for the right to it: whoever holds a lock on n of the pool's
-- pieces finds n codes that nobody else has locked. So the last code is given, and none twice.
-- Drawing is the caller's, by take_codes, in this transaction.
-- +goose StatementBegin
create function draw_codes(
    of_campaign text, of_reward text, own int, need int, key text, out pool bigint, out accounts bigint[], out amounts bigint[], out codes bigint[]
) language plpgsql as $$
declare
    drawn record;
begin
    codes := '{}';
    select p.id into pool from coupon_pools p where p.campaign = of_campaign and p.reward = of_reward;
    if pool is null then
        return;
    end if;
    drawn := draw_budget(pool, own, need, 1, key);
    if coalesce(drawn.total, 0) = 0 then
        return;
    end if;
    accounts := drawn.accounts;
    amounts := drawn.amounts;
    select coalesce(array_agg(f.id), '{}') into codes from (
        select c.id from coupons c where c.campaign = of_campaign and c.reward = of_reward and c.state = 'free'
         order by c.id limit drawn.total for update skip locked) f;
    if cardinality(codes) < drawn.total then
        raise exception 'codes of a pool are being looked at' using errcode = 'serialization_failure';
    end if;
end $$;
-- +goose StatementEnd

-- take_codes gives codes that were drawn to members. What they were granted is booked by
-- grant_rewards; here the pool gives its pieces back to the issuer.
-- +goose StatementBegin
create function take_codes(
    of_pool bigint, accounts bigint[], amounts bigint[], codes bigint[], keys text[], whose text[], moments timestamptz[], ends timestamptz[],
    backs boolean[], worths bigint[], currencies text[]
) returns void language plpgsql as $$
declare
    p       coupon_pools;
    posting bigint;
begin
    select * into p from coupon_pools where id = of_pool;
    update coupons c set state = 'granted', key = g.key, member = g.member, granted_at = g.at, ends_at = g.ends, returns = g.back,
           value = g.value, currency = g.currency, leases = c.leases + 1
      from unnest(codes, keys, whose, moments, ends, backs, worths, currencies) as g (id, key, member, at, ends, back, value, currency)
     where c.id = g.id;
    insert into ledger_postings (key, kind, reward) values ('take/' || keys[1], 'take', p.reward) returning id into posting;
    insert into ledger_entries (posting, account, amount)
    select posting, t.account, -t.part
      from (select u.account, least(u.amount, greatest(0, cardinality(codes) - (sum(u.amount) over (order by u.n) - u.amount)))::bigint as part
              from unnest(accounts, amounts) with ordinality as u (account, amount, n)) t
     where t.part > 0
    union all select posting, issuer_account(p.campaign, p.asset), cardinality(codes);
end $$;
-- +goose StatementEnd

-- fill_pool books codes that came into a pool.
-- +goose StatementBegin
create function fill_pool(of_pool bigint, pieces bigint) returns void language plpgsql as $$
declare
    p       coupon_pools;
    posting bigint;
begin
    update coupon_pools set changes = changes + 1 where id = of_pool returning * into p;
    insert into ledger_accounts (asset, kind, owner, budget, slot)
    select p.asset, 'budget', p.id::text, p.id, 0
     where not exists (select from ledger_accounts where budget = p.id and slot = 0)
    on conflict do nothing;
    insert into ledger_postings (key, kind, reward) values ('fund/' || p.id || '/' || p.changes, 'fund', p.reward) returning id into posting;
    insert into ledger_entries (posting, account, amount)
    select posting, a.id, pieces from ledger_accounts a where a.budget = p.id and a.slot = 0
    union all select posting, issuer_account(p.campaign, p.asset), -pieces;
end $$;
-- +goose StatementEnd

-- move_pieces books that pieces left their members: they were redeemed, or have expired, or
-- were voided. The keys are of the postings, and a member may stand here twice.
-- +goose StatementBegin
create function move_pieces(keys text[], assets text[], whose text[], to_kind text, of_kind text) returns void language plpgsql as $$
begin
    insert into ledger_accounts (asset, kind, owner)
    select distinct g.asset, to_kind, '' from unnest(assets) as g (asset)
     where not exists (select from ledger_accounts a where a.asset = g.asset and a.kind = to_kind and a.owner = '')
    on conflict do nothing;
    insert into ledger_postings (key, kind) select g.key, of_kind from unnest(keys) as g (key);
    insert into ledger_entries (posting, account, amount)
    select p.id, a.id, s.sign
      from unnest(keys, assets, whose) as g (key, asset, member)
      join ledger_postings p on p.key = g.key
     cross join (values ('member', -1), (to_kind, 1)) as s (kind, sign)
      join ledger_accounts a on a.asset = g.asset and a.kind = s.kind and a.owner = case s.kind when 'member' then g.member else '' end;
end $$;
-- +goose StatementEnd

-- close_coupons gives coupons that are held their last state, or frees them where they go
-- back to their pool. Their rows are locked.
-- +goose StatementBegin
create function close_coupons(ids bigint[], to_state text, of_order text, at timestamptz) returns void language plpgsql as $$
declare
    r record;
begin
    perform move_pieces(array_agg('coupon/' || c.id || '/' || c.leases || '/' || to_state order by c.id),
                        array_agg('coupon:' || c.campaign || '/' || c.reward order by c.id), array_agg(c.member order by c.id),
                        to_state, case to_state when 'redeemed' then 'redeem' when 'expired' then 'expire' else 'void' end)
       from coupons c where c.id = any(ids) having count(*) > 0;
    for r in
        select c.campaign, c.reward, p.id as pool, array_agg(c.id) as back
          from coupons c join coupon_pools p on p.campaign = c.campaign and p.reward = c.reward
         where c.id = any(ids) and to_state = 'expired' and c.pooled and c.returns
         group by c.campaign, c.reward, p.id order by p.id
    loop
        update coupons c set state = 'free', key = null, member = null, granted_at = null, ends_at = null, returns = false, value = 0, currency = '',
               order_id = null, span = null, reserved_at = null, held_until = null
         where c.id = any(r.back);
        perform fill_pool(r.pool, cardinality(r.back));
    end loop;
    update coupons c set state = to_state, closed_at = at, held_until = null,
           order_id = case to_state when 'redeemed' then of_order else c.order_id end
     where c.id = any(ids) and c.state = 'granted';
end $$;
-- +goose StatementEnd

-- What members are entitled to: each grant is a span of it. One that is granted while it
-- lasts goes on from its end. Times are the campaign's.
create table benefits (
    key         text primary key,                   -- of the grant
    campaign    text not null,
    reward      text not null,
    member      text not null,
    benefit     text not null,
    granted_at  timestamptz not null,
    from_at     timestamptz not null,
    until_at    timestamptz,                        -- it does no more at that moment; null: for ever
    revoked_at  timestamptz,
    check (until_at >= from_at)
);
create index benefits_member on benefits (member, benefit, from_at);
create index benefits_campaign on benefits (campaign, reward);

-- benefits_of is what a member's row says of her benefits: until when each was granted.
-- +goose StatementBegin
create function benefits_of(of_member text) returns jsonb language sql stable set timezone = 'UTC' as $$
    select coalesce(jsonb_object_agg(b.benefit, b.until_at), '{}') from (
        select x.benefit, case when bool_or(x.until_at is null) then null else max(x.until_at) end as until_at
          from benefits x where x.member = of_member and x.revoked_at is null group by x.benefit) b
$$;
-- +goose StatementEnd

-- entitle gives benefits; a span of zero is for ever. It answers since when each new span
-- counts, and until when the member has the benefit now; for ever is longer than anything. The
-- members' rows are locked, and none of them stands here twice.
-- +goose StatementBegin
create function entitle(of_campaign text, keys text[], rewards text[], whose text[], names text[], spans interval[], moments timestamptz[])
returns table (key text, from_at timestamptz, until_at timestamptz, extended boolean) language plpgsql as $$
#variable_conflict use_column
begin
    insert into benefits as b (key, campaign, reward, member, benefit, granted_at, from_at, until_at)
    select g.key, of_campaign, g.reward, g.member, g.benefit, g.at, s.start, case when g.span > interval '0' then s.start + g.span end
      from unnest(keys, rewards, whose, names, spans, moments) as g (key, reward, member, benefit, span, at)
     cross join lateral (
           select greatest(g.at, (select max(x.until_at) from benefits x where x.member = g.member and x.benefit = g.benefit and x.revoked_at is null)) as start) s;
    update members m set benefits = benefits_of(m.id), updated_at = clock_timestamp() where m.id = any(whose);
    return query
    select b.key, b.from_at, case when bool_or(x.until_at is null) then null else max(x.until_at) end,
           coalesce(bool_or(x.key <> b.key and (x.until_at is null or x.until_at > b.granted_at)), false)
      from benefits b join benefits x on x.member = b.member and x.benefit = b.benefit and x.revoked_at is null
     where b.key = any(keys)
     group by b.key;
end $$;
-- +goose StatementEnd

-- void_grant takes back what a grant gave beside points, because what it was given for was
-- taken back: a coupon that is not used yet is voided, a benefit ends, and spans that were
-- to follow it begin earlier. at is campaign time; the member's row is locked. Answers what it
-- did: voided, revoked; nothing where there is nothing to take back, or it has been already.
-- +goose StatementBegin
create function void_grant(of_key text, at timestamptz) returns text language plpgsql as $$
declare
    c  coupons;
    b  benefits;
    less interval;
begin
    select * into c from coupons where key = of_key for no key update;
    if c.state = 'granted' then
        perform close_coupons(array[c.id], 'voided', null, clock_timestamp());
        return 'voided';
    end if;
    select * into b from benefits where key = of_key for no key update;
    if b.key is null or b.revoked_at is not null or b.until_at <= at then
        return '';
    end if;
    update benefits set revoked_at = at where key = of_key;
    less := make_interval(secs => extract(epoch from b.until_at - greatest(b.from_at, at)));
    if less > interval '0' then
        update benefits x set from_at = x.from_at - less, until_at = x.until_at - less
         where x.member = b.member and x.benefit = b.benefit and x.revoked_at is null and x.from_at >= b.until_at;
    end if;
    update members m set benefits = benefits_of(m.id), updated_at = clock_timestamp() where m.id = b.member;
    perform move_pieces(array['void/' || of_key], array['benefit:' || b.campaign || '/' || b.reward], array[b.member], 'voided', 'void');
    return 'revoked';
end $$;
-- +goose StatementEnd

-- Points that members redeem: reserved for an order until a moment, then captured by it, or
-- cancelled, or, by the sweep, expired. The id is the caller's.
create table redemptions (
    id           text primary key check (octet_length(id) between 1 and 128),
    member       text not null references members,
    points       bigint not null check (points > 0),
    order_id     text not null,
    span         interval not null,                 -- as it was asked for
    state        text not null check (state in ('reserved', 'captured', 'cancelled', 'expired')),
    reserved_at  timestamptz not null,              -- all times are real
    expires_at   timestamptz not null,
    closed_at    timestamptz,
    check ((state = 'reserved') = (closed_at is null))
);
create index redemptions_member on redemptions (member, reserved_at);
create index redemptions_reserved on redemptions (expires_at) where state = 'reserved';

-- move_points posts one movement from an account of a kind to one of another; member is whose
-- they are, and her row is locked.
-- +goose StatementBegin
create function move_points(of_key text, of_kind text, of_member text, from_kind text, to_kind text, amount bigint) returns void language plpgsql as $$
declare
    posting bigint;
begin
    insert into ledger_accounts (asset, kind, owner)
    select 'points', k.kind, case k.kind when 'redeemed' then '' else of_member end from unnest(array[from_kind, to_kind]) as k (kind)
     where not exists (select from ledger_accounts a where a.asset = 'points' and a.kind = k.kind and a.owner = case k.kind when 'redeemed' then '' else of_member end)
    on conflict do nothing;
    insert into ledger_postings (key, kind) values (of_key, of_kind) returning id into posting;
    insert into ledger_entries (posting, account, amount)
    select posting, (select a.id from ledger_accounts a where a.asset = 'points' and a.kind = k.kind and a.owner = case k.kind when 'redeemed' then '' else of_member end),
           k.sign * move_points.amount
      from (values (from_kind, -1), (to_kind, 1)) as k (kind, sign);
    update members m set points = m.points + case 'member' when to_kind then move_points.amount else -move_points.amount end, updated_at = clock_timestamp()
     where m.id = of_member and 'member' in (from_kind, to_kind);
end $$;
-- +goose StatementEnd

-- post_points posts movements of points, each under its key: from an account of a kind to one
-- of another. The owner of a member's accounts is she, that of an issuer the campaign, and
-- that of what was redeemed or has expired nobody. The members' rows are locked.
-- +goose StatementBegin
create function post_points(
    of_kind text, keys text[], rewards text[], from_kinds text[], from_owners text[], to_kinds text[], to_owners text[], amounts bigint[]
) returns void language plpgsql as $$
declare
    postings bigint[];
    froms    bigint[];
    tos      bigint[];
begin
    if cardinality(keys) = 0 then
        return;
    end if;
    insert into ledger_accounts (asset, kind, owner)
    select distinct 'points', k.kind, k.owner from unnest(from_kinds || to_kinds, from_owners || to_owners) as k (kind, owner)
     where not exists (select from ledger_accounts a where a.asset = 'points' and a.kind = k.kind and a.owner = k.owner)
     order by 2, 3
    on conflict do nothing;
    select array_agg(nextval('ledger_postings_id_seq') order by p.n),
           array_agg((select a.id from ledger_accounts a where a.asset = 'points' and a.kind = p.from_kind and a.owner = p.from_owner) order by p.n),
           array_agg((select a.id from ledger_accounts a where a.asset = 'points' and a.kind = p.to_kind and a.owner = p.to_owner) order by p.n)
      into postings, froms, tos
      from unnest(from_kinds, from_owners, to_kinds, to_owners) with ordinality as p (from_kind, from_owner, to_kind, to_owner, n);
    if of_kind = 'reverse' then -- what was spent is owed
        update ledger_accounts a set floor = least(a.floor, a.balance - s.amount)
          from (select account, sum(amount)::bigint as amount from unnest(froms, amounts) as f (account, amount) group by account order by account) s
         where a.id = s.account and a.kind = 'member' and a.balance - s.amount < a.floor;
    end if;
    insert into ledger_postings (id, key, kind, reward) overriding system value
    select p.id, p.key, of_kind, p.reward from unnest(postings, keys, rewards) as p (id, key, reward);
    insert into ledger_entries (posting, account, amount)
    select p.posting, p.account, -p.amount from unnest(postings, froms, amounts) as p (posting, account, amount)
    union all
    select p.posting, p.account, p.amount from unnest(postings, tos, amounts) as p (posting, account, amount);
    update members m set points = m.points + s.amount, updated_at = clock_timestamp()
      from (select p.owner, sum(p.amount)::bigint as amount
              from (select f.owner, -f.amount as amount from unnest(from_kinds, from_owners, amounts) as f (kind, owner, amount) where f.kind = 'member'
                    union all
                    select t.owner, t.amount from unnest(to_kinds, to_owners, amounts) as t (kind, owner, amount) where t.kind = 'member') p
             group by p.owner) s
     where m.id = s.owner;
end $$;
-- +goose StatementEnd

-- Points with an end, as a member got them. What is left of them is spent in the order of
-- their ends; what is past its end is no longer hers, and the sweep posts it. Points without
-- an end are what she has beside her batches.
create table point_batches (
    id          bigint generated always as identity primary key,
    key         text not null unique,               -- of the posting that gave them
    member      text not null references members,
    campaign    text not null,
    points      bigint not null check (points > 0),
    remaining   bigint not null check (remaining between 0 and points), -- not spent, taken back or expired
    expired     bigint not null default 0 check (expired between 0 and points),
    sweeps      int not null default 0,             -- how often some of it expired
    ends_at     timestamptz not null,               -- real
    created_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index point_batches_member on point_batches (member, ends_at, id) where remaining > 0;
create index point_batches_over on point_batches (ends_at) where remaining > 0;

-- What a reservation of points took from batches, to be given back to them.
create table point_draws (
    redemption  text not null,
    batch       bigint not null references point_batches,
    points      bigint not null check (points > 0),
    primary key (redemption, batch)
);

-- What events were judged to be worth by a campaign's rules of points: once for each rule and
-- event, whatever version decided it. Written under the member's lock.
create table point_gains (
    id          bigint generated always as identity primary key,
    campaign    text not null,
    version     int  not null,
    rule        text not null,
    event       text not null,
    member      text not null,
    day         date not null,                      -- of the event, on the campaign's calendar
    asked       bigint not null check (asked >= 0), -- what the rule gives for it
    points      bigint not null check (points between 0 and asked), -- what the caps left of that
    reason      text not null default '',           -- why it is less: daily_cap, per_member; undecided
    at          timestamptz not null,               -- the event's own time
    groups      text[] not null default '{}',       -- in which parts it is ranked, beside the leaderboard's groups
    reverse_on  text,                               -- the type of event that takes it back; null: none, or it was
    taken       bigint not null default 0 check (taken between 0 and points), -- what was taken back of it
    short       bigint not null default 0 check (short between 0 and points), -- what was spent already, and not owed
    reversed_by text,                               -- the event
    created_at  timestamptz not null default clock_timestamp(),
    unique (campaign, rule, event)
) with (fillfactor = 80);
create index point_gains_member on point_gains (member, campaign, rule, at);
create index point_gains_reversible on point_gains (member, reverse_on) where reverse_on is not null;

-- What a member got on a day by a rule, less what was taken back: what caps and levels count.
create table point_days (
    campaign  text not null,
    member    text not null,
    rule      text not null,
    day       date not null,
    points    bigint not null check (points >= 0),
    primary key (member, campaign, rule, day)
) with (fillfactor = 70);

-- What a member has earned in a campaign by its rules, less what was taken back, and her level.
-- members.levels is a projection.
create table point_members (
    id        bigint generated always as identity primary key,
    campaign  text not null,
    member    text not null references members,
    earned    bigint not null default 0 check (earned >= 0),
    level     text not null default '',
    low_since timestamptz,                          -- since when she has too few points for it; campaign time
    level_at  timestamptz,                          -- for which moment the level was worked out; campaign time
    changes   int not null default 0,               -- of the level
    due_at    timestamptz,                          -- real: when the level may change although nothing happens
    unique (member, campaign)
) with (fillfactor = 70);
create index point_members_due on point_members (due_at) where due_at is not null;

-- The rankings of a campaign: what members earned in a period of its calendar, as a whole (board
-- is empty) and within each part of each group. A member's rank is a range of the index.
create table point_scores (
    campaign  text not null,
    board     text not null,                        -- a group of the leaderboard
    part      text not null,
    period    text not null check (period in ('day', 'week', 'month', 'all')),
    begins    date not null,                        -- its first day; of all time 1970-01-01
    member    text not null,
    points    bigint not null,
    primary key (member, campaign, board, part, period, begins)
) with (fillfactor = 70);
create index point_scores_rank on point_scores (campaign, board, part, period, begins, points desc, member);

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

-- Members who come together at a step of a journey, or to buy an offer. Who changes a team, or says that its
-- time is over, holds its row: so it never has more members than its size, and all are
-- told the same. The code is its own, made by chance, and no way to the members.
create table teams (
    id          bigint generated always as identity primary key,
    key         text not null unique,               -- of the step's visit that opened it
    code        text not null unique,
    campaign    text not null,
    version     int  not null,                      -- of the journey that opened it
    journey     text not null,
    place       text not null,                      -- the step: its label or, without one, its id; of buyers the offer
    offer       text not null default '',           -- that its members buy together; empty: they stand at a step
    size        int  not null check (size between 2 and 100),
    joined      int  not null check (joined between 0 and size), -- who are in it now
    came        int  not null,                      -- who have ever come into it
    state       text not null check (state in ('open', 'formed', 'failed', 'withdrawn')),
    opened_at   timestamptz not null,               -- these times are the campaign's
    ends_at     timestamptz not null,
    closes_at   timestamptz not null,               -- when nobody comes into it any more: its end or, of buyers, the end of the grace
    closed_at   timestamptz,
    created_at  timestamptz not null default clock_timestamp(),
    unique (id, campaign, offer),
    check (closes_at >= ends_at),
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
    campaign   text not null,
    offer      text not null default '',
    order_id   text,                                -- that has paid for the place: of buyers every one has its own
    primary key (team, number),
    foreign key (team, campaign, offer) references teams (id, campaign, offer),
    check ((offer = '') = (order_id is null))
);
-- An order pays for one place for ever, whoever tells of it and how often.
create unique index team_members_order on team_members (campaign, order_id) where order_id is not null;
create index team_members_paid on team_members (member, order_id) where order_id is not null;
create unique index team_members_once on team_members (team, member) where left_at is null;
create index team_members_journey on team_members (journey);
create index team_members_member on team_members (member);

-- By which members bring others: one code for each member and campaign.
create table referral_codes (
    id          bigint generated always as identity primary key,
    code        text not null unique,
    campaign    text not null references campaigns,
    member      text not null references members,
    state       text not null default 'open' check (state in ('open', 'closed')),
    clicks      bigint not null default 0,
    created_at  timestamptz not null default clock_timestamp(),
    closed_at   timestamptz,
    unique (campaign, member),
    check ((state = 'open') = (closed_at is null))
) with (fillfactor = 70);

-- Who brought whom. A journey of the invitee follows each and is the only one that changes
-- it; it only ever moves forward. Its times but created_at are the campaign's.
create table referrals (
    id              bigint generated always as identity primary key,
    campaign        text not null,
    version         int  not null,                  -- by whose rules it was bound
    code            bigint not null references referral_codes,
    inviter         text not null,
    invitee         text not null references members,
    channel         text not null default '',       -- where the link was shown, if a signed click says so
    state           text not null default 'bound'
                    check (state in ('bound', 'qualified', 'vested', 'rejected', 'expired', 'clawed-back')),
    held            boolean not null default false, -- a person is to decide
    facts           jsonb not null,                 -- that the rules of fraud were asked about, at the binding
    verdict         jsonb not null,                 -- of those rules, the last
    bound_at        timestamptz not null,
    qualified_at    timestamptz,
    closed_at       timestamptz,                    -- vested, rejected or expired
    clawed_back_at  timestamptz,
    event           text not null default '',       -- that qualified
    order_id        text not null default '',
    reason          text not null default '',       -- why it was rejected
    success         int,                            -- which success of the inviter it is
    inviter_reward  text not null default '',       -- that was given
    invitee_reward  text not null default '',
    created_at      timestamptz not null default clock_timestamp(),
    unique (campaign, invitee),
    check (inviter <> invitee)
) with (fillfactor = 70);
create index referrals_inviter on referrals (campaign, inviter, bound_at);
create index referrals_campaign on referrals (campaign, id);

-- +goose StatementBegin
create function referrals_forward() returns trigger language plpgsql as $$
begin
    if (old.campaign, old.inviter, old.invitee, old.code) is distinct from (new.campaign, new.inviter, new.invitee, new.code) then
        raise exception 'who brought whom does not change';
    end if;
    if old.state <> new.state and (old.state, new.state) not in (
        ('bound', 'qualified'), ('bound', 'expired'), ('qualified', 'vested'), ('qualified', 'rejected'), ('vested', 'clawed-back')) then
        raise exception 'a referral does not go from % to %', old.state, new.state;
    end if;
    return new;
end $$;
-- +goose StatementEnd
create trigger referrals_forward before update on referrals for each row execute function referrals_forward();

-- What is told of the people in referrals, as keyed hashes alone: to see what two of them
-- share, and how many came from where.
create table referral_marks (
    campaign  text not null,
    kind      text not null check (kind in ('device', 'network', 'phone', 'payment', 'request')),
    hash      bytea not null,
    member    text not null references members on delete cascade,
    referral  bigint references referrals,          -- null: she is known by it as an inviter alone
    at        timestamptz not null,                 -- campaign time
    primary key (campaign, kind, hash, member)
);
create index referral_marks_member on referral_marks (member, campaign);
create index referral_marks_referral on referral_marks (referral) where referral is not null;

-- Wrong codes, by keyed hashes of who tried them. All times are real.
create table referral_guesses (
    subject       bytea primary key,
    misses        int not null,
    since         timestamptz not null,
    locked_until  timestamptz
);

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
    address     bytea,                              -- null: only a state is known, or it was removed
    sealed      boolean not null default false,     -- by the data key
    hash        bytea,                              -- of the address, to look it up; keyed where it is sealed
    state       text not null default 'reachable' check (state in ('reachable', 'unreachable', 'opted_out')),
    reason      text not null default '',           -- of the state
    by_link     boolean not null default false,     -- opted out by the link in a message: so is everybody who has this address
    state_at    timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    told_at     timestamptz,                        -- when its platform last said whether she follows, by the platform's clock
    unique (member, kind, account),
    check ((address is null) = (hash is null)),
    check (state = 'opted_out' or not by_link)
);
create index identities_hash on identities (kind, account, hash) where hash is not null;
create index identities_by_link on identities (kind, account, hash) where by_link;
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
create index platform_sends_slot on platform_sends (slot); -- to forget what counts no more

-- What users of mini programs have permitted: each permit is for one message by a template.
-- The platform keeps the same count and tells nobody; see 43101 of the channel.
create table permits (
    account     text not null,                      -- the app id
    receiver    bytea not null,                     -- as identities.hash
    template    text not null,
    permits     int not null check (permits >= 0),  -- that no message has taken
    updated_at  timestamptz not null default now(),
    primary key (account, receiver, template)
);

-- Which messages took a permit, so that one that is tried again takes no other.
create table permit_uses (
    key         bytea primary key,                  -- SHA-256 of the message's
    used_at     timestamptz not null default now()
);
create index permit_uses_used_at on permit_uses (used_at); -- to forget them

-- What platforms told of their own account, as it was opened: kept in the moment it is
-- acknowledged, worked afterwards. The same payload again, by whichever way, is the same row.
create table callbacks (
    id          bigint generated always as identity primary key,
    hash        bytea not null unique,              -- SHA-256 of the whole payload
    channel     text not null,
    account     text not null,
    sort        text not null default '',           -- what the envelope said of it
    payload     bytea not null,
    sealed      boolean not null,                   -- by the data key
    received_at timestamptz not null default now(),
    due_at      timestamptz not null default now(), -- while it is being worked: when somebody else may try
    tries       int not null default 0,
    error       text not null default '',           -- of the last try
    done_at     timestamptz
);
create index callbacks_due on callbacks (due_at) where done_at is null;
create index callbacks_done on callbacks (done_at) where done_at is not null; -- to forget them
create index callbacks_plain on callbacks (id) where not sealed;

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
drop view reward_budgets, budget_balances;
drop table idempotency, api_keys, callbacks, permit_uses, permits, platform_sends, platform_tokens, identities, data_keys, referral_guesses, referral_marks, referrals, referral_codes, team_members, teams, point_scores, point_members, point_days, point_gains, point_draws, point_batches, redemptions, reviews, clawbacks, order_grants, benefits, coupons, coupon_pools, grants, budgets, ledger_entries, ledger_postings, ledger_accounts,
    offer_reservations, offer_stock, exposures, refund_requests, offers, messages, effects, trace, migration_moves, migrations, turns, journeys, intents, events, members, slices, schedules, campaign_versions, campaigns;
drop function ledger_entries_check();
drop function referrals_forward();
drop function grant_rewards(text, text, timestamptz, timestamptz, text[], bigint[], int[], int[], text[], text[], text[], bigint[], int[], timestamptz[], timestamptz[], text[], text[], int[]);
drop function void_grant(text, timestamptz);
drop function entitle(text, text[], text[], text[], text[], interval[], timestamptz[]);
drop function benefits_of(text);
drop function close_coupons(bigint[], text, text, timestamptz);
drop function move_pieces(text[], text[], text[], text, text);
drop function fill_pool(bigint, bigint);
drop function take_codes(bigint, bigint[], bigint[], bigint[], text[], text[], timestamptz[], timestamptz[], boolean[], bigint[], text[]);
drop function draw_codes(text, text, int, int, text);
drop function claw_back_points(text, text, text, text, bigint, boolean);
drop function move_points(text, text, text, text, text, bigint);
drop function post_points(text, text[], text[], text[], text[], text[], text[], bigint[]);
drop function draw_budget(bigint, int, bigint, bigint, text);
drop function resume_reward(text, text);
drop function set_budget(text, text, bigint, bigint, bigint, text, bigint);
drop function fund_budget(bigint, bigint, bigint);
drop function issuer_account(text, text);
drop function budgets_lock(text);
drop function append_only();
