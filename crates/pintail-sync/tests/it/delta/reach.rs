//! Which rows a delta reads: from where on, up to where, and what becomes of those without a cursor.

use pintail_lake::connector::OldestTransaction;
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::NullCursor;

use super::at;
use crate::shop::Shop;

#[test]
fn late_commit_is_picked_up_by_the_next_run() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    // A transaction stamps its row at 10 s and is still open when the delta looks.
    shop.script(|script| {
        script.oldest = OldestTransaction::At("2024-01-15T14:00:10Z".parse().expect("an instant"));
    });
    shop.change(&format!("insert into orders values (200, 'early', 1, {})", at(5)));
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.watermark.as_deref()),
        (1, Some("2024-01-15 14:00:09.999000+00"))
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("holds the watermark back")),
        "{:?}",
        report.notes
    );
    shop.script(|script| script.oldest = OldestTransaction::None);
    shop.change(&format!("insert into orders values (201, 'late', 1, {})", at(10)));
    assert_eq!(shop.run(None).rows_inserted, 1);
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_source_that_cannot_tell_its_transactions_is_read_with_a_lag() {
    let mut shop = Shop::new(100);
    shop.script(|script| {
        script.oldest = OldestTransaction::Unknown {
            reason: "it does not say".to_owned(),
        }
    });
    shop.delta(|delta| delta.lag = Some(std::time::Duration::from_secs(30)));
    shop.run(None);
    shop.later(60);
    shop.change(&format!(
        "update orders set updated_at = {} where id = 1; update orders set updated_at = {} where id = 2",
        at(20),
        at(50)
    ));
    let report = shop.run(None);
    assert_eq!(
        report.rows_processed,
        1 + 1,
        "the last order of the shop, and the first of the two changes"
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:00:30.999000+00"));
    assert!(
        report.notes.iter().any(|note| note.contains("(declared `lag`)")),
        "{:?}",
        report.notes
    );
}

#[test]
fn held_watermarks_do_not_move() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    shop.script(|script| {
        script.oldest = OldestTransaction::Held {
            reason: "a prepared transaction waits".to_owned(),
        }
    });
    shop.change(&format!("update orders set updated_at = {} where id = 1", at(20)));
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.watermark.as_deref()),
        (0, Some("2024-01-15 14:00:00.999000+00"))
    );
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("a prepared transaction waits")),
        "{:?}",
        report.notes
    );
}

#[test]
fn integer_cursors_are_read_again_while_a_transaction_is_open() {
    let mut shop = Shop::empty();
    shop.change("create table orders (id bigint primary key, version bigint not null); insert into orders values (1, 1), (2, 2)");
    shop.delta(|delta| delta.column = Some("version".to_owned()));
    assert_eq!(shop.run(None).watermark.as_deref(), Some("3"));
    shop.script(|script| {
        script.oldest = OldestTransaction::At("2024-01-15T14:00:00Z".parse().expect("an instant"));
    });
    shop.change("insert into orders values (4, 4)");
    let report = shop.run(None);
    assert_eq!(
        (report.rows_inserted, report.watermark.as_deref()),
        (1, Some("3"))
    );
    let commits = shop.commits();
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.commits.count),
        (1, 0),
        "read again, and found to be there"
    );
    assert_eq!(shop.commits(), commits);
    shop.change("insert into orders values (3, 3)");
    shop.script(|script| script.oldest = OldestTransaction::None);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_inserted, report.watermark.as_deref()),
        (1, Some("5"))
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn rows_without_a_cursor_follow_the_policy() {
    let check = |policy: NullCursor| {
        let mut shop = Shop::empty();
        shop.change(
            "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
             insert into orders values (1, 'a', '2024-01-15T13:00:00Z'), (2, 'b', null)",
        );
        shop.delta(|delta| delta.null_cursor = policy);
        shop.run(None);
        assert_eq!(shop.differences(), "0", "a full load takes all rows");
        shop.later(60);
        shop.change("insert into orders values (3, 'c', null)");
        (shop.try_run(None), shop)
    };
    let (failed, _shop) = check(NullCursor::Fail);
    let error = failed.expect_err("the policy is to stop");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.to_string(),
        "cannot follow table \"main.orders\": the cursor column `updated_at` is NULL in 2 rows"
    );

    let (skipped, shop) = check(NullCursor::Skip);
    let report = skipped.expect("the policy is to go on");
    assert_eq!((report.rows_processed, shop.differences().as_str()), (0, "1"));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.starts_with("2 rows have NULL")),
        "{:?}",
        report.notes
    );

    let (included, shop) = check(NullCursor::Include);
    let report = included.expect("the policy is to read them");
    assert_eq!(
        (report.rows_processed, report.rows_inserted, report.rows_updated),
        (2, 1, 0)
    );
    assert_eq!(
        (report.parity.status, shop.differences().as_str()),
        (ParityStatus::Ok, "0")
    );
    shop.later(60);
    assert_eq!(shop.run(None).commits.count, 0, "nothing is new");
}

