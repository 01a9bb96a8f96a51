-- A foreign key of another table through which rows that are deleted take others with them, or away from their references.
with recursive own as (
  select c.oid
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = /* schema */ and c.relname = /* table */
  union
  select i.inhrelid from pg_catalog.pg_inherits i join own on own.oid = i.inhparent
)
select k.conname::text as constraint_name, k.conrelid::pg_catalog.regclass::text as referring
from pg_catalog.pg_constraint k
where k.contype = 'f' and k.confdeltype in ('c', 'n', 'd')
  and k.confrelid in (select oid from own) and k.conrelid not in (select oid from own)
order by 2, 1
limit 1
