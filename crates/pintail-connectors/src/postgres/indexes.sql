-- What is unique in a table is not in its children, which a SELECT reads with it. Partitions are no such children.
with owner as (
  select
    o.oid,
    o.relkind = 'p' or not exists (select from pg_catalog.pg_inherits h where h.inhparent = o.oid) as alone
  from pg_catalog.pg_class o
  where o.oid = /* oid */::oid
)
select
  i.indexrelid::bigint as index,
  k.position::bigint as position,
  a.attname::text as column,
  i.indisprimary and owner.alone as primary,
  i.indisunique and owner.alone and bool_and(a.attnotnull is true) over (partition by i.indexrelid) as unique
from owner
join pg_catalog.pg_index i on i.indrelid = owner.oid
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
cross join lateral unnest(i.indkey::int2[]) with ordinality as k(number, position)
left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
where i.indisvalid
  and i.indisready
  and i.indpred is null
  and k.position <= i.indnkeyatts
order by i.indisprimary desc, i.indnkeyatts, i.indexrelid, k.position
