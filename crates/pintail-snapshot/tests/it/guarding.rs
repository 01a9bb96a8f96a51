//! Statements that take something away are run after it was kept, or not at all.

use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{Guarded, GuardedBy, Scope, SettingKey, SettingValue, SnapshotType, Unwatched};

use crate::place::{NOW, Place, at, told};

fn shop() -> Place {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create schema s; create table s.orders (id integer, n integer); insert into s.orders select i, i from range(10) as r (i);
         create table notes (id integer); insert into notes values (1), (2);
         create table \"from where\" (id integer); insert into \"from where\" values (1)",
    );
    place
}

fn run(place: &Place, sql: &str) -> Result<Guarded, pintail_snapshot::Error> {
    let by = GuardedBy {
        created_by: "ada".to_owned(),
        schema: "main".to_owned(),
        now: at(NOW),
    };
    let file = place.database("shop.duckdb");
    place
        .snapshots
        .run_guarded(&place.engine, &file, sql, &by, &Unwatched)
}

fn kept(place: &Place, sql: &str) -> Vec<String> {
    let done = run(place, sql).unwrap_or_else(|error| panic!("{sql}: {}", told(&error)));
    done.kept.into_iter().flat_map(|kept| kept.tables).collect()
}

#[test]
fn what_takes_rows_away_is_kept_first() {
    for (sql, tables) in [
        ("drop table notes", &["main.notes"][..]),
        (
            "DROP TABLE IF EXISTS main.notes; drop table s.orders",
            &["main.notes", "s.orders"],
        ),
        ("drop /* not yet */ table\n--\n \"notes\"", &["main.notes"]),
        ("drop schema s cascade", &["s.orders"]),
        ("truncate notes", &["main.notes"]),
        ("truncate table S.Orders", &["s.orders"]),
        ("delete from notes", &["main.notes"]),
        ("delete from \"from where\"", &["main.from where"]),
        (
            "with a as (select 1 where true) delete from notes returning id",
            &["main.notes"],
        ),
        ("explain analyze delete from notes", &["main.notes"]),
        ("alter table s.orders drop column n", &["s.orders"]),
        ("alter table if exists s.orders drop n", &["s.orders"]),
        ("create or replace table notes as select 1 as id", &["main.notes"]),
        (
            "create or replace table notes (id integer); drop table notes",
            &["main.notes", "main.notes"],
        ),
        // These take nothing away, or only what they name.
        ("delete from notes where id = 1", &[]),
        ("drop table if exists nothing", &[]),
        (
            "select 'drop table notes', $$ drop table notes $$, $a$ drop table notes $a$",
            &[],
        ),
        ("explain delete from notes", &[]),
        (
            "create table drops (\"drop\" integer); insert into drops values (1); drop view if exists v",
            &[],
        ),
        ("create or replace view v as select 1", &[]),
        ("alter table s.orders rename to sales", &[]),
        ("update notes set id = 3", &[]),
    ] {
        let place = shop();
        assert_eq!(kept(&place, sql), tables, "{sql}");
        assert_eq!(place.visible().is_empty(), tables.is_empty(), "{sql}");
    }
}

#[test]
fn what_was_kept_can_be_restored() {
    let place = shop();
    let done = run(
        &place,
        "insert into notes values (3); drop table notes; create table notes as select 9 as id",
    )
    .expect("run");
    let snapshot = &done.kept[0].snapshot;
    let manifest = place.snapshots.manifest(snapshot).expect("a manifest");
    assert_eq!(manifest.snapshot_type, SnapshotType::PreDrop);
    assert_eq!(manifest.description.as_deref(), Some("Before drop main.notes"));
    assert_eq!(manifest.created_by, "ada");
    assert_eq!(place.value("shop.duckdb", "select sum(id) from notes"), "9");
    place.restore("shop.duckdb", snapshot.as_str());
    assert_eq!(place.value("shop.duckdb", "select sum(id) from notes"), "6");
}

#[test]
fn without_the_snapshot_the_statement_is_refused() {
    let place = shop();
    place.execute("shop.duckdb", "alter table notes add column v struct(v variant)");
    let error = run(
        &place,
        "insert into s.orders values (100, 1); drop table notes; drop table s.orders",
    )
    .expect_err("it cannot be kept");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        told(&error).starts_with("drop of table \"main.notes\" was not done"),
        "{}",
        told(&error)
    );
    // What stood in front of it was done, and nothing after it.
    assert_eq!(place.value("shop.duckdb", "select count(*) from s.orders"), "11");
    assert_eq!(place.value("shop.duckdb", "select count(*) from notes"), "2");
    assert_eq!(place.visible(), [""; 0]);
}

#[test]
fn a_failed_statement_leaves_the_table_and_its_snapshot() {
    let place = shop();
    let error = run(&place, "delete from notes returning nothing").expect_err("no such column");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(place.value("shop.duckdb", "select count(*) from notes"), "2");
    assert_eq!(place.verify().findings, []);
}

#[test]
fn a_transaction_of_the_user_stays_one() {
    let place = shop();
    let sql = "begin; insert into notes values (3); delete from notes; rollback";
    assert_eq!(kept(&place, sql), ["main.notes"]);
    assert_eq!(place.value("shop.duckdb", "select count(*) from notes"), "2");
    let manifest = place
        .snapshots
        .manifest(&place.snapshots.ids().expect("a project")[0])
        .expect("a manifest");
    assert_eq!(manifest.tables[0].row_count, 3);
}

#[test]
fn settings_say_what_is_kept() {
    let place = shop();
    let set = |scope, key, on| {
        place
            .snapshots
            .set(&scope, key, Some(SettingValue::Switch(on)))
            .expect("a setting");
    };
    set(Scope::Project, SettingKey::DropTable, false);
    set(
        Scope::Table(TableName::new("s", "orders")),
        SettingKey::DropTable,
        true,
    );
    assert_eq!(
        kept(&place, "drop table notes; drop table s.orders"),
        ["s.orders"]
    );
    let refused = place
        .snapshots
        .set(
            &Scope::Project,
            SettingKey::DropTable,
            Some(SettingValue::Number(3)),
        )
        .expect_err("it is a switch");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn what_hides_its_effect_is_refused_before_anything_is_run() {
    for sql in [
        "use s; drop table orders",
        "attach 'other.duckdb' as o; drop table o.t",
        "prepare p as delete from notes; execute p",
        "set search_path = 's'; drop table orders",
        "set schema 's'",
        "import database 'x'",
    ] {
        let place = shop();
        let error = run(&place, &format!("delete from notes; {sql}")).expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}");
        assert_eq!(
            place.value("shop.duckdb", "select count(*) from notes"),
            "2",
            "{sql}"
        );
    }
}
