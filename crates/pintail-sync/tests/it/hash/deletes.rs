//! Rows that are gone from the source, and the guard that looks at how many they are.

use pintail_model::{Clock, ErrorKind};
use pintail_sync::plan::Task;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::{DeletePolicy, DetectDeletes, GuardSpec};

use super::{compare, counts, loaded};

#[test]
fn a_run_that_would_delete_too_much_stops_before_it_writes() {
    let mut shop = loaded(1_000);
    shop.change("delete from orders where id % 4 = 0; update orders set price = 0 where id = 1");
    let before = shop.commits();
    let error = shop.try_run(Some("compare")).expect_err("the guard stops it");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "stopped before anything was written: 250 of the 1000 rows of table \"orders\" would be deleted, and the guard lets \
         200 go (20 % of them, and at least 0); 0 rows would be inserted and 1 changed"
    );
    assert_eq!((shop.commits(), shop.files()), (before, 1));

    shop.spec.deletes.guard = GuardSpec {
        rows: 250,
        share_percent: 1,
    };
    assert_eq!(counts(&compare(&shop)), (0, 1, 250));
}

#[test]
fn an_empty_source_never_empties_a_table_by_itself() {
    let mut shop = loaded(100);
    shop.change("delete from orders");
    shop.spec.deletes.guard.share_percent = 100;
    let error = shop.try_run(Some("compare")).expect_err("the guard stops it");
    assert!(
        error.to_string().contains("the source has no rows at all"),
        "{error}"
    );
    shop.allow_deletes = true;
    assert_eq!(counts(&compare(&shop)), (0, 0, 100));
}

#[test]
fn rows_that_left_the_filter_are_gone() {
    let mut shop = loaded(100);
    shop.spec.source.filters = vec!["price > 10".to_owned()];
    shop.run(Some("everything"));
    shop.change("update orders set price = 1 where id = 50");
    let report = shop.run(Some("compare"));
    assert_eq!(counts(&report), (0, 0, 1), "{:?}", report.notes);
}

#[test]
fn deletes_may_be_ignored() {
    let mut shop = loaded(100);
    shop.spec.deletes.policy = DeletePolicy::Ignore;
    shop.change("delete from orders where id < 90; update orders set price = 0 where id = 95");
    let report = shop.run(Some("compare"));
    assert_eq!(counts(&report), (0, 1, 0));
    assert_eq!(shop.ask_one("select count(*) from lake.main.orders"), "100");
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("89 are not in the source")),
        "{:?}",
        report.notes
    );
}

#[test]
fn a_pass_by_keys_takes_deleted_rows_away_and_leaves_the_watermark() {
    let mut shop = loaded(1_000);
    shop.change(
        "delete from orders where id in (3, 500, 1000);
         update orders set item = 'quietly' where id = 7;
         insert into orders values (2000, 'new', 1, '2024-01-15T13:00:00Z')",
    );
    let before = shop.state_watermark();
    shop.task = Task::Deletes;
    let report = shop.run(None);
    assert_eq!((report.kind.as_str(), counts(&report)), ("deletes", (0, 0, 3)));
    assert_eq!(
        report.parity.status,
        ParityStatus::Mismatch,
        "a row is missing that no delta brings"
    );
    assert_eq!(shop.state_watermark(), before);
    assert_eq!(counts(&shop.run(None)), (0, 0, 0));

    shop.task = Task::Sync;
    compare(&shop);
    shop.later(60);
    shop.change("update orders set price = 5, updated_at = '2024-01-15T14:00:30Z' where id = 8");
    let delta = shop.run(None);
    assert_eq!(
        (delta.kind.as_str(), counts(&delta)),
        ("delta", (0, 1, 0)),
        "{}",
        delta.reason
    );
}

#[test]
fn rows_that_came_after_the_last_run_are_left_to_the_next() {
    let mut shop = loaded(1_000);
    shop.change(
        "delete from orders where id = 3;
         insert into orders values (2000, 'new', 1, '2024-01-15T15:00:00Z')",
    );
    shop.task = Task::Deletes;
    let report = shop.run(None);
    assert_eq!(
        (report.parity.status, counts(&report)),
        (ParityStatus::Unproven, (0, 0, 1))
    );
}

