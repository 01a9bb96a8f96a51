//! Deltas from end to end.

use pintail_lake::connector::OldestTransaction;
use pintail_model::ErrorKind;
use pintail_sync::report::ParityStatus;
use pintail_sync::spec::NullCursor;
use pintail_sync::state::RunStatus;

use crate::lakes::Kind;
use crate::served::Served;
use crate::shop::Shop;

/// Stamps and shows times a number of seconds after the start of the tests.
fn at(seconds: u32) -> String {
    format!(
        "'2024-01-15T14:{:02}:{:02}Z'::timestamptz",
        seconds / 60,
        seconds % 60
    )
}

#[test]
fn delta_brings_new_and_changed_rows_and_nothing_else() {
    let shop = Shop::new(1000);
    shop.run(None);
    shop.change(&format!(
        "update orders set price = 0, updated_at = {} where id % 100 = 0;
         insert into orders values (2000, 'new', 1, {})",
        at(10),
        at(11)
    ));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("changes", "an earlier run left a watermark")
    );
    assert_eq!(
        (report.rows_processed, report.rows_inserted, report.rows_updated),
        (11, 1, 10)
    );
    assert_eq!(
        (
            report.parity.status,
            report.parity.rows_counted,
            report.parity.rows_committed
        ),
        (ParityStatus::Ok, 11, 11)
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_run_that_finds_nothing_commits_nothing_and_moves_the_watermark() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.status, report.rows_processed, report.commits.count),
        (RunStatus::Completed, 0, 0)
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 14:01:00.999000+00"));
    assert_eq!((shop.commits(), shop.files()), (1, 1));
    let plan = shop.plan(None);
    assert_eq!(
        plan.low.map(pintail_model::CursorValue::text).as_deref(),
        Some("2024-01-15 14:01:00.999000+00")
    );
    assert!(plan.partitions.is_empty(), "the clock stands still");
}

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
fn a_changed_type_of_the_cursor_leads_to_a_full_load_that_says_so() {
    let shop = Shop::new(10);
    shop.run(None);
    shop.change(
        "create table other as select id, item, price, updated_at::timestamp as updated_at from orders;
         drop table orders;
         create table orders (id bigint primary key, item varchar, price decimal(12,2), updated_at timestamp not null);
         insert into orders from other",
    );
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        (
            "everything",
            "the cursor `updated_at` was of type timestamp_tz before, and is of type timestamp now"
        )
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn many_rows_are_cut_into_partitions_that_come_in_in_order() {
    let mut shop = Shop::new(600);
    shop.run(None);
    shop.change("update orders set updated_at = (updated_at::timestamp + to_hours(20))::timestamptz");
    shop.spec.strategies[1].primary_partitions = vec![pintail_sync::spec::PartitionSpec {
        column: "updated_at".to_owned(),
        step: Some(2),
        step_unit: pintail_sync::spec::StepUnit::Hour,
        data_type: None,
        bounded: false,
    }];
    shop.later(24 * 3600);
    let report = shop.run(None);
    let ids: Vec<(&str, u64)> = report
        .partition_times
        .iter()
        .map(|time| (time.partition_id.as_str(), time.rows))
        .collect();
    assert_eq!(ids.len(), 13);
    assert_eq!(
        ids[0],
        ("updated_at_2024-01-15T14:00:00.999000_2024-01-15T16:00:00", 0)
    );
    assert_eq!(
        ids[6],
        ("updated_at_2024-01-16T02:00:00_2024-01-16T04:00:00", 120)
    );
    assert_eq!(
        (report.rows_updated, report.parity.status),
        (600, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_lost_state_costs_nothing_because_the_ledger_knows() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.later(60);
    shop.change(&format!("update orders set updated_at = {} where id = 1", at(20)));
    shop.run(None);
    std::fs::remove_dir_all(shop.folder.path().join("state")).expect("the state is gone");
    shop.later(60);
    shop.change(&format!("update orders set updated_at = {} where id = 2", at(90)));
    let report = shop.run(None);
    assert_eq!(
        report.reason,
        "the lake's ledger says how far the source was read"
    );
    assert_eq!((report.rows_processed, report.rows_updated), (1, 1));
    assert_eq!(shop.differences(), "0");
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
fn a_clock_that_went_back_is_noticed() {
    let mut shop = Shop::new(100);
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    shop.later(60);
    shop.run(None);
    // By a second: what is stamped now lies below the watermark, and in the lookback.
    shop.later(-1);
    shop.change(&format!(
        "insert into orders values (200, 'stepped', 1, {})",
        at(60)
    ));
    let report = shop.run(None);
    assert_eq!(
        (
            report.kind.as_str(),
            report.rows_inserted,
            report.watermark.as_deref()
        ),
        ("delta", 1, Some("2024-01-15 14:01:00.999000+00"))
    );
    // By a minute.
    shop.later(-60);
    shop.change(&format!(
        "insert into orders values (201, 'stepped', 1, {})",
        at(0)
    ));
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "the clock of the source went back: everything below 2024-01-15 14:01:00.999000+00 was read before, which lies in the future now"
        )
    );
    assert_eq!(report.watermark.as_deref(), Some("2024-01-15 13:59:59.999000+00"));
    assert_eq!(shop.differences(), "0");
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

#[test]
fn negative_zero_is_a_change() {
    // DuckDB's own tables take it for the same number, so that a test's file cannot hold both.
    let mut served = Served::new(
        Kind::Sqlite,
        "create table orders (id bigint primary key, price double precision, updated_at timestamptz);
         insert into orders values (1, 0, now() - interval '1 hour'), (2, 'NaN', null), (3, 0, null)",
    );
    served.delta(|delta| delta.null_cursor = NullCursor::Include);
    served.run(None);
    served
        .database
        .execute("update orders set price = '-0' where id = 3");
    let report = served.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated, report.parity.status),
        (2, 1, ParityStatus::Ok)
    );
    assert!(
        served.lake_rows().contains(&"(3,-0.0)".to_owned()),
        "{:?}",
        served.lake_rows()
    );
    assert_eq!(served.run(None).commits.count, 0);
}

#[test]
fn the_ledger_has_the_checksum_of_what_was_committed() {
    let mut shop = Shop::empty();
    shop.change(
        "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
         insert into orders values (1, 'a', '2024-01-15T13:00:00Z'), (2, 'b', null)",
    );
    shop.delta(|delta| delta.null_cursor = NullCursor::Include);
    shop.run(None);
    shop.change("insert into orders values (3, 'c', null)");
    let report = shop.run(None);
    assert_eq!((report.rows_processed, report.rows_inserted), (2, 1));
    // A table of that one row alone has the same checksum.
    let only = Shop::empty();
    only.change(
        "create table orders (id bigint primary key, item varchar, updated_at timestamptz);
         insert into orders values (3, 'c', null)",
    );
    only.run(None);
    let newest = "select row_count::varchar || ' ' || checksum from lake.pintail.ledger order by fence desc, position desc";
    assert_eq!(shop.ask_one(newest), only.ask_one(newest));
}

#[test]
fn a_lost_state_and_another_source_lead_to_a_full_load() {
    let mut shop = Shop::new(100);
    shop.run(None);
    std::fs::remove_dir_all(shop.folder.path().join("state")).expect("the state is gone");
    let other = shop.folder.path().join("other.duckdb");
    std::fs::copy(&shop.source.path, &other).expect("a copy");
    shop.source.path = other;
    shop.change("insert into orders values (101, 'older', 1, '2020-01-01T00:00:00Z')");
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        ("full", "the pipeline reads another table than before")
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_table_or_a_cursor_that_was_made_anew_is_loaded_in_full() {
    let check = |change: fn(&mut crate::source::Script), reason: &str| {
        let shop = Shop::new(100);
        shop.script(|script| {
            script.table_identity = Some("16384".to_owned());
            script.column_identity = Some("1".to_owned());
        });
        shop.run(None);
        shop.later(60);
        assert_eq!(shop.run(None).kind, "delta");
        shop.script(change);
        shop.later(60);
        let report = shop.run(None);
        assert_eq!((report.kind.as_str(), report.reason.as_str()), ("full", reason));
        shop.later(60);
        assert_eq!(shop.run(None).kind, "delta");
    };
    check(
        |script| script.table_identity = Some("16385".to_owned()),
        "the source's table was made anew, or another one took its name",
    );
    check(
        |script| script.column_identity = Some("2".to_owned()),
        "the cursor `updated_at` was made anew in the source",
    );
}

#[test]
fn two_pipelines_on_one_table_notice_each_other() {
    let mut shop = Shop::new(100);
    shop.run(None);
    shop.spec.name = "second".to_owned();
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "pipeline `orders` was the last to write to the lake's table"
        )
    );
    shop.later(60);
    assert_eq!(shop.run(None).kind, "delta");
    shop.spec.name = "orders".to_owned();
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.reason.as_str()),
        (
            "full",
            "pipeline `second` was the last to write to the lake's table"
        )
    );
}

