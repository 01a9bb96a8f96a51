-- Whether a table can be swapped for another one of the same definition without anybody noticing: nothing refers to it
-- but its own indexes and constraints, and nobody was granted anything.
select c.relkind = 'r' and c.relacl is null
   and pg_catalog.pg_get_userbyid(c.relowner) = current_user
   and pg_catalog.obj_description(c.oid, 'pg_class') is null
   and not c.relrowsecurity
   and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null)
   and not exists (select from pg_catalog.pg_inherits i where c.oid in (i.inhrelid, i.inhparent))
   and not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid)
   and not exists (select from pg_catalog.pg_policy p where p.polrelid = c.oid)
   and not exists (select from pg_catalog.pg_publication_rel p where p.prrelid = c.oid)
   and not exists (
     select from pg_catalog.pg_depend d
     where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
       and (d.classid = 'pg_catalog.pg_rewrite'::regclass
         or d.classid = 'pg_catalog.pg_class'::regclass
           and exists (select from pg_catalog.pg_class s where s.oid = d.objid and s.relkind = 'S'))) as plain
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = /* schema */ and c.relname = /* table */
