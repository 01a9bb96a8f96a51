select
  i.indexrelid::bigint as index,
  k.position::bigint as position,
  a.attname::text as column,
  i.indisprimary as primary,
  i.indisunique and bool_and(a.attnotnull is true) over (partition by i.indexrelid) as unique
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = c.relam and m.amname = 'btree'
cross join lateral unnest(i.indkey::int2[]) with ordinality as k(number, position)
left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0
where i.indrelid = /* oid */::oid
  and i.indisvalid
  and i.indisready
  and i.indpred is null
  and k.position <= i.indnkeyatts
order by i.indisprimary desc, i.indnkeyatts, i.indexrelid, k.position
