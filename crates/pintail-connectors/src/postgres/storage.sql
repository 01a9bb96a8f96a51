with recursive member as (
  select /* oid */::oid as oid
  union all
  select i.inhrelid from pg_catalog.pg_inherits i join member m on i.inhparent = m.oid
), part as (
  select
    c.oid,
    c.relkind,
    c.reltuples::float8 as tuples,
    c.relpages,
    c.relkind in ('r', 'm') and a.amname = 'heap' as heap,
    case when c.relkind in ('r', 'm') then pg_catalog.pg_relation_filenode(c.oid) end as file,
    case when c.relkind in ('r', 'm') then pg_catalog.pg_table_size(c.oid) end as bytes,
    case when c.relkind in ('r', 'm') then
      pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint
    end as pages
  from member m
  join pg_catalog.pg_class c on c.oid = m.oid
  left join pg_catalog.pg_am a on a.oid = c.relam
  where c.relkind <> 'p'
), estimate as (
  -- As Postgres' own planner does: the density at the last ANALYZE times the pages of now. Before the first one
  -- `reltuples` is -1, up to version 13 it is 0 with no pages.
  select
    part.*,
    case
      when pages = 0 then 0
      when tuples < 0 or relpages = 0 then null
      when pages is null then tuples
      else tuples / relpages * pages
    end as rows
  from part
)
select
  count(*)::bigint as parts,
  case when bool_and(rows is not null) then round(sum(rows))::bigint end as rows,
  case
    when bool_and(heap) and current_setting('server_version_num')::int >= 140000 then max(pages)
  end::bigint as pages,
  sum(bytes)::bigint as bytes,
  case when count(*) = count(file) then string_agg(oid::text || ':' || file::text, ',' order by oid) end as identity
from estimate
