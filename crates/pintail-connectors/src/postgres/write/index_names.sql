-- Indexes that Postgres named after the side table are named after the table that it became, where the name is free.
do $$
declare
  made record;
  wanted text;
begin
  for made in
    select i.relname as name
    from pg_catalog.pg_index x
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    where x.indrelid = (/* qualified */)::regclass and i.relname like /* side */ || '%'
  loop
    wanted := left(/* table */, 63 - (length(made.name) - length(/* side */))) || substr(made.name, length(/* side */) + 1);
    if pg_catalog.to_regclass(format('%I.%I', /* schema */, wanted)) is null then
      execute format('alter index %I.%I rename to %I', /* schema */, made.name, wanted);
    end if;
  end loop;
end $$
