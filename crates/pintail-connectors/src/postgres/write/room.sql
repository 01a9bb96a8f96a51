-- One row: how many indexes keep rows of a table apart from each other at once, the foreign key that would not let rows go for
-- a moment, and its table; then the columns that staged rows do not have, as the server lists them and as those of `kept`.
with recursive own as (
  select c.oid
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = /* schema */ and c.relname = /* table */
  union
  select i.inhrelid from pg_catalog.pg_inherits i join own on own.oid = i.inhparent
), referring as (
  select k.conname::text as name, k.conrelid::pg_catalog.regclass::text as of_table
  from pg_catalog.pg_constraint k
  where k.contype = 'f' and k.confdeltype <> 'a' and k.confrelid in (select oid from own)
  order by 2, 1
  limit 1
), others as (
  select pg_catalog.quote_ident(a.attname) as name, a.attnum as number
  from pg_catalog.pg_attribute a
  where a.attrelid = (select c.oid from own join pg_catalog.pg_class c on c.oid = own.oid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = /* schema */ and c.relname = /* table */)
    and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attname not in (/* names */)
)
select
  (select count(*) from pg_catalog.pg_index i
   where i.indrelid in (select oid from own) and (i.indisunique or i.indisexclusion) and i.indimmediate)::bigint as indexes,
  (select name from referring) as foreign_key,
  (select of_table from referring) as referring,
  coalesce((select string_agg(name, ', ' order by number) from others), '') as others,
  coalesce((select string_agg('kept.' || name, ', ' order by number) from others), '') as of_kept
