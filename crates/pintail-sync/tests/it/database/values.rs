//! Values of every kind of column come through unchanged, also those that only travel as text.

use super::Pair;

const HARD: &str = r#"create type mood as enum ('sad', 'it''s "fine"');
     create type point3 as (x int, y text);
     create domain cents as numeric;
     create table orders (
       id int primary key, "Mixed Case" text, "select" smallint, price numeric, big numeric(50, 10), few numeric(10, 2),
       meta jsonb, raw json, tags text[], cells int[][], ip inet, span interval, at timetz, day date, clock time,
       "naïve ""quoted""" timestamp, seen timestamptz, bits varbit, ranges int4range, feel mood, dom cents,
       bytes bytea, uid uuid, ok boolean, half real, whole double precision, padded char(5), c "char");
     insert into orders (id) values (1);
     insert into orders values (2, E'tab\t newline\n \\N "q" ''s'' ä€🦆', -32768, 123456789012345678901234567890.123456789012345678901234567890,
       1e39, -0.01, '{"a": [1, null, "x"]}', '{"a":1, "a": 1.0}', array['a', null, '', 'NULL', '{,}'], array[[1,2],[3,null]], '10.0.0.0/8',
       '1 year -2 days 00:00:00.000001', '23:59:59.999999+13:59', '4713-01-01 BC', '24:00:00',
       'infinity', '-infinity', B'10101', '[1,)', 'it''s "fine"', 0.1, '\x00ff', '00000000-0000-0000-0000-000000000000', true,
       'NaN', '-0', 'ab', 'z');
     insert into orders (id, price, half, whole, seen, day, meta, raw, tags) values
       (3, 'NaN', '-Infinity', 'Infinity', '0044-03-15 12:00:00 BC', 'infinity', 'null', 'null', '{}');
     analyze orders"#;

#[test]
fn every_value_comes_through_unchanged() {
    let pair = Pair::new(HARD);
    pair.target.execute(
        r#"create type mood as enum ('sad', 'it''s "fine"'); create type point3 as (x int, y text); create domain cents as numeric"#,
    );
    pair.run(None);
    pair.assert_equal();
    let types = pair.ask(
        "select string_agg(format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute
         where attrelid = 'shop.orders'::regclass and attnum > 0",
    );
    let own: String = pair
        .source
        .client()
        .query_one(
            "select string_agg(format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute
             where attrelid = 'orders'::regclass and attnum > 0",
            &[],
        )
        .expect("a table")
        .get(0);
    assert_eq!(types, own);
}
