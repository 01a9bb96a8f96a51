//! A delta of aggregates: groups of changed rows, those that they are in and those that they were in.

use std::path::PathBuf;

use insta::assert_snapshot;
use pintail_sync::spec::NullCursor;

use super::{counts, many, run, shop};
use crate::shop::Shop;

/// The manifest of what is on record of rows and groups.
fn manifest(shop: &Shop) -> PathBuf {
    shop.folder.path().join("state/groups/orders/manifest.json")
}

fn files_on_record(shop: &Shop) -> usize {
    let folder = shop.folder.path().join("state/groups/orders");
    let parquet = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("an entry")
            .path()
            .extension()
            .is_some_and(|end| end == "parquet")
    };
    std::fs::read_dir(folder)
        .expect("a folder")
        .map(parquet)
        .filter(|is| *is)
        .count()
}

#[test]
fn just_the_groups_of_changed_rows_are_computed() {
    let shop = many();
    run(&shop, None, "full");
    shop.change(
        "update orders set amount = 0, updated_at = '2024-01-15 14:00:05+00' where order_id in (1, 61);
         update orders set updated_at = '2024-01-15 14:00:06+00' where order_id = 2;
         insert into orders values (1000, 3, 7, '2024-01-02', '2024-01-15 14:00:07+00'),
             (1001, 99, 7, '2024-01-02', '2024-01-15 14:00:08+00')",
    );
    shop.later(60);
    let report = run(&shop, None, "groups");
    assert_eq!(
        (report.rows_processed, counts(&report)),
        (5, (1, 3, 0)),
        "{:?}",
        report.notes
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    let commits = shop.commits();
    shop.later(60);
    assert_eq!(run(&shop, None, "groups").rows_processed, 0);
    assert_eq!(shop.commits(), commits);
}

#[test]
fn a_row_that_moved_leaves_no_trace_in_its_old_group() {
    let shop = shop(
        "values (1, 101, 50, '2024-01-15 10:00', '2024-01-15 10:00:00+00'), \
                     (2, 101, 30, '2024-01-15 11:00', '2024-01-15 11:00:00+00'), \
                     (3, 102, 75, '2024-01-15 12:00', '2024-01-15 12:00:00+00')",
    );
    run(&shop, None, "full");
    let moves = [
        // To a group that is there, from one that stays.
        ("user_id = 102 where order_id = 2", (0, 2, 0)),
        // From a group that empties.
        ("user_id = 103 where order_id = 1", (1, 0, 1)),
        // To a new day, and back.
        ("order_date = '2024-01-16 01:00' where order_id = 3", (1, 1, 0)),
        ("order_date = '2024-01-15 01:00' where order_id = 3", (0, 1, 1)),
    ];
    for (index, (change, expected)) in moves.into_iter().enumerate() {
        let minute = index + 1;
        shop.change(&format!(
            "update orders set updated_at = '2024-01-15 14:{minute:02}:00+00', {change}"
        ));
        shop.later(60);
        let report = run(&shop, None, "groups");
        assert_eq!(counts(&report), expected, "{change}: {:?}", report.notes);
    }
}

#[test]
fn what_is_newer_than_the_watermark_is_on_record_too() {
    let shop = many();
    run(&shop, None, "full");
    // One row changes before the bound of the next run, the other one, of the same group, after it: the group counts both.
    shop.change(
        "update orders set amount = 0, updated_at = '2024-01-15 14:00:05+00' where order_id = 1;
         update orders set user_id = 1, order_date = '2024-01-01', updated_at = '2024-01-15 14:30:00+00' where order_id = 8",
    );
    shop.later(60);
    run(&shop, None, "groups");
    shop.change(
        "update orders set user_id = 55, order_date = '2024-01-05', updated_at = '2024-01-15 14:40:00+00' where order_id = 8",
    );
    shop.later(3_600);
    run(&shop, None, "groups");
}

#[test]
fn rows_that_leave_the_filter_leave_their_group() {
    let mut shop = many();
    shop.spec.source.filters = vec!["amount < 1000".to_owned()];
    shop.run(None);
    shop.change(
        "update orders set amount = 5000, updated_at = '2024-01-15 14:00:05+00' where order_id in (2, 62)",
    );
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), counts(&report)),
        ("groups", (0, 1, 0)),
        "{}",
        report.reason
    );
    assert_eq!(
        shop.ask_one("select num_orders from lake.main.orders where user_id = 2 and date = '2024-01-01'"),
        "3"
    );
}

#[test]
fn where_nothing_is_on_record_all_groups_are_compared() {
    let shop = many();
    run(&shop, None, "full");
    std::fs::remove_file(manifest(&shop)).expect("a manifest");
    shop.change("update orders set user_id = 7, updated_at = '2024-01-15 14:00:05+00' where order_id = 1");
    shop.later(60);
    let report = run(&shop, None, "hash");
    assert_snapshot!(report.reason, @"all groups are compared: it is not on record which rows belonged to which groups");
    assert_eq!(counts(&report), (0, 2, 0));
    // The comparison has put it on record again.
    shop.change("update orders set user_id = 8, updated_at = '2024-01-15 14:01:05+00' where order_id = 1");
    shop.later(60);
    assert_eq!(counts(&run(&shop, None, "groups")), (0, 2, 0));
}

