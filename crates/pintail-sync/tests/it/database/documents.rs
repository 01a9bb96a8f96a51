//! Tables with `jsonb`, which the engine copies as text unless it is shown another table.

use std::time::{Duration, Instant};

use pintail_testkit::PostgresServer;

use super::Pair;

/// Every type that is copied in binary, with what is special of each.
const IN_BINARY: &str = r#"create table orders (
       id int primary key, meta jsonb, "Mixed ""Case""" jsonb not null default '{}', raw json, note text,
       item varchar(40), small smallint, big bigint, half real, whole double precision, few numeric(10, 2),
       many numeric(38, 10), ok boolean, bytes bytea, day date, clock time, seen timestamp, known timestamptz, uid uuid,
       cells int[]);
     insert into orders (id) values (1);
     insert into orders values
       (2, '{"a": [1, null, "x\ty"], "größe": 1.50, "b": {"c": "\\ \" 🦆"}}', '"\u0001"', '{"a":1, "a": 1.0}', E'tab\t\n \\N "q" ä€🦆',
        'item', -32768, -9223372036854775808, 'NaN', '-0', -0.01, 1234567890123456789012345678.0123456789, true, '\x00ff',
        '4713-01-01 BC', '24:00:00', 'infinity', '-infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '{1,null,-3}'),
       (3, 'null', '0', 'null', '', '', 32767, 9223372036854775807, '-Infinity', 'Infinity', 0.00, -0.0000000001, false, '',
        'infinity', '23:59:59.999999', '0044-03-15 12:00:00 BC', '9999-12-31 23:59:59.999999+00',
        '00000000-0000-0000-0000-000000000000', '{}'),
       (4, '[]', '"a text"', '[]', 'NULL', null, 0, 0, 0.1, 0.1, 99999999.99, 0, null, null, '-infinity', '00:00', 'epoch', 'epoch',
        null, null);
     analyze orders"#;

/// The server writes down what it is asked in `pair.target`.
fn listen(pair: &Pair) {
    let name = pair.target.name();
    let sql = format!("alter database {name} set log_statement = 'all'");
    pair.target.execute(&sql);
}

/// COPY statements that wrote into tables of a kind.
fn copies_into(pair: &Pair, kind: &str) -> Vec<String> {
    // The log is read by a thread of its own: once this is in it, all that was before is.
    let end = format!("the end of {}", pair.target.name());
    pair.target.execute(&format!("select '{end}'"));
    let deadline = Instant::now() + Duration::from_secs(60);
    let log = loop {
        let log = PostgresServer::shared().log();
        if log.contains(&end) {
            break log;
        }
        assert!(
            Instant::now() < deadline,
            "the server does not log its statements"
        );
        std::thread::yield_now();
    };
    let wanted = format!("COPY \"pintail\".\"{kind}_");
    let lines = log.lines().filter(|line| line.contains(&wanted));
    lines.map(str::to_owned).collect()
}

#[test]
fn documents_are_copied_in_binary_beside_every_type_that_is() {
    let pair = Pair::new(IN_BINARY);
    listen(&pair);
    pair.run(None);
    pair.assert_equal();
    let copies = copies_into(&pair, "load");
    assert!(!copies.is_empty(), "nothing was shown to the engine");
    assert!(
        copies.iter().all(|copy| copy.contains("(FORMAT BINARY)")),
        "{copies:?}"
    );
}

#[test]
fn a_delta_carries_documents() {
    let pair = Pair::new(
        "create table orders (id int primary key, meta jsonb, price numeric, updated_at timestamptz not null default now());
         insert into orders select id, jsonb_build_object('id', id), id / 7.0, now() - interval '1 day' from generate_series(1, 50) as ids (id)",
    );
    pair.run(None);
    pair.source.execute(
        r#"update orders set meta = '{"changed": [true, null]}', updated_at = now() where id % 10 = 7;
         insert into orders values (51, null, 1), (52, 'null', null)"#,
    );
    let report = pair.run(None);
    assert_eq!((report.rows_updated, report.rows_inserted), (5, 2));
    pair.assert_equal();
}

#[test]
fn what_belongs_to_a_column_of_documents_stays() {
    let pair = Pair::new(
        r#"create table orders (id int primary key, meta jsonb not null);
         insert into orders select id, jsonb_build_object('id', id) from generate_series(1, 50) as ids (id)"#,
    );
    pair.run(None);
    pair.target.execute(
        r#"create index orders_meta_idx on shop.orders using gin (meta);
         alter table shop.orders alter column meta set default '{"by": "default"}', add check (meta ? 'id'),
           add remark text default 'ours', add about text generated always as (meta ->> 'id') stored"#,
    );
    pair.source
        .execute(r#"update orders set meta = '{"id": 7, "more": "größe"}' where id = 7"#);
    pair.run(Some("full"));
    assert_eq!(
        pair.ask("select concat_ws(' ', meta, remark, about) from shop.orders where id = 7"),
        r#"{"id": 7, "more": "größe"} ours 7"#
    );
    assert_eq!(
        pair.ask(
            "select string_agg(indexdef, ' ' order by indexdef) from pg_indexes where schemaname = 'shop' and indexdef like '%gin%'"
        ),
        "CREATE INDEX orders_meta_idx ON shop.orders USING gin (meta)"
    );
}
