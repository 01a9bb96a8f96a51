create table orders (
    id          integer primary key,
    customer    text not null,
    amount      decimal(10, 2) not null,
    paid        boolean not null,
    updated_at  timestamp not null
);

insert into orders values
    (1, 'Ada', 12.50, 1, '2026-01-05 09:30:00'),
    (2, 'Ben', 99.99, 0, '2026-01-05 09:31:12'),
    (3, 'Zoë', 7.00, 1, '2026-01-05 09:45:01');
