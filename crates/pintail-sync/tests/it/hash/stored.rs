//! Comparisons with what the source said of its rows when both sides were last equal.

use pintail_lake::{Access, Call, Engine, EngineSettings, Lake};
use pintail_sync::report::{Drift, ParitySource};
use pintail_sync::spec::Compare;
use pintail_sync::{State, SyncReport};
use rusqlite::Connection;

use super::counts;
use super::served::{assert_follows, compare, drift, loaded, orders_by, request, try_compare};
use crate::postgres::Copy;

/// A comparison that read no more than it had to.
fn stored(copy: &Copy<'_>) -> SyncReport {
    let report = compare(copy, Compare::Stored);
    assert_eq!(
        report.compare.as_deref(),
        Some("stored, because it was asked for")
    );
    assert_eq!(report.parity.source, Some(ParitySource::Stored));
    report
}

/// A comparison that read both sides, and why.
fn read(copy: &Copy<'_>, reason: &str) -> SyncReport {
    let report = compare(copy, Compare::Stored);
    let expected = format!("stream, because `stored` has nothing to go by: {reason}");
    assert_eq!(report.compare, Some(expected));
    report
}

const NOTHING_KEPT: &str = "no comparison has kept any sums yet";

/// A copy that was compared once.
fn compared(statements: &str) -> Copy<'static> {
    let copy = loaded(statements);
    assert_eq!(counts(&read(&copy, NOTHING_KEPT)), (0, 0, 0));
    copy
}

fn in_lake(copy: &Copy<'_>, sql: &str) {
    let engine = Engine::open(&EngineSettings::default()).expect("an engine");
    let lake = Lake::attach(&engine, &copy.lake(), Access::ReadWrite).expect("a lake");
    let session = lake.session().expect("a session");
    session
        .batch(Call::new("change the lake"), sql)
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[test]
fn what_changed_since_is_found_and_nothing_else_is_read() {
    for key in ["bigint", "text"] {
        let copy = compared(&orders_by(key));
        let report = stored(&copy);
        assert_eq!((counts(&report), report.rows_processed), ((0, 0, 0), 4_000));
        copy.database.execute(
            "update orders set price = price + 1 where n in (7, 2000, 3999); delete from orders where n = 3100;
             update orders set id = '1000000' where n = 50; insert into orders values ('60000', 60000, 1, null, null)",
        );
        let report = stored(&copy);
        assert_eq!((counts(&report), report.commits.count), ((2, 3, 2), 1), "{key}");
        assert_eq!(drift(&copy), Drift::default(), "{key}");
        assert_eq!(counts(&stored(&copy)), (0, 0, 0), "{key}");
    }
}

#[test]
fn freezing_locking_and_writing_the_same_again_change_no_row() {
    let copy = compared(&orders_by("bigint"));
    copy.database.execute("vacuum (freeze) orders");
    copy.database
        .execute("begin; select * from orders where id < 100 for update; commit");
    assert!(stored(&copy).notes.is_empty());
    copy.database
        .execute("update orders set n = n where id between 10 and 12");
    let report = stored(&copy);
    assert_eq!((counts(&report), report.commits.count), ((0, 0, 0), 0));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("are not as they were")),
        "{:?}",
        report.notes
    );
    assert!(stored(&copy).notes.is_empty());
}

#[test]
fn a_transaction_that_was_open_then_is_seen_when_it_commits() {
    let copy = loaded(&orders_by("bigint"));
    let mut late = copy.database.client();
    let mut late = late.transaction().expect("a transaction");
    late.batch_execute("update orders set price = 0 where id = 17; delete from orders where id = 18")
        .expect("changes");
    copy.database.execute("update orders set price = 0 where id = 19");
    assert_eq!(counts(&read(&copy, NOTHING_KEPT)), (0, 1, 0));
    assert_eq!(counts(&stored(&copy)), (0, 0, 0));
    late.commit().expect("it commits");
    assert_eq!(counts(&stored(&copy)), (0, 1, 1));
    assert_eq!(drift(&copy), Drift::default());
}

#[test]
fn where_the_sums_may_hold_no_more_both_sides_are_read() {
    let copy = compared(&orders_by("bigint"));
    let again = |reason: &str| {
        assert_eq!(counts(&read(&copy, reason)), (0, 0, 0));
        assert_eq!(counts(&stored(&copy)), (0, 0, 0));
    };
    copy.database.execute("vacuum full orders");
    again("the source's table was written anew");
    copy.database.execute("truncate orders");
    copy.database
        .execute("insert into orders select i, i, 0, null, null from generate_series(1, 4000) as i");
    let report = read(&copy, "the source's table was written anew");
    assert_eq!(counts(&report), (0, 4_000, 0));

    in_lake(&copy, "update lake.main.orders set note = 'strange' where id = 5");
    let report = read(&copy, "somebody else has written to the lake's table since");
    assert_eq!(counts(&report), (0, 1, 0));
    in_lake(&copy, "create table lake.main.another as select 1 as a");
    assert_eq!(counts(&stored(&copy)), (0, 0, 0));

    let state = State::path(&request(&copy, Compare::Stored).data.state);
    let remember = |change: &str| {
        Connection::open(&state)
            .and_then(|state| state.execute(&format!("update baselines set {change}"), []))
            .expect("a state");
    };
    remember("lineage = 'another server'");
    again("the server is another one, or was restored or upgraded");
    remember("transactions = transactions + 1000000000");
    again("the server was set back to an earlier state");
    remember("transactions = transactions - 3000000000");
    again("so many transactions have passed that their numbers cannot be told apart");

    copy.database
        .execute("alter table orders alter column n type bigint");
    assert_eq!(copy.run().kind, "full");
    let report = compare(&copy, Compare::Stored);
    assert_eq!(
        report.compare.as_deref(),
        Some(
            "stream, because `stored` has nothing to go by: the pipeline, or a column of its tables, is another one than before"
        )
    );
    // A full load is another run.
    copy.run();
    again("another run has written to the lake since");
}

#[test]
fn random_histories_are_followed_as_by_a_comparison_of_all_rows() {
    assert_follows(compared, stored);
}

#[test]
fn a_table_whose_values_change_without_its_rows_is_refused() {
    let copy = loaded(
        "create type mood as enum ('sad', 'ok'); create table orders (id bigint primary key, m mood, spans interval);
         insert into orders values (1, 'ok', '1 day')",
    );
    let error = try_compare(&copy, Compare::Stored).expect_err("an enum");
    assert_eq!(
        error.to_string(),
        "strategy `compare` cannot compare table \"public.orders\" by `stored`: the text of `m` (mood) can change without its row"
    );
}
