//! What a restore replaces, refuses and keeps.

use insta::assert_snapshot;
use pintail_model::{ErrorKind, TableName};
use pintail_snapshot::{RestoreRequest, SnapshotType};

use crate::place::{Place, id, told};

fn shop() -> Place {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table orders (id integer primary key, amount integer); insert into orders select i, i from range(100) as r (i);
         create table notes (text varchar); insert into notes values ('kept')",
    );
    place.create("shop.duckdb", "before");
    place
}

fn tables(names: &[&str]) -> RestoreRequest {
    RestoreRequest {
        tables: names.iter().map(|name| TableName::bare(*name)).collect(),
        created_by: "ada".to_owned(),
        ..RestoreRequest::default()
    }
}

#[test]
fn a_restore_can_be_undone() {
    let place = shop();
    place.execute(
        "shop.duckdb",
        "delete from orders where id > 9; insert into orders values (1000, 1)",
    );
    let restored = place
        .restore_with("shop.duckdb", "before", &tables(&["orders"]))
        .expect("restored");
    assert_eq!(place.value("shop.duckdb", "select count(*) from orders"), "100");
    let kept = restored
        .replaced_kept_in
        .expect("a snapshot of what was replaced");
    assert_eq!(kept.as_str(), "auto_predrop_20241211_143022");
    let manifest = place.snapshots.manifest(&kept).expect("a manifest");
    assert_eq!(manifest.snapshot_type, SnapshotType::PreDrop);
    assert_eq!(manifest.created_by, "ada");
    assert_eq!(manifest.tables.len(), 1);
    place.restore("shop.duckdb", kept.as_str());
    assert_eq!(
        place.ask("shop.duckdb", "select count(*), max(id) from orders"),
        [["11", "1000"]]
    );
    assert_eq!(place.verify().findings, []);
}

#[test]
fn a_dropped_table_comes_back_and_others_stay() {
    let place = shop();
    place.execute(
        "shop.duckdb",
        "drop table orders; insert into notes values ('new')",
    );
    let restored = place
        .restore_with("shop.duckdb", "before", &tables(&["orders"]))
        .expect("restored");
    assert_eq!(restored.replaced_kept_in, None);
    assert_eq!(place.value("shop.duckdb", "select count(*) from orders"), "100");
    assert_eq!(place.value("shop.duckdb", "select count(*) from notes"), "2");
}

#[test]
fn another_name_and_another_database_are_not_replaced_by_accident() {
    let place = shop();
    place.execute("other.duckdb", "create table orders (mine integer)");
    let refused = place
        .restore_with("other.duckdb", "before", &tables(&["orders"]))
        .expect_err("somebody else's table");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_snapshot!(told(&refused), @r#"
    duckdb:other.duckdb has a table "main.orders" already
    hint: Add `--replace` to put the restored one in its place (it is kept in a snapshot of its own), or give the restored one another name with `--as`.
    "#);
    let renamed = |name: &str, replace| RestoreRequest {
        rename: Some(TableName::parse(name).expect("a name")),
        replace,
        ..tables(&["orders"])
    };
    place
        .restore_with("shop.duckdb", "before", &renamed("copies.orders_before", false))
        .expect("restored");
    assert_eq!(
        place.value("shop.duckdb", "select count(*) from copies.orders_before"),
        "100"
    );
    place
        .restore_with("shop.duckdb", "before", &renamed("notes", false))
        .expect_err("there is such a table");
    assert_eq!(place.value("shop.duckdb", "select text from notes"), "kept");
    let replaced = place
        .restore_with("shop.duckdb", "before", &renamed("notes", true))
        .expect("restored");
    assert!(replaced.replaced_kept_in.is_some());
    assert_eq!(place.value("shop.duckdb", "select count(*) from notes"), "100");
}

#[test]
fn an_index_whose_name_is_taken_gets_another() {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table t (i integer); create index by_i on t (i); insert into t values (1)",
    );
    place.create("shop.duckdb", "before");
    let request = RestoreRequest {
        rename: Some(TableName::bare("t2")),
        ..tables(&["t"])
    };
    place
        .restore_with("shop.duckdb", "before", &request)
        .expect("restored");
    let indexes = place.ask(
        "shop.duckdb",
        "select table_name, index_name from duckdb_indexes() order by all",
    );
    assert_eq!(indexes, [["t", "by_i"], ["t2", "by_i_t2"]]);
}

#[test]
fn a_table_that_others_refer_to_is_replaced_with_them_or_not_at_all() {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table parent (id integer primary key); create table child (id integer references parent (id));
         insert into parent values (1), (2); insert into child values (1), (2)",
    );
    place.create("shop.duckdb", "before");
    place.execute("shop.duckdb", "delete from child where id = 2");
    let refused = place
        .restore_with("shop.duckdb", "before", &tables(&["parent"]))
        .expect_err("a child refers to it");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_snapshot!(told(&refused), @r#"
    cannot replace table "main.parent": table "main.child" refers to it
    hint: Restore both with a `--table` for each, or restore under another name with `--as`.
    "#);
    assert_eq!(place.visible(), ["before"]);
    place.restore("shop.duckdb", "before");
    assert_eq!(place.value("shop.duckdb", "select count(*) from child"), "2");
}

