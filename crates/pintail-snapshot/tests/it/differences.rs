//! What a snapshot differs in from another one and from the database as it is.

use pintail_snapshot::{Against, DiffRequest, Difference, RowDifference, TableChange};

use crate::place::{Place, id};

fn diff(place: &Place, snapshot: &str, against: Against, rows: u64) -> Difference {
    let request = DiffRequest {
        against,
        tables: Vec::new(),
        rows,
    };
    place
        .snapshots
        .diff(&place.engine, &id(snapshot), &request)
        .expect("a difference")
}

fn row(change: &str, key: &[&str]) -> RowDifference {
    RowDifference {
        change: change.to_owned(),
        key: key.iter().map(|value| Some((*value).to_owned())).collect(),
    }
}

#[test]
fn rows_are_told_by_key_or_by_all_they_hold() {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table keyed (id integer primary key, took interval);
         insert into keyed select i, to_days(i) from range(100) as r (i);
         create table loose (a integer, b varchar);
         insert into loose values (1, 'x'), (1, 'x'), (2, null);
         create table same (h hugeint[]);
         insert into same values ([1, null]);
         create table dropped (i integer);
         create table shaped (i integer)",
    );
    place.create("shop.duckdb", "before");
    place.execute(
        "shop.duckdb",
        "delete from keyed where id = 3; insert into keyed values (1000, null);
         update keyed set took = to_days(-1) where id in (5, 6);
         delete from loose; insert into loose values (1, 'x'), (2, null), (3, 'new');
         drop table dropped; alter table shaped add column j integer; create table added (i integer)",
    );
    let live = Against::Live(place.database("shop.duckdb"));
    let difference = diff(&place, "before", live, 10);
    let told: Vec<(&str, &TableChange)> = difference
        .tables
        .iter()
        .map(|table| (table.table.as_str(), &table.change))
        .collect();
    let rows = |added, removed, changed| TableChange::Rows {
        added,
        removed,
        changed,
    };
    let columns = TableChange::Columns {
        now: vec!["j INTEGER".to_owned()],
        before: Vec::new(),
    };
    assert_eq!(
        told,
        [
            ("main.added", &TableChange::Added),
            ("main.dropped", &TableChange::Removed),
            ("main.keyed", &rows(1, 1, 2)),
            ("main.loose", &rows(1, 1, 0)),
            ("main.same", &TableChange::Same),
            ("main.shaped", &columns),
        ]
    );
    assert_eq!(
        difference.tables[2].rows,
        [
            row("added", &["1000"]),
            row("changed", &["5"]),
            row("changed", &["6"]),
            row("removed", &["3"]),
        ]
    );
    assert_eq!(
        difference.tables[3].rows,
        [row("added", &["3", "new"]), row("removed", &["1", "x"])]
    );
    // The same between two snapshots, where nothing is asked of the database.
    place.create("shop.duckdb", "after");
    let between = diff(&place, "before", Against::Snapshot(id("after")), 10);
    assert_eq!(between.tables, difference.tables);
}
