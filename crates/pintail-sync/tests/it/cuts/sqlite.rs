//! Tables of SQLite, where a value is of any kind whatever its column says.

use rusqlite::Connection;

use super::elsewhere::{Load, ROWS};

const NUMBERS: &str =
    "with recursive numbers (i) as (select 1 union all select i + 1 from numbers where i < 20000)";

fn load(statements: &str) -> Load {
    Load::new(|folder| {
        let file = Connection::open(folder.join("shop.db")).expect("a file");
        let statements = statements.replace("/* numbers */", NUMBERS);
        file.execute_batch(&statements)
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
        "sqlite:shop.db".to_owned()
    })
}

/// Texts that are hard to quote or order, and what makes them differ.
const HOSTILE: &str = "case i % 9 when 0 then 'Ärger ' when 1 then 'zebra' when 2 then 'it''s \\ ' when 3 then 'Z' when 4 then ''
     when 5 then '\"q\"' when 6 then '🐟' when 7 then 'A' else 'a' end || hex(i * 7919 % 20011)";

#[test]
fn texts_are_cut_by_their_bytes_whatever_the_order_of_the_column() {
    for collation in ["binary", "nocase", "rtrim"] {
        load(&format!(
            "create table orders (id text collate {collation} primary key not null, item text) without rowid;
             /* numbers */ insert into orders select {HOSTILE}, i from numbers"
        ))
        .check_even();
    }
}

#[test]
fn texts_of_a_file_in_utf_16_are_cut_in_its_own_order() {
    load(&format!(
        "pragma encoding = 'UTF-16le';
         create table orders (id text primary key not null, item text) without rowid;
         /* numbers */ insert into orders select {HOSTILE}, i from numbers"
    ))
    .check_even();
}

#[test]
fn keys_of_several_columns_are_cut() {
    load(
        "create table orders (tenant text not null, day date not null, id integer not null, primary key (tenant, day, id))
         without rowid;
         /* numbers */ insert into orders
         select case when i % 10 = 0 then 'Small' else 'large' end, date('2024-01-01', '+' || (i % 90) || ' days'), i from numbers",
    )
    .check_even();
}

#[test]
fn times_in_several_forms_are_not_lost() {
    let mut load = load(
        "create table orders (id integer primary key, placed_at timestamp);
         /* numbers */ insert into orders
         select i, case i % 4 when 0 then strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i * 60, 'unixepoch')
             when 1 then strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + i * 60, 'unixepoch')
             when 2 then strftime('%Y-%m-%d %H:%M:%f', 1700000000 + i * 60, 'unixepoch') end from numbers",
    );
    load.by = &["placed_at"];
    load.check();
}

#[test]
fn a_value_that_fills_a_table_is_not_divided_and_null_is_not_lost() {
    let mut load = load(
        "create table orders (id integer primary key, kind text, void text);
         /* numbers */ insert into orders
         select i, case when i % 2 = 0 then 'hot' when i % 7 <> 0 then 'k' || i end, null from numbers",
    );
    load.by = &["kind"];
    let sizes = load.check().sizes;
    assert!((4..8).contains(&sizes.len()), "{sizes:?}");
    assert_eq!(
        sizes.iter().filter(|rows| **rows >= ROWS / 2).count(),
        1,
        "{sizes:?}"
    );
    load.by = &["void"];
    load.check_parts(1);
}

#[test]
fn gaps_of_a_billion_make_no_giant() {
    let mut load = load(
        "create table orders (id integer primary key, item text);
         /* numbers */ insert into orders select case when i <= 10000 then i else i * 1000000000 end, i from numbers",
    );
    load.partitions = 4;
    let sizes = load.check().sizes;
    assert!(sizes.iter().all(|rows| *rows <= 8_000), "{sizes:?}");
}

#[test]
fn tables_of_all_kinds_are_cut_as_far_as_they_can_be() {
    let mut empty = load("create table orders (id text primary key not null) without rowid");
    empty.rows = 0;
    empty.check_parts(1);
    let mut view = load(
        "create table stored (id text primary key not null);
         /* numbers */ insert into stored select 'k' || i from numbers;
         create view orders as select * from stored",
    );
    view.by = &["id"];
    view.check_parts(1);
    // Physical ranges, with a hole where a part was deleted.
    let mut holes = load(
        "create table orders (item text);
         /* numbers */ insert into orders select 'x' || i from numbers;
         delete from orders where rowid between 5000 and 15000",
    );
    holes.rows = 9_999;
    holes.check_parts(8);
}

#[test]
fn uuids_in_several_spellings_are_cut() {
    load(
        "create table orders (id uuid primary key not null, item text) without rowid;
         /* numbers */, digits as (
             select i, printf('%08x-%04x-4000-8000-%012x', i * 2654435761 % 4294967296, i % 65536, i) as id from numbers
         )
         insert into orders select case when i % 3 = 0 then upper(id) else id end, i from digits",
    )
    .check_even();
}