#[test]
fn rows_that_were_stamped_late_are_read_by_the_lookback() {
    let mut shop = Shop::new(100);
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    shop.run(None);
    // The watermark is 14:00:00.999, and these are committed after it with stamps in whole seconds.
    shop.change(&format!(
        "insert into orders values (200, 'rounded', 1, {});
         update orders set item = 'rewritten' where id = 100",
        at(0)
    ));
    let report = shop.run(None);
    assert_eq!(
        report.rows_processed, 0,
        "the clock stands still: there is nothing to do"
    );
    shop.later(60);
    let commits = shop.commits();
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_inserted, report.rows_updated),
        (2, 1, 1)
    );
    assert_eq!(
        (
            report.parity.status,
            shop.commits() - commits,
            shop.differences().as_str()
        ),
        (ParityStatus::Ok, 1, "0")
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    // Read again, found to be the same, and not committed.
    shop.change(&format!("insert into orders values (201, 'soon', 1, {})", at(59)));
    shop.later(1);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_inserted, report.commits.count),
        (1, 1, 1)
    );
    shop.later(1);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.commits.count),
        (0, 0),
        "it lies more than two seconds below"
    );
    shop.change(&format!("insert into orders values (202, 'now', 1, {})", at(62)));
    shop.later(1);
    assert_eq!(shop.run(None).rows_inserted, 1);
    shop.later(1);
    let commits = shop.commits();
    let report = shop.run(None);
    assert_eq!((report.rows_processed, report.commits.count), (1, 0));
    assert_eq!((shop.commits(), shop.differences().as_str()), (commits, "0"));
}

#[test]
fn a_changed_policy_is_not_overruled_by_a_frozen_plan() {
    let mut shop = Shop::empty();
    shop.change(
        "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
         insert into orders values (1, 'a', '2024-01-15T13:00:00Z')",
    );
    shop.run(None);
    shop.later(60);
    shop.change("insert into orders values (2, 'b', null)");
    shop.try_run(None).expect_err("the policy is to stop");
    shop.delta(|delta| delta.null_cursor = NullCursor::Include);
    let report = shop.run(None);
    assert_eq!(
        (report.resumed, report.rows_inserted, shop.differences().as_str()),
        (false, 1, "0")
    );
}

/// The partition of a delta's own column, an hour wide.
fn hour(bounded: bool) -> pintail_sync::spec::PartitionSpec {
    pintail_sync::spec::PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(1),
        step_unit: pintail_sync::spec::StepUnit::Hour,
        data_type: None,
        bounded,
    }
}

#[test]
fn a_bounded_window_is_read_again_up_to_now() {
    let mut shop = Shop::new(100);
    shop.run(None);
    shop.spec.strategies[1].primary_partitions = vec![hour(true)];
    // Stamped half an hour before the watermark, and committed after it.
    let late = "insert into orders values (1000, 'late', 1, '2024-01-15 13:30:00+00')";
    shop.change(late);
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_inserted, report.rows_updated),
        (1, 0),
        "{:?}",
        report.notes
    );
    // What is older than the window and the watermark is not looked at.
    shop.change("insert into orders values (1001, 'too late', 1, '2024-01-15 12:30:00+00')");
    shop.later(60);
    assert_eq!(shop.run(None).rows_inserted, 0);
    // An outage that is longer than the window loses nothing.
    shop.change("insert into orders values (1002, 'long ago', 1, '2024-01-15 14:10:00+00')");
    shop.later(48 * 3_600);
    assert_eq!(shop.run(None).rows_inserted, 1);
}
