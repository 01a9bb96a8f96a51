//! Tables of MariaDB, whose texts mostly compare without regard to case, accents and spaces at the end.

use pintail_testkit::{MariaDbDatabase, MariaDbServer};

use super::elsewhere::{Load, ROWS};

/// The database lasts as long as the load.
struct Table {
    _database: MariaDbDatabase<'static>,
    load: Load,
}

fn table(statements: &str) -> Table {
    let database = MariaDbServer::shared().fresh_database();
    database.execute(statements);
    let url = database.url();
    Table {
        _database: database,
        load: Load::new(|_| url),
    }
}

/// Texts that are hard to tell apart, quote or order; what follows them keeps a unique index content.
const HOSTILE: &str =
    "elt(1 + seq % 10, 'Ärger ', 'zebra', 'it''s \\\\ ', 'Z', 'a ', '', '\"q\" `b`', '🐟', 'ß', 'A')";

#[test]
fn texts_of_any_collation_are_cut_by_their_bytes() {
    for collation in [
        "utf8mb4_general_ci",
        "utf8mb4_unicode_ci",
        "utf8mb4_bin",
        "latin1_german2_ci",
        "utf8mb4_swedish_ci",
    ] {
        let charset = collation.split('_').next().expect("a word");
        let fish = if charset == "latin1" { "'f'" } else { "'🐟'" };
        let hostile = HOSTILE.replace("'🐟'", fish);
        table(&format!(
            "create table orders (id varchar(80) character set {charset} collate {collation} primary key, item text);
             insert into orders select concat({hostile}, md5(seq)), seq from seq_1_to_20000"
        ))
        .load
        .check_even();
    }
}

#[test]
fn texts_that_differ_in_case_only_lie_in_their_own_ranges() {
    // No index keeps these apart: the column is not the key.
    let mut table = table(
        "create table orders (id int primary key, kind varchar(20) collate utf8mb4_general_ci);
         insert into orders select seq, elt(1 + seq % 6, 'paid', 'PAID', 'Paid', 'paid ', 'päid', null) from seq_1_to_20000",
    );
    table.load.by = &["kind"];
    let sizes = table.load.check().sizes;
    assert!(sizes.len() >= 4, "{sizes:?}");
}

#[test]
fn keys_of_several_columns_are_cut() {
    let check = |statements: &str| table(statements).load.check_even();
    check(
        "create table orders (tenant varchar(20), day date, id int, primary key (tenant, day, id));
         insert into orders select if(seq % 10 = 0, 'Small', 'large'), date '2024-01-01' + interval seq % 90 day, seq
         from seq_1_to_20000",
    );
    check(
        "create table orders (kind varchar(20), placed_at datetime(6), primary key (kind, placed_at));
         insert into orders select elt(1 + seq % 3, 'a', 'B', 'c'), timestamp '2024-01-01 00:00:00' + interval seq * 1001 microsecond
         from seq_1_to_20000",
    );
}

#[test]
fn uuids_that_are_texts_are_cut() {
    table(
        "create table orders (id char(36) character set ascii primary key, item text);
         insert into orders select insert(insert(insert(insert(md5(seq), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-'), seq
         from seq_1_to_20000",
    )
    .load
    .check_even();
}

#[test]
fn gaps_of_a_billion_and_hot_spots_make_no_giant() {
    let mut gaps = table(
        "create table orders (id bigint primary key, item text);
         insert into orders select if(seq <= 10000, seq, seq * 1000000000), seq from seq_1_to_20000;
         analyze table orders",
    );
    gaps.load.partitions = 4;
    let sizes = gaps.load.check().sizes;
    assert!(sizes.iter().all(|rows| *rows <= 12_000), "{sizes:?}");
}

#[test]
fn a_value_that_fills_a_table_is_not_divided_and_null_is_not_lost() {
    let mut hot = table(
        "create table orders (id int primary key, kind varchar(20), nothing varchar(5));
         insert into orders select seq, if(seq % 2 = 0, 'hot', if(seq % 7 = 0, null, concat('k', seq))), null from seq_1_to_20000",
    );
    hot.load.by = &["kind"];
    let sizes = hot.load.check().sizes;
    assert!((4..8).contains(&sizes.len()), "{sizes:?}");
    assert_eq!(
        sizes.iter().filter(|rows| **rows >= ROWS / 2).count(),
        1,
        "{sizes:?}"
    );
    hot.load.by = &["nothing"];
    hot.load.check_parts(1);
}

#[test]
fn tables_of_all_kinds_are_cut_as_far_as_they_can_be() {
    let mut empty = table("create table orders (id varchar(20) primary key)");
    empty.load.rows = 0;
    empty.load.check_parts(1);
    let rows = "create table stored (id varchar(20) primary key, item text);
         insert into stored select md5(seq), seq from seq_1_to_20000;";
    let mut view = table(&rows.replace("md5(seq)", "concat('k', seq)").replace(
        "seq_1_to_20000;",
        "seq_1_to_20000; create view orders as select * from stored",
    ));
    view.load.by = &["id"];
    view.load.check_parts(1);
    table(
        "create table orders (id varchar(40), item int, primary key (id, item))
         partition by range (item) (
             partition empty values less than (1),
             partition small values less than (100),
             partition giant values less than maxvalue
         );
         insert into orders select md5(seq), seq from seq_1_to_20000",
    )
    .load
    .check_even();
}
