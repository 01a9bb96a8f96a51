//! Rows that are gone from the source and stay, with the time at which that was noticed.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use pintail_model::{ErrorKind, LogicalType};
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{Compare, DeletePolicy, DetectDeletes, HashSpec, StrategyKind};
use pintail_sync::{SyncReport, SyncRequest};

use super::places::{Copied, Kind, counts};

const ORDERS: &str = "create table orders (id bigint primary key, item text);
     insert into orders select i, 'item ' || i from generate_series(1, 100) as i; analyze orders";

const COLUMNS: &[(&str, LogicalType)] = &[
    ("id", LogicalType::Int64),
    ("deleted_at", LogicalType::TimestampTz),
];

fn softly(mut request: SyncRequest) -> SyncRequest {
    request.spec.deletes.policy = DeletePolicy::Soft {
        column: "deleted_at".to_owned(),
    };
    request
}

fn run(copied: &Copied, strategy: Option<&str>) -> SyncReport {
    copied.run(&softly(copied.request(strategy)))
}

/// When rows were marked, of those that are.
fn marks(copied: &Copied) -> BTreeMap<u32, String> {
    let rows = copied.rows(COLUMNS);
    let marks = rows.iter().filter_map(|row| {
        let (id, mark) = row.split_once(' ').expect("two columns");
        (mark != "-").then(|| (id.parse().expect("a number"), mark.to_owned()))
    });
    marks.collect()
}

fn ids(marks: &BTreeMap<u32, String>) -> Vec<u32> {
    marks.keys().copied().collect()
}

/// A copy that was loaded before anybody thought of marks, where a column can be added.
fn loaded(kind: Kind) -> Copied {
    let copied = Copied::new(kind, ORDERS);
    match kind {
        Kind::Files => run(&copied, None),
        _ => copied.run(&copied.request(None)),
    };
    copied
}

#[test]
fn rows_that_are_gone_are_marked_once_and_live_again() {
    for kind in Kind::ALL {
        let copied = loaded(kind);
        copied
            .source
            .execute("delete from orders where id in (7, 8); update orders set item = 'x' where id = 1");
        assert_eq!(counts(&run(&copied, Some("compare"))), (0, 1, 2), "{kind:?}");
        let first = marks(&copied);
        assert_eq!(ids(&first), [7, 8], "{kind:?}");
        assert_eq!(first[&7], first[&8]);

        copied.source.execute("delete from orders where id = 9");
        assert_eq!(counts(&run(&copied, Some("compare"))), (0, 0, 1), "{kind:?}");
        let second = marks(&copied);
        assert_eq!(ids(&second), [7, 8, 9], "{kind:?}");
        assert_eq!(
            (&second[&7], second[&9] > second[&7]),
            (&first[&7], true),
            "{kind:?}"
        );
        assert_eq!(counts(&run(&copied, Some("compare"))), (0, 0, 0), "{kind:?}");

        copied.source.execute("insert into orders values (7, 'back')");
        assert_eq!(counts(&run(&copied, Some("compare"))), (0, 1, 0), "{kind:?}");
        assert_eq!(ids(&marks(&copied)), [8, 9], "{kind:?}");
        assert_eq!(copied.rows(COLUMNS).len(), 100, "{kind:?}");
    }
}

#[test]
fn a_full_load_carries_marked_rows_over_and_marks_what_it_misses() {
    for kind in Kind::ALL {
        let copied = loaded(kind);
        copied.source.execute("delete from orders where id = 7");
        run(&copied, Some("compare"));
        let first = marks(&copied);
        copied
            .source
            .execute("delete from orders where id = 8; insert into orders values (101, 'new')");
        let report = run(&copied, Some("full"));
        assert_eq!(
            (report.kind.as_str(), report.rows_inserted),
            ("full", 99),
            "{kind:?}"
        );
        assert_eq!(report.parity.rows_committed, 99, "only living rows are compared");
        let second = marks(&copied);
        assert_eq!(ids(&second), [7, 8], "{kind:?}");
        assert_eq!(first[&7], second[&7], "{kind:?}");
        assert_eq!(copied.rows(COLUMNS).len(), 101, "{kind:?}");
        assert_eq!(counts(&run(&copied, Some("compare"))), (0, 0, 0), "{kind:?}");
    }
}

