select
    (
        select cast(count(*) as signed)
        from information_schema.innodb_trx t
        where t.trx_mysql_thread_id = connection_id()
          and t.trx_query like '%/* mark */%'
    ) as own,
    (
        select cast(count(*) as signed)
        from information_schema.innodb_trx t
        where t.trx_mysql_thread_id = 0
    ) as prepared,
    (
        select cast(count(*) as signed)
        from information_schema.processlist p
        where p.user = 'system user'
          and p.command <> 'Daemon'
    ) as replicated,
    (
        -- Shown as the machine's clock has it, whatever the session's zone is.
        select min(timestampdiff(
            microsecond,
            timestamp '1970-01-01 00:00:00',
            convert_tz(t.trx_started, 'SYSTEM', '+00:00')
        ))
        from information_schema.innodb_trx t
        where t.trx_mysql_thread_id not in (connection_id(), 0)
    ) as oldest_transaction,
    (
        -- A statement tells for how many whole seconds it has been at work.
        select
            timestampdiff(microsecond, timestamp '1970-01-01 00:00:00', utc_timestamp(6))
            - 1000000 * cast(max(p.time) + 1 as signed)
        from information_schema.processlist p
        where p.id <> connection_id()
          and p.user <> 'system user'
          and p.command in ('Query', 'Execute', 'Prepare')
    ) as oldest_statement
