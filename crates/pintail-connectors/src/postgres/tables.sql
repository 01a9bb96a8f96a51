select n.nspname::text as schema, c.relname::text as name, c.relkind in ('v', 'm') as view
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and not c.relispartition
  and n.nspname <> 'information_schema'
  and n.nspname not like 'pg\_%'
  /* schema */
  and pg_catalog.has_schema_privilege(n.oid, 'usage')
  and pg_catalog.has_any_column_privilege(c.oid, 'select')
  and not exists (
      select
      from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.objid = c.oid
        and d.deptype = 'e'
  )
order by 1, 2