#[test]
fn all_tables_or_none() {
    let place = shop();
    place.execute("shop.duckdb", "drop table orders; drop table notes");
    let files = place.files("before");
    let notes = files
        .iter()
        .find(|file| file.to_string_lossy().contains("notes"))
        .expect("a file");
    let mut bytes = std::fs::read(notes).expect("the file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(notes, bytes).expect("the file");
    let error = place
        .restore_with("shop.duckdb", "before", &RestoreRequest::default())
        .expect_err("a rotten file");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        place.value("shop.duckdb", "select count(*) from duckdb_tables()"),
        "0"
    );
    // The sound one can be had by itself.
    place
        .restore_with("shop.duckdb", "before", &tables(&["orders"]))
        .expect("restored");
    // A database that the attempt would have made is not left behind.
    place
        .restore_with("new.duckdb", "before", &RestoreRequest::default())
        .expect_err("a rotten file");
    assert!(!place.root().join("new.duckdb").exists());
}

#[test]
fn what_does_not_fit_the_manifest_is_not_restored() {
    let place = shop();
    // A file that is whole, with rows of its own, and a manifest that was made to fit its bytes.
    place.execute(
        "evil.duckdb",
        "create table orders (id integer primary key, amount integer); insert into orders values (1, 1)",
    );
    place.create("evil.duckdb", "evil");
    let manifest = place.snapshots.snapshot(&id("before")).join("metadata.json");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    std::fs::write(
        &manifest,
        text.replace("\"row_count\": 100", "\"row_count\": 101"),
    )
    .expect("the manifest");
    let error = place
        .restore_with("shop.duckdb", "before", &RestoreRequest::default())
        .expect_err("an edited manifest");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error.to_string().contains("changed after it was written"),
        "{error}"
    );
}

#[test]
fn a_manifest_of_a_newer_format_is_told() {
    let place = shop();
    let manifest = place.snapshots.snapshot(&id("before")).join("metadata.json");
    let text = std::fs::read_to_string(&manifest).expect("the manifest");
    std::fs::write(
        &manifest,
        text.replace("\"format_version\": 1", "\"format_version\": 3"),
    )
    .expect("the manifest");
    let error = place
        .snapshots
        .manifest(&id("before"))
        .expect_err("a newer format");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .contains("its format is 3, and this release reads up to 2"),
        "{error}"
    );
}

#[test]
fn if_what_is_replaced_cannot_be_kept_nothing_is_replaced() {
    let place = shop();
    // A type that no file holds came into the table since.
    place.execute("shop.duckdb", "alter table notes add column v struct(v variant)");
    let error = place
        .restore_with("shop.duckdb", "before", &RestoreRequest::default())
        .expect_err("it cannot be kept");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_snapshot!(told(&error), @r#"
    the restore of snapshot `before` was not done: what it would take away could not be kept in a snapshot first
      caused by: cannot keep table "main.notes": column `v` of type STRUCT(v VARIANT) has no lossless home in a file
    hint: Give the column another type, or leave the table out by naming the others with `--table`.
    "#);
    assert_eq!(place.ask("shop.duckdb", "select text from notes"), [["kept"]]);
    assert_eq!(place.visible(), ["before"]);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let place = shop();
    place.execute("shop.duckdb", "create view v as from notes; drop table orders");
    place.create("shop.duckdb", "with-view");
    let plan = |name: &str, snapshot: &str| {
        place
            .snapshots
            .plan_restore(
                &place.engine,
                &place.database(name),
                &id(snapshot),
                &RestoreRequest::default(),
            )
            .expect("a plan")
    };
    let planned = plan("shop.duckdb", "before");
    let replaced: Vec<(&str, bool)> = planned
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.replaces))
        .collect();
    assert_eq!(replaced, [("main.notes", true), ("main.orders", false)]);
    assert_eq!(
        place.value("shop.duckdb", "select count(*) from duckdb_tables()"),
        "1"
    );
    let planned = plan("new.duckdb", "with-view");
    assert_eq!(planned.objects.len(), 1);
    assert!(!place.root().join("new.duckdb").exists());
    let unknown = place
        .snapshots
        .plan_restore(
            &place.engine,
            &place.database("shop.duckdb"),
            &id("before"),
            &tables(&["oders"]),
        )
        .expect_err("no such table");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[test]
fn a_view_that_cannot_be_made_is_named() {
    let place = shop();
    place.execute(
        "shop.duckdb",
        "create view gone as from orders; alter table orders rename to sales",
    );
    place.create("shop.duckdb", "odd");
    let restored = place.restore("new.duckdb", "odd");
    assert_eq!(restored.not_restored.len(), 1);
    assert!(
        restored.not_restored[0].starts_with("view \"main.gone\""),
        "{:?}",
        restored.not_restored
    );
    assert_eq!(place.value("new.duckdb", "select count(*) from sales"), "100");
}

#[test]
fn memory_that_runs_out_is_told_and_the_target_stays() {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table t (id bigint primary key, n bigint); insert into t select i, i * 7 from range(2000000) as r (i)",
    );
    let taken = place.create("shop.duckdb", "before");
    assert_eq!(taken.index_bytes(), 2_000_000 * 16);
    place.execute("target.duckdb", "create table t (id integer)");
    let small = Place::with_memory(&place, 24 << 20);
    let request = RestoreRequest {
        replace: true,
        ..RestoreRequest::default()
    };
    let error = small
        .restore_with("target.duckdb", "before", &request)
        .expect_err("an index has to lie in memory");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", told(&error));
    assert_eq!(place.value("target.duckdb", "select count(*) from t"), "0");
    place
        .restore_with("target.duckdb", "before", &request)
        .expect("restored");
    assert_eq!(place.value("target.duckdb", "select count(*) from t"), "2000000");
}
