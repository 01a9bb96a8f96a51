-- What the source said of the versions of its rows when both sides were last proven equal.
create table baselines (
    pipeline text primary key,
    -- Names what was compared: columns, key, tables.
    compared text not null,
    -- The source's history, its transactions then, and the file of its table.
    lineage text not null,
    transactions integer not null,
    storage text not null,
    -- The destination's table as it was then.
    table_id integer,
    ledger_key text,
    token text,
    -- Keys of a leaf, or bits of the key's digest.
    width integer,
    bits integer,
    -- Leaf, rows and sum of each leaf: 8, 8 and 16 bytes.
    leaves blob not null,
    kept_at text not null
) strict;

-- The last comparison of each way, as it was measured.
create table comparisons (
    pipeline text not null,
    way text not null,
    rows integer not null,
    -- Of the source's table.
    bytes integer,
    differing integer not null,
    seconds real not null,
    at text not null,
    primary key (pipeline, way)
) strict;

-- Rows of the destination that a run inserted, updated or deleted.
alter table runs add column rows_changed integer;
