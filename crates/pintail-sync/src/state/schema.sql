-- The state of all pipelines of one data folder. The ledger of the lake is the truth about what is committed; this
-- is what a run needs to go on where another one stopped, and what `pintail state show` reads.

create table pipelines (
    pipeline text primary key,
    -- Why the watermark is not to be used, so that the next run is a full load. Beside a watermark: both sides differ.
    start_fresh text,
    strategy text,
    cursor_column text,
    watermark_type text,
    watermark text,
    -- The newest ledger entry with a watermark when this one was stored: if the ledger has a newer one, this is stale.
    last_key text,
    table_id integer,
    -- What was read. A watermark says nothing about another table.
    source text,
    moved_at text
) strict;

create table runs (
    run_id text not null,
    pipeline text not null,
    strategy text not null,
    kind text not null,
    status text not null,
    plan_hash text not null,
    started_at text not null,
    completed_at text,
    -- The cursor below which everything was visible when the run began to read.
    bound_type text,
    bound text,
    error text,
    primary key (pipeline, run_id)
) strict;

create index runs_by_status on runs (pipeline, status);

create table partitions (
    pipeline text not null,
    run_id text not null,
    position integer not null,
    partition_id text not null,
    range text not null,
    expected_rows integer,
    watermark_type text,
    watermark text,
    changed_only integer not null,
    status text not null default 'planned',
    attempts integer not null default 0,
    -- Where its rows lie; gone once the lake was seen to give them back.
    file text,
    rows integer,
    bytes integer,
    checksum text,
    completed_at text,
    primary key (pipeline, run_id, position)
) strict;
