pragma journal_mode = wal;
pragma synchronous = normal;

create table customers (
    id         integer primary key,
    name       text      not null,
    country    text      not null,
    joined_at  timestamp not null
);

create table orders (
    id             integer primary key,
    customer_id    integer   not null references customers (id),
    status         text      not null,
    amount         decimal(10, 2) not null,
    discount       decimal(10, 2),
    note           text,
    paid           boolean   not null,
    ordered_at     timestamp not null,
    updated_at     timestamp not null,
    change_number  integer   not null
);

create index orders_change_number on orders (change_number);
