-- The orders of `orders.sql` for MariaDB: {rows} of them, with the same columns and as many bytes a row.
-- The same number of rows always gives the same table.
set time_zone = '+00:00';
create table orders (
    id bigint not null primary key,
    user_id int not null,
    status varchar(20) not null,
    amount decimal(12, 2) not null,
    discount decimal(12, 2),
    note varchar(100),
    order_date timestamp(6) not null default current_timestamp(6),
    updated_at timestamp(6) not null default current_timestamp(6),
    meta json
);
insert into orders
select
    seq,
    floor(rand(42) * 99999) + 1,
    elt(1 + floor(rand(43) * 5), 'new', 'paid', 'shipped', 'returned', 'cancelled'),
    round(rand(44) * 5000, 2),
    if(rand(45) < 0.3, null, round(rand(46) * 50, 2)),
    substr(md5(concat(seq, 'n')), 1, 30),
    timestampadd(microsecond, seq / {rows} * 60000000000000, '2023-01-01'),
    timestampadd(microsecond, seq / {rows} * 60000000000000 + floor(rand(47) * 86400) * 1000000, '2023-01-01'),
    json_object('src', elt(1 + floor(rand(48) * 3), 'web', 'ios', 'android'), 'qty', 1 + floor(rand(49) * 9))
from seq_1_to_{rows};
analyze table orders;
