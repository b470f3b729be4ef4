-- What the engine would have written: 40 members in version 1, 20 in version 2, one in
-- four held out; half of those treated and a fifth of those held out convert.
insert into members (id, joined_at, source, tags, points)
select 'm-' || lpad(i::text, 2, '0'), '2026-11-20 01:00Z', 'wechat', '{vip}', 0 from generate_series(1, 60) i;

insert into journeys (campaign, version, digest, journey, member, entry, workflow_id, holdout, state, turn, cursor, step,
                      step_name, summary, wait_until, status, outcome, goal_at, goal_event, goal_minor, entered_by, entered_at, ended_at)
select 'fitness-trial', v, 'd' || v, 'trial-to-card', 'm-' || lpad(i::text, 2, '0'), 1, 'journey/fitness-trial/trial-to-card/' || i || '/1',
       held, '{}', 3, 2,
       case when active then '3' else '' end, case when active then 'offer monthly-card' else '' end,
       case when active then 'offer monthly-card' else '' end, case when active then '2026-12-05 02:00Z'::timestamptz end,
       case when active then 'active' else 'done' end, case when active then '' when goal then 'converted' else 'no-show' end,
       case when goal then '2026-12-03 02:00Z'::timestamptz end, case when goal then 'paid-' || i end, case when goal then 19900 end,
       'event', '2026-12-01 01:00Z'::timestamptz + i * interval '1 minute', case when not active then '2026-12-03 02:00Z'::timestamptz end
  from (select i, 1 + (i > 40)::int as v, i % 4 = 0 as held, i % 4 <> 0 and i % 10 = 3 as active,
               case when i % 4 = 0 then i % 20 = 0 else i % 2 = 0 end as goal from generate_series(1, 60) i) x;

insert into trace (journey, turn, at, step, kind, params, campaign, version)
select id, 0, entered_at, '', 'entered', '{"by":"event"}'::jsonb, campaign, version from journeys
union all
select id, 1, entered_at, '1', 'step', '{"name":"await lesson.attended"}', campaign, version from journeys
union all
select id, 1, entered_at, '1', 'waiting', '{"what":"lesson.attended","until":"2026-12-08 09:30"}', campaign, version from journeys
union all
select id, 2, entered_at + interval '1 day', '3', 'step', '{"name":"offer monthly-card"}', campaign, version from journeys where id % 5 <> 1
union all
select id, 2, entered_at + interval '1 day', '2', 'not_sent', '{"message":"hello","reason":"holdout"}', campaign, version from journeys where holdout
union all
select id, 3, entered_at + interval '2 days', '3', 'late', '{"type":"order.paid","event":"late","what":"offer monthly-card"}', campaign, version
  from journeys where member in ('m-05', 'm-45');

insert into effects (key, kind, journey, turn, state)
select 'send-' || id, 'send', id, 2, 'settled' from journeys where not holdout
union all
select 'offer-' || id, 'offer', id, 2, 'settled' from journeys where not holdout
union all
select 'grant-' || id, 'grant', id, 3, 'settled' from journeys where goal_at is not null and not holdout;

insert into messages (key, campaign, version, journey, member, step, name, kind, bodies, channel, state, reason, provider_id, attempts, at, sent_at)
select 'send-' || id, campaign, version, id, member, '2', 'hello', 'marketing', '[]', 'webhook',
       case when id % 7 = 0 then 'refused' else 'sent' end, case when id % 7 = 0 then 'channel_refused' else '' end,
       case when id % 7 = 0 then '' else 'p-' || id end, 1, entered_at + interval '1 day', entered_at + interval '1 day'
  from journeys where not holdout;

insert into offers (id, key, campaign, version, offer, journey, member, step, state, price, list_price, currency, opened_at, expires_at,
                    grace_until, closed_at, order_id, paid)
select 'of_' || lpad(id::text, 4, '0'), 'offer-' || id, campaign, version, 'monthly-card', id, member, '3',
       case when goal_at is not null then 'taken' when status = 'active' then 'open' else 'lapsed' end, 19900, 29900, 'CNY',
       '2026-12-02 02:00Z', case when status = 'active' then '2099-12-04 02:00Z'::timestamptz else '2026-12-04 02:00Z' end, null, case when status <> 'active' then '2026-12-03 02:00Z'::timestamptz end,
       case when goal_at is not null then 'o-' || id end, case when goal_at is not null then 19900 end
  from journeys where not holdout;
update offer_stock set stock = 100, taken = (select count(*) from offers where state = 'taken');

insert into grants (key, campaign, version, reward, member, journey, step, points, state, reason, at)
select 'grant-' || id, campaign, version, 'first-card', member, id, '3.taken.1', 100,
       case when id > 50 then 'refused' else 'granted' end, case when id > 50 then 'budget' else '' end, '2026-12-03 02:00Z'
  from journeys where goal_at is not null and not holdout;
-- A limit that begins counts what was granted; one that stays as it is has counted it.
select set_budget('fitness-trial', 'first-card', null, null, null);
select set_budget('fitness-trial', 'first-card', 1000000, null, null);
insert into ledger_accounts (asset, kind, owner)
select 'points', 'issuer', 'fitness-trial' union all
select distinct 'points', 'member', member from grants where state = 'granted'
on conflict do nothing;
insert into ledger_postings (key, kind, reward) select key, 'grant', reward from grants where state = 'granted';
insert into ledger_entries (posting, account, amount)
select p.id, a.id, g.points from grants g join ledger_postings p on p.key = g.key join ledger_accounts a on a.owner = g.member
union all
select p.id, a.id, -g.points from grants g join ledger_postings p on p.key = g.key join ledger_accounts a on a.kind = 'issuer';
update members m set points = a.balance from ledger_accounts a where a.kind = 'member' and a.owner = m.id;

insert into reviews (key, kind, campaign, journey, member, offer, event, at)
select 'review-' || id, 'underpaid', campaign, id, member, 'monthly-card', 'e-' || id, '2026-12-03 02:00Z' from journeys where member in ('m-05', 'm-45');
