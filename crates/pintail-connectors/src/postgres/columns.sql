-- Columns with the type that a domain stands for, however many domains lie between.
with recursive base as (
  select
    a.attnum,
    a.atttypid as type,
    a.atttypmod as modifier,
    a.attndims::integer as dimensions
  from pg_catalog.pg_attribute a
  where a.attrelid = /* oid */::oid and a.attnum > 0 and not a.attisdropped
  union all
  select
    base.attnum,
    t.typbasetype,
    case when t.typtypmod >= 0 then t.typtypmod else base.modifier end,
    greatest(t.typndims, base.dimensions)
  from base
  join pg_catalog.pg_type t on t.oid = base.type and t.typtype = 'd'
)
select
  a.attnum::bigint as number,
  a.attname::text as name,
  pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
  a.attnotnull as required,
  pg_catalog.format_type(base.type, base.modifier) as base_type,
  base.dimensions::bigint as dimensions
from pg_catalog.pg_attribute a
join base on base.attnum = a.attnum
join pg_catalog.pg_type t on t.oid = base.type and t.typtype <> 'd'
where a.attrelid = /* oid */::oid
order by a.attnum