#[test]
fn a_table_of_numbers_that_was_emptied_is_loaded_in_full() {
    let mut shop = Shop::empty();
    shop.change("create table orders (id bigint primary key, version bigint not null); insert into orders values (1, 1), (2, 2)");
    shop.delta(|delta| delta.column = Some("version".to_owned()));
    assert_eq!(shop.run(None).watermark.as_deref(), Some("3"));
    shop.change("delete from orders; insert into orders values (3, 1)");
    let report = shop.run(None);
    assert_eq!(
        (report.kind.as_str(), report.watermark.as_deref()),
        ("full", Some("2"))
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_folder_that_looks_like_a_column_is_none() {
    let mut shop = Shop::new(100);
    shop.data = "item=wrong".to_owned();
    shop.delta(|delta| delta.lookback = std::time::Duration::from_secs(2));
    shop.run(None);
    shop.change(&format!(
        "update orders set price = 0, updated_at = {} where id = 1",
        at(0)
    ));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated, report.parity.status),
        (2, 1, ParityStatus::Ok)
    );
    assert_eq!(shop.differences(), "0");
}

#[test]
fn a_reset_leads_to_a_full_load() {
    let shop = Shop::new(100);
    shop.run(None);
    let state = shop.folder.path().join("state");
    let reset = pintail_sync::reset(&state, "orders", None, shop.clock.as_ref()).expect("a reset");
    assert_eq!((reset.runs, reset.starts_fresh), (1, true));
    shop.later(60);
    let report = shop.run(None);
    assert_eq!(
        (report.strategy.as_str(), report.reason.as_str()),
        ("everything", "the state was reset")
    );
    shop.later(60);
    assert_eq!(shop.run(None).strategy, "changes");
}