#[test]
fn a_pass_by_keys_marks_and_a_comparison_leaves_marked_rows_alone() {
    for kind in [Kind::Lake, Kind::Postgres, Kind::MariaDb] {
        let copied = loaded(kind);
        copied.source.execute("delete from orders where id in (7, 8)");
        let mut request = softly(copied.request(None));
        request.task = Task::Deletes;
        let report = copied.run(&request);
        assert_eq!(
            (report.kind.as_str(), counts(&report)),
            ("deletes", (0, 0, 2)),
            "{kind:?}"
        );
        assert_eq!(ids(&marks(&copied)), [7, 8], "{kind:?}");
        assert_eq!(counts(&copied.run(&request)), (0, 0, 0), "{kind:?}");
        request.task = Task::Verify { keys_named: 5 };
        let report = copied.run(&request);
        assert_eq!(report.parity.status, ParityStatus::Ok, "{kind:?}");
    }
}

/// A delta does not see a row that returns with a cursor which was passed before. The pass that follows it does.
#[test]
fn a_marked_row_that_returns_with_an_older_cursor_lives_again() {
    for kind in Kind::ALL {
        for key in ["bigint", "text"] {
            let copied = Copied::new(
                kind,
                &format!(
                    "create table orders (id {key} primary key, item text, updated_at timestamptz not null);
                     insert into orders select i, 'item ' || i, now() - interval '1 day' from generate_series(10, 99) as i;
                     analyze orders"
                ),
            );
            let run = || {
                let mut request = softly(copied.request(None));
                request.spec.detect_deletes = DetectDeletes::AfterDeltas;
                copied.run(&request)
            };
            run();
            copied
                .source
                .execute("delete from orders where id in ('17', '18', '19')");
            let pass = run().delete_pass.expect("a pass follows a delta");
            assert_eq!(counts(&pass), (0, 0, 3), "{kind:?} {key}");

            copied.source.execute(
                "insert into orders values ('17', 'back', now() - interval '2 days'), ('18', 'item 18', now() - interval '1 day');
                 delete from orders where id = '20'",
            );
            let report = run();
            assert_eq!(
                (report.kind.as_str(), counts(&report)),
                ("delta", (0, 0, 0)),
                "{kind:?} {key}"
            );
            let pass = report.delete_pass.expect("a pass follows a delta");
            assert_eq!(counts(&pass), (0, 2, 1), "{kind:?} {key}: {:?}", pass.notes);
            assert_eq!(pass.parity.status, ParityStatus::Ok, "{kind:?} {key}");
            let rows = copied.rows(&[
                ("id", LogicalType::Text),
                ("item", LogicalType::Text),
                ("deleted_at", LogicalType::TimestampTz),
            ]);
            for row in ["17 back -", "18 item 18 -"] {
                assert!(rows.iter().any(|found| found == row), "{kind:?} {key}: {row}");
            }
            assert_eq!(
                rows.iter().filter(|row| !row.ends_with(" -")).count(),
                2,
                "{kind:?} {key}"
            );
            let pass = run().delete_pass.expect("a pass follows a delta");
            assert_eq!(counts(&pass), (0, 0, 0), "{kind:?} {key}");
        }
    }
}

