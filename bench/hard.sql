-- The table of the benchmark's hard types: {rows} rows with unbounded numbers, documents, arrays and texts, about
-- 500 bytes a row on disk. The same number of rows always gives the same table.
set synchronous_commit = off;
set maintenance_work_mem = '512MB';
set timezone = 'UTC';
create schema bench;
select setseed(0.42);
create unlogged table bench.hard (
    id bigint primary key,
    amount numeric not null,
    ratio numeric,
    document jsonb not null,
    scores int[] not null,
    tags text[],
    note text not null
);
insert into bench.hard
select
    i,
    (random() * 1000000)::numeric * 12345678901234567::numeric,
    case when random() < 0.3 then null else (i::numeric / 7) end,
    jsonb_build_object(
        'id', i,
        'name', md5(i::text),
        'price', round((random() * 5000)::numeric, 2),
        'lines', jsonb_build_array(i % 7, i % 11, 'größe ' || i % 13),
        'flags', jsonb_build_object('paid', i % 2 = 0, 'gift', i % 5 = 0)
    ),
    array[i % 100, i % 1000, -i % 17, i % 3],
    case when random() < 0.1 then null else array['tag ' || i % 50, 'a, "quoted" one', md5((i % 1000)::text)] end,
    repeat(md5(i::text || 'n'), 4)
from generate_series(1, {rows}) as i;