#[test]
fn rows_of_the_lake_with_a_later_cursor_stay() {
    let shop = Shop::new(100);
    shop.run(None);
    shop.change(&format!(
        "update orders set updated_at = {}, item = 'new' where id = 1",
        at(20)
    ));
    shop.later(60);
    shop.run(None);
    // A restored source: the row is an older one, and another one was changed.
    shop.change(&format!("update orders set updated_at = {}, item = 'old' where id = 1; update orders set updated_at = {} where id = 2", at(62), at(63)));
    shop.later(60);
    shop.run(None);
    shop.change(&format!(
        "update orders set updated_at = {} where id = 3",
        at(121)
    ));
    shop.later(60);
    assert_eq!(shop.run(None).parity.status, ParityStatus::Ok);
    assert_eq!(shop.differences(), "0");
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

#[test]
fn without_updates_of_equal_rows_every_partition_is_compared_first() {
    let mut shop = Shop::new(100);
    shop.run(None);
    shop.change("update orders set updated_at = '2024-01-15 14:00:30+00' where id < 9");
    shop.later(60);
    assert!(!shop.plan(None).partitions[0].changed_only);
    shop.spec.strategies[1].tuning.prevent_update_unless_changed = Some(true);
    assert!(shop.plan(None).partitions[0].changed_only);
    // Somebody brought half of them in already.
    shop.in_lake("update lake.main.orders set updated_at = '2024-01-15 14:00:30+00' where id < 5");
    let report = shop.run(None);
    assert_eq!(
        (report.rows_processed, report.rows_updated),
        (8, 4),
        "{:?}",
        report.notes
    );
    assert_eq!(shop.differences(), "0");
}
