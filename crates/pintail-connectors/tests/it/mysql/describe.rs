//! What a table is taken for, and which tables are refused.

use pintail_lake::connector::TableDescription;
use pintail_lake::{Error, Result};
use pintail_model::TableName;
use pintail_testkit::conformance::{Attached, Fixture};

use super::fixture::MySqlFixture;

fn try_describe(fixture: &MySqlFixture, table: &str) -> Result<TableDescription> {
    let attached = Attached::new(fixture.connector());
    let table = TableName::bare(table);
    attached
        .connector()
        .describe(attached.session(), "outside", &table)
}

fn refused(fixture: &MySqlFixture, table: &str) -> String {
    let error: Error = try_describe(fixture, table).unwrap_err();
    let text = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
    text.replace(fixture.database().name(), "shop")
}

#[test]
fn tables_that_the_engine_cannot_tell_apart_are_refused() {
    let fixture = MySqlFixture::new();
    fixture.execute("create table orders (id int primary key); create table \"Orders\" (id int primary key)");
    insta::assert_snapshot!(refused(&fixture, "orders"), @r#"
    cannot read table "shop.orders": its name differs from "shop.Orders" only in case
    hint: Read it through a view of another name.
    "#);
    fixture.execute("drop table \"Orders\"");
    assert_eq!(try_describe(&fixture, "orders").unwrap().key, ["id"]);
}

#[test]
fn tables_of_engines_without_transactions_are_refused() {
    let fixture = MySqlFixture::new();
    fixture.execute(
        "create table old (id int primary key) engine = myisam; create view shown as select * from old",
    );
    insta::assert_snapshot!(refused(&fixture, "old"), @r#"
    cannot read table "shop.old" in one state: its engine MyISAM has no snapshots
    hint: Move it to InnoDB, or read it through a view while nobody writes.
    "#);
    assert_eq!(try_describe(&fixture, "shown").unwrap().columns.len(), 1);
}

#[test]
fn a_key_is_the_primary_key_or_else_a_small_unique_index_of_whole_columns_without_null() {
    let fixture = MySqlFixture::new();
    fixture.execute(
        "create table both_keys (a int not null unique, b int, primary key (b, a));
         create table only_unique (a int unique, b int not null, c int not null, d varchar(9) not null,
             unique (d(3)), unique (b, c), unique (b, c, d));
         create table nothing (a int unique, key (a))",
    );
    let key = |table| try_describe(&fixture, table).unwrap().key;
    assert_eq!(key("both_keys"), ["b", "a"]);
    assert_eq!(key("only_unique"), ["b", "c"]);
    assert!(key("nothing").is_empty());
    assert_eq!(try_describe(&fixture, "nothing").unwrap().indexed, ["a"]);
}

#[test]
fn a_histogram_follows_gaps_and_hot_spots() {
    let fixture = MySqlFixture::new();
    // Nine tenths of the rows stand close together, far from the rest.
    fixture.execute(
        "create table skewed (id bigint primary key, at datetime(6) not null, key (at));
         insert into skewed select if(seq <= 18000, 5000000000 + seq, seq), timestamp '2024-01-01 00:00:00' + interval seq second
         from seq_1_to_20000;
         analyze table skewed",
    );
    let skewed = try_describe(&fixture, "skewed").unwrap();
    let histogram = &skewed.column("id").unwrap().histogram;
    assert_eq!(
        (histogram.first(), histogram.last()),
        (Some(&18_001), Some(&5_000_018_000))
    );
    assert!(histogram.is_sorted());
    let hot = histogram.iter().filter(|value| **value > 5_000_000_000).count();
    assert!(hot > 60, "{hot} of {}: {histogram:?}", histogram.len());
    let times = &skewed.column("at").unwrap().histogram;
    assert_eq!(times.first(), Some(&1_704_067_201_000_000));
    assert_eq!(times.last(), Some(&(1_704_067_200_000_000 + 20_000_000_000)));
    assert!(times.len() > 30, "{}", times.len());
}
