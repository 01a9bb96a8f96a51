-- Customers 1 to ?1.
with recursive numbers (i) as (
    select 1
    union all
    select i + 1 from numbers where i < ?1
)
insert into customers (id, name, country, joined_at)
select
    i,
    case i % 6
        when 0 then 'Ada' when 1 then 'Ben' when 2 then 'Chloé' when 3 then 'Dana' when 4 then 'Emil' else 'Zoë'
    end || ' ' || i,
    case i % 4 when 0 then 'DE' when 1 then 'FR' when 2 then 'NL' else 'PL' end,
    datetime('2020-01-01', '+' || (i * 97 % 1400) || ' days')
from numbers