/// A comparison of a table that has no such column finds nothing marked, and adds none.
#[test]
fn verify_does_not_add_the_column() {
    let copied = loaded(Kind::Postgres);
    let mut request = softly(copied.request(None));
    request.task = Task::Verify { keys_named: 0 };
    copied.run(&request);
    let plan = pintail_sync::plan(&softly(copied.request(Some("compare")))).expect("a plan");
    assert!(
        plan.notes.contains(
            &"column `deleted_at` is added to the database's table, which does not have it yet".to_owned()
        ),
        "{:?}",
        plan.notes
    );
    // It is still not there.
    copied.execute("alter table orders add column deleted_at timestamptz");
}

#[test]
fn rows_are_marked_however_both_sides_are_compared() {
    for compare in [Compare::Pushdown, Compare::Stored] {
        for kind in [Kind::Lake, Kind::Postgres] {
            let copied = loaded(kind);
            let compared = || {
                let mut request = softly(copied.request(Some("compare")));
                let last = request.spec.strategies.last_mut().expect("a strategy");
                last.kind = StrategyKind::Hash(HashSpec { compare });
                copied.run(&request)
            };
            compared();
            for id in [7, 90] {
                copied
                    .source
                    .execute(&format!("delete from orders where id = {id}"));
                assert_eq!(counts(&compared()), (0, 0, 1), "{kind:?} {compare:?}");
            }
            let first = marks(&copied);
            assert_eq!(ids(&first), [7, 90], "{kind:?} {compare:?}");
            copied.source.execute(
                "insert into orders values (7, 'item 7'); update orders set item = 'x' where id = 1",
            );
            assert_eq!(counts(&compared()), (0, 2, 0), "{kind:?} {compare:?}");
            assert_eq!(ids(&marks(&copied)), [90], "{kind:?} {compare:?}");
            assert_eq!(counts(&compared()), (0, 0, 0), "{kind:?} {compare:?}");
        }
    }
}

#[test]
fn the_guard_counts_marked_rows_as_deleted() {
    let copied = loaded(Kind::Lake);
    copied.source.execute("delete from orders where id <= 30");
    let mut request = softly(copied.request(Some("compare")));
    let error = copied.try_run(&request).expect_err("the guard stops it");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("30 of the 100 rows"), "{error}");
    assert!(marks(&copied).is_empty());
    request.allow_deletes = true;
    assert_eq!(counts(&copied.run(&request)), (0, 0, 30));
}

#[test]
fn rows_without_a_key_cannot_be_marked() {
    let copied = Copied::new(Kind::Lake, "create table orders (id bigint, item text)");
    let error = copied
        .try_run(&softly(copied.request(None)))
        .expect_err("nobody can find them again");
    assert_snapshot!(crate::served::described(&error), @r#"`policy: soft` in `deletes` marks the rows of table "public.orders" that are gone from the source, and its rows have no key"#);
}

#[test]
fn the_source_has_no_column_of_that_name() {
    let copied = Copied::new(
        Kind::Lake,
        "create table orders (id bigint primary key, deleted_at timestamptz)",
    );
    let error = copied
        .try_run(&softly(copied.request(None)))
        .expect_err("it would be two");
    assert_snapshot!(crate::served::described(&error), @r#"cannot read table "public.orders" as asked: column `deleted_at` is to tell which rows are gone, and the source has a column of this name"#);
}

/// What would take marked rows away has to be asked for.
#[test]
fn a_full_load_into_other_columns_is_asked_for() {
    let copied = loaded(Kind::Lake);
    copied.source.execute("delete from orders where id = 7");
    run(&copied, Some("compare"));
    copied.source.execute("alter table orders add column price int");
    let error = copied
        .try_run(&softly(copied.request(None)))
        .expect_err("marked rows would go");
    assert_snapshot!(crate::served::described(&error), @r#"a full load would replace table "orders", and `policy: soft` in `deletes` says that rows which are gone from the source stay; a full load would run because the table has no NOT NULL timestamp with a name like `updated_at` that a delta could follow"#);
    assert_eq!(ids(&marks(&copied)), [7]);
    run(&copied, Some("full"));
    assert_eq!(copied.rows(COLUMNS).len(), 99);
}