#[test]
fn a_run_that_was_cut_off_leaves_what_is_on_record_usable() {
    let shop = many();
    run(&shop, None, "full");
    let change = |user: u32, minute: u32| {
        shop.change(&format!(
            "update orders set user_id = {user}, updated_at = '2024-01-15 14:{minute:02}:05+00' where order_id in (1, 2)"
        ));
        shop.later(60);
    };
    let read = || std::fs::read_to_string(manifest(&shop)).expect("a manifest");
    let before = read();
    let run_of = |text: &str| {
        text.split("\"run\":")
            .nth(1)
            .map(|rest| rest.split(',').next().unwrap_or_default().to_owned())
    };
    change(20, 0);
    run(&shop, None, "groups");
    // As after a crash between the commit and what follows it.
    let after = read();
    let (old, new) = (run_of(&before).expect("a run"), run_of(&after).expect("a run"));
    let cut_off = after
        .replace(&format!("\"run\":{new}"), &format!("\"run\":{old}"))
        .replace("\"pending\":null", &format!("\"pending\":{new}"));
    assert_ne!(cut_off, after);
    std::fs::write(manifest(&shop), &cut_off).expect("a manifest");
    change(21, 1);
    run(&shop, None, "groups");
    // As after one before the commit: what it read is on record beside what holds.
    let text = read();
    let never = text.replace("\"pending\":null", "\"pending\":\"20240101_000000_000001\"");
    std::fs::write(manifest(&shop), never).expect("a manifest");
    change(22, 2);
    run(&shop, None, "groups");
}

#[test]
fn another_run_that_wrote_groups_makes_the_record_worthless() {
    let shop = many();
    run(&shop, None, "full");
    let stale = std::fs::read_to_string(manifest(&shop)).expect("a manifest");
    shop.change("update orders set user_id = 20, updated_at = '2024-01-15 14:00:05+00' where order_id = 1");
    shop.later(60);
    run(&shop, None, "groups");
    std::fs::write(manifest(&shop), stale).expect("a manifest");
    shop.change("update orders set user_id = 21, updated_at = '2024-01-15 14:01:05+00' where order_id = 1");
    shop.later(60);
    let report = run(&shop, None, "hash");
    assert_snapshot!(report.reason, @"all groups are compared: another run than the one on record was the last to write groups");
}

#[test]
fn many_files_on_record_become_one() {
    let shop = many();
    run(&shop, None, "full");
    for number in 1..=33 {
        shop.change(&format!(
            "update orders set user_id = {number}, updated_at = '2024-01-15 14:{number:02}:05+00' where order_id = 1"
        ));
        shop.later(60);
        let report = shop.run(None);
        assert_eq!(report.kind, "groups", "{}", report.reason);
        assert!(files_on_record(&shop) <= 33);
    }
    assert_eq!(super::differences(&shop), "0");
    assert!(files_on_record(&shop) < 5);
}

#[test]
fn a_delta_of_groups_without_a_key_to_follow_compares() {
    let shop = many();
    shop.change(
        "create or replace table orders as select * from orders; alter table orders alter updated_at set not null",
    );
    run(&shop, None, "full");
    shop.later(60);
    let report = run(&shop, None, "hash");
    assert_snapshot!(report.reason, @r#"all groups are compared: table "main.orders" has no key, so nobody can tell where a row was before"#);
}

#[test]
fn rows_without_a_cursor_end_a_delta_of_groups_unless_somebody_decided() {
    let mut shop = many();
    shop.change("alter table orders alter updated_at drop not null; update orders set updated_at = null where order_id = 9");
    shop.run(None);
    shop.later(60);
    let error = shop.try_run(None).expect_err("a refusal");
    assert!(
        error.to_string().contains("`updated_at` is NULL in 1 row"),
        "{error}"
    );
    shop.delta(|delta| delta.null_cursor = NullCursor::Include);
    shop.change("update orders set user_id = 3 where order_id = 9");
    assert_eq!(counts(&run(&shop, None, "groups")), (0, 2, 0));
}

#[test]
fn a_plan_shows_how_changed_groups_are_found() {
    let shop = many();
    run(&shop, None, "full");
    shop.later(60);
    let plan = shop.plan(None);
    let purposes: Vec<&str> = plan
        .statements(&plan.partitions[0])
        .iter()
        .map(|statement| statement.purpose)
        .collect();
    assert_snapshot!(purposes.join("\n"), @r"
    find the rows that changed
    find the groups that they are in or were in
    stage these groups, named to the source by an integer or a date where they have one
    keep the groups that differ
    ");
    let text = plan.to_string();
    assert!(
        text.contains("  not covered  rows that were deleted in the source"),
        "{text}"
    );
}