#[test]
fn a_pass_that_finds_all_keys_proves_them() {
    let mut shop = loaded(1_000);
    shop.change("delete from orders where id = 3");
    shop.task = Task::Deletes;
    let report = shop.run(None);
    assert_eq!(
        (report.parity.status, counts(&report)),
        (ParityStatus::Ok, (0, 0, 1))
    );
}

#[test]
fn a_delta_may_be_followed_by_a_pass_by_keys() {
    let mut shop = loaded(1_000);
    let change = |shop: &crate::shop::Shop, id: u32| {
        shop.later(60);
        let now = shop.clock.now() - jiff::SignedDuration::from_secs(30);
        shop.change(&format!(
            "delete from orders where id = {id}; update orders set price = 0, updated_at = '{now}' where id = 1"
        ));
    };
    // It is only stored: who runs pipelines at their times starts the pass, too.
    shop.spec.detect_deletes = DetectDeletes::At("0 3 * * *".to_owned());
    change(&shop, 500);
    let report = shop.run(None);
    assert_eq!((report.kind.as_str(), report.delete_pass), ("delta", None));
    assert_eq!(shop.ask_one("select count(*) from lake.main.orders"), "1000");

    shop.spec.detect_deletes = DetectDeletes::AfterDeltas;
    change(&shop, 501);
    let note = "a pass by keys follows, which looks for rows that are gone from the source";
    assert!(shop.plan(None).notes.iter().any(|found| found == note));
    let report = shop.run(None);
    assert_eq!((report.kind.as_str(), counts(&report)), ("delta", (0, 1, 0)));
    let pass = report.delete_pass.expect("it follows");
    assert_eq!((pass.kind.as_str(), counts(&pass)), ("deletes", (0, 0, 2)));
    assert_ne!(pass.run_id, report.run_id);
    assert_eq!(shop.differences(), "0");

    // A delta that finds nothing is one, too; a full load sees what is gone by itself.
    shop.change("delete from orders where id = 502");
    let report = shop.run(None);
    let pass = report.delete_pass.expect("it follows");
    assert_eq!((report.kind.as_str(), counts(&pass)), ("delta", (0, 0, 1)));
    assert_eq!(shop.run(Some("everything")).delete_pass, None);
}

#[test]
fn the_guard_holds_for_a_pass_that_follows() {
    let mut shop = loaded(100);
    shop.spec.detect_deletes = DetectDeletes::AfterDeltas;
    shop.change("delete from orders where id > 50");
    let error = shop.try_run(Some("changes")).expect_err("the guard stops it");
    assert!(error.to_string().contains("50 of the 100 rows"), "{error}");
    assert_eq!(shop.ask_one("select count(*) from lake.main.orders"), "100");
    shop.allow_deletes = true;
    shop.run(Some("changes"));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn verify_names_what_differs_and_changes_nothing() {
    let mut shop = loaded(1_000);
    shop.change(
        "delete from orders where id = 3;
         update orders set item = 'quietly' where id = 7;
         insert into orders values (2000, 'new', 1, '2024-01-15T13:00:00Z');
         insert into orders values (2001, 'later', 1, '2024-01-15T15:00:00Z')",
    );
    let before = shop.commits();
    shop.task = Task::Verify { keys_named: 10 };
    let report = shop.run(None);
    assert_eq!(report.parity.status, ParityStatus::Mismatch);
    assert_eq!((shop.commits(), report.commits.count), (before, 0));
    let drift = report.drift.expect("it was compared");
    assert_eq!(
        (drift.missing, drift.changed, drift.extra, drift.pending),
        (1, 1, 1, 1)
    );
    let keys: Vec<String> = drift
        .keys
        .iter()
        .map(|key| format!("{} {}", key.what, key.key[0].as_deref().unwrap_or("NULL")))
        .collect();
    assert_eq!(keys, ["extra 3", "changed 7", "missing 2000"]);

    shop.task = Task::Sync;
    compare(&shop);
    shop.change("update orders set item = 'x', updated_at = '2024-01-15T16:00:00Z' where id = 9");
    shop.task = Task::Verify { keys_named: 10 };
    let report = shop.run(None);
    assert_eq!(report.parity.status, ParityStatus::Ok, "it is pending");
    assert_eq!(
        report.drift.map(|drift| (drift.pending, drift.keys.len())),
        Some((1, 0))
    );
}
