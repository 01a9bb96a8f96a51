with activity as (
  select
    pid,
    state,
    backend_type,
    xact_start,
    coalesce(
      pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage')
        or pg_catalog.pg_has_role(current_user, usesysid, 'usage'),
      false
    ) as shown
  from pg_catalog.pg_stat_activity
  where pid <> pg_catalog.pg_backend_pid()
    and datid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
), writers as (
  select * from activity
  where backend_type is null or backend_type not in ('autovacuum worker', 'walsender')
), open as (
  select pid from pg_catalog.pg_locks where locktype = 'virtualxid'
)
select
  round(extract(epoch from now()) * 1000000)::bigint as now,
  round(
    extract(epoch from (now() at time zone current_setting('TimeZone')) - (now() at time zone 'UTC')) * 1000000
  )::bigint as zone_offset,
  pg_catalog.pg_is_in_recovery() as standby,
  (select count(*) from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database()) as prepared,
  (select count(*) from writers where not shown and pid in (select pid from open)) as hidden,
  (select count(*) from writers where shown and state = 'disabled' and pid in (select pid from open)) as silent,
  (select round(extract(epoch from min(xact_start)) * 1000000)::bigint from writers where shown) as oldest,
  /* cursor_max */ as cursor_max,
  current_setting('TimeZone') as zone,
  -- Read while the statement runs, and so after its snapshot was taken, in which `cursor_max` is the largest. The begin
  -- of the transaction lies before that: a transaction in between can take a smaller number than the largest.
  round(extract(epoch from clock_timestamp()) * 1000000)::bigint as seen_at,
  (
    select count(subname)
    from pg_catalog.pg_subscription
    where subenabled
      and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
  ) as subscriptions
