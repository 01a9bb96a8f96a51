-- The table of the benchmark: {rows} orders of an invented shop, 9 columns, about 150 bytes a row on disk.
-- The same number of rows always gives the same table, over not quite two years that have passed.
set synchronous_commit = off;
set maintenance_work_mem = '512MB';
set timezone = 'UTC';
create schema bench;
select setseed(0.42);
create unlogged table bench.orders (
    id bigint not null,
    user_id int not null,
    status text not null,
    amount numeric(12, 2) not null,
    discount numeric(12, 2),
    note text,
    order_date timestamptz not null,
    updated_at timestamptz not null,
    meta jsonb
);
insert into bench.orders
select
    i,
    (random() * 99999)::int + 1,
    (array['new', 'paid', 'shipped', 'returned', 'cancelled'])[1 + floor(random() * 5)::int],
    round((random() * 5000)::numeric, 2),
    case when random() < 0.3 then null else round((random() * 50)::numeric, 2) end,
    substr(md5(i::text || 'n'), 1, 30),
    timestamptz '2023-01-01' + (i::float8 / {rows} * interval '60000000 seconds'),
    timestamptz '2023-01-01' + (i::float8 / {rows} * interval '60000000 seconds') + (random() * 86400)::int * interval '1 second',
    jsonb_build_object(
        'src', (array['web', 'ios', 'android'])[1 + floor(random() * 3)::int],
        'qty', 1 + floor(random() * 9)::int
    )
from generate_series(1, {rows}) as i;
alter table bench.orders add primary key (id);
create index orders_updated_at on bench.orders (updated_at);
