do $pintail$
begin
    -- Two processes may attach a new lake at once.
    perform pg_advisory_xact_lock(7236548921347);

    create table if not exists {schema}.pintail_fence (
        target text primary key,
        granted bigint not null,
        committed bigint not null default 0
    );

    create table if not exists {schema}.pintail_keys (
        key text primary key,
        snapshot_id bigint not null
    );

    -- Waits for as long as `lock_timeout` says, and tells whether it got the lock. A lock that it got is held until the
    -- end of the transaction.
    create or replace function {schema}.pintail_lease(number bigint) returns boolean
    language plpgsql volatile as $body$
    begin
        perform pg_advisory_xact_lock(number);
        return true;
    exception
        when lock_not_available then
            return false;
    end
    $body$;

    -- It waits for a commit that is under way, though not for one that does not move.
    create or replace function {schema}.pintail_grant(the_target text) returns bigint
    language sql volatile
    set lock_timeout = '60s'
    as $body$
        insert into {schema}.pintail_fence as f (target, granted)
        values (the_target, 1)
        on conflict (target) do update set granted = f.granted + 1
        returning granted
    $body$;

    create or replace function {schema}.pintail_check() returns trigger
    language plpgsql as $body$
    declare
        info jsonb := new.commit_extra_info::jsonb;
        known bigint;
    begin
        -- An update, not a read: a transaction that began before a later grant cannot see the new number, but it
        -- cannot update the row either.
        update {schema}.pintail_fence
        set committed = granted
        where target = info ->> 'target'
          and granted = (info ->> 'fence')::bigint;
        if not found then
            raise exception 'pintail: the lease of this commit was passed on';
        end if;

        with added as (
            insert into {schema}.pintail_keys (key, snapshot_id)
            select value, new.snapshot_id
            from jsonb_array_elements_text(info -> 'keys')
            on conflict (key) do nothing
            returning key
        )
        select jsonb_array_length(info -> 'keys') - count(*) into known from added;
        if known > 0 then
            raise exception 'pintail: a partition of this commit is in the lake already';
        end if;
        return null;
    end
    $body$;

    if not exists (
        select from pg_trigger
        where tgname = 'pintail_fence'
          and tgrelid = '{schema}.ducklake_snapshot_changes'::regclass
    ) then
        create trigger pintail_fence
        after insert on {schema}.ducklake_snapshot_changes
        for each row
        when (new.commit_extra_info like '{"pintail":%')
        execute function {schema}.pintail_check();
    end if;
end
$pintail$;
