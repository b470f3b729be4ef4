-- name: MemberBenefits :many
select b.* from benefits b where b.member = sqlc.arg(member)::text order by b.from_at desc, b.key limit 1000;

-- name: ReportBenefits :many
select b.reward, b.benefit, count(*)::bigint as granted, (count(*) filter (where b.revoked_at is not null))::bigint as revoked,
       count(distinct b.member) filter (where b.revoked_at is null and b.from_at <= sqlc.arg(now)::timestamptz and (b.until_at is null or b.until_at > sqlc.arg(now)::timestamptz))::bigint as members
  from benefits b where b.campaign = sqlc.arg(campaign) group by b.reward, b.benefit order by b.reward, b.benefit;

-- name: DoctorBenefits :one
-- Each member's benefits twice over: her row, and the spans; and each span and each one taken
-- back once in her account.
select ((select count(*) from members m where m.benefits <> benefits_of(m.id))
        + (select count(*) from (
              select coalesce(a.asset, b.asset) from (
                     select a.asset, a.owner, sum(e.amount) as n from ledger_accounts a join ledger_entries e on e.account = a.id
                      where a.kind = 'member' and a.asset like 'benefit:%' group by a.asset, a.owner) a
                full join (select 'benefit:' || campaign || '/' || reward as asset, member, count(*) as n from benefits where revoked_at is null group by 1, 2) b
                  on b.asset = a.asset and b.member = a.owner
               where coalesce(a.n, 0) <> coalesce(b.n, 0)) accounts))::bigint as wrong;
