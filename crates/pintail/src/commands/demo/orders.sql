-- Orders ?1 to ?2 of customers 1 to ?3, placed after day ?4. Prime factors scatter the values; nothing is random.
with recursive numbers (i) as (
    select ?1
    union all
    select i + 1 from numbers where i < ?2
)
insert into orders (
    id, customer_id, status, amount, discount, note, paid, ordered_at, updated_at, change_number
)
select
    i,
    1 + i * 7919 % ?3,
    case i % 10 when 0 then 'cancelled' when 1 then 'returned' when 2 then 'new' else 'delivered' end,
    (199 + i * 48271 % 89801) / 100.0,
    case when i % 4 = 0 then (i * 16807 % 2000) / 100.0 end,
    case i % 50 when 0 then 'leave at the door' when 25 then 'gift: "für Zoë", with a card' end,
    i % 10 > 2,
    datetime(?4, '+' || (i * 61 % 63072000) || ' seconds'),
    datetime(?4, '+' || (i * 61 % 63072000 + 86400 * (1 + i % 5)) || ' seconds'),
    i - 1
from numbers
